"""Does the replaced face show its outline: along the edge of what was made anew, against the scene there, and along an ellipse about the face."""

# H W pixels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, Scene, measured
from qc.checks.outline import outline_step
from qc.iso.light import scharr_length

GROWN = 5 / 128  # of the height, by which a mask is grown before its edge is looked at: the model blends within four pixels of 128
OWN_WEIGHT = 1.5  # of the step that the scene's own person has: other light or colours change it with all the rest
SMOOTH = 0.5  # share of the edge, where the scene is smoothest, that is looked at


@dataclass(frozen=True, kw_only=True)
class SeamCheck:
    """Refuses pictures in which the edge of the area that was made anew can be seen where the scene is smooth, or a step goes around the face."""

    max_excess: float = 2.5
    max_outline: float = 2.5  # grey levels over 2 px, more than the scene has
    name: str = "seam"
    unit: str = "grey levels a px"
    source: str = (
        "our own: 110 pictures of the bundled model have at most 1.5; a face that is 20 levels off its surroundings has 4 and more; "
        "around the face 873 accepted pictures of the bundled model have at most 2.0, 123 of 126 with a step of 30 levels more than 2.5"
    )

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """How much more gradient the picture has there than the scene, and the step around the face."""
        scene = context.request.scene
        if scene is None or scene.image_rgb.shape != image_rgb.shape:
            return {}  # a portrait that nothing was set into has no seam
        step = None if context.face is None else outline_step(image_rgb, context.face.landmarks5_px, scene)
        outline = {} if step is None else {"face_outline": step - OWN_WEIGHT * _own_outline(scene, context.request.landmarks5_px)}
        edge, before = scene.once("edge", lambda: _edge(scene))
        return outline if before is None else {**outline, "n_seam": float(_gradient(image_rgb)[edge].mean()) - before}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """More than the limit."""
        found = ((measured(measurements, "n_seam"), self.max_excess), (measured(measurements, "face_outline"), self.max_outline))
        return "seam" if any(value is not None and value > limit for value, limit in found) else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_excess:g} more than in the scene; a step of at most {self.max_outline:g} more around the face"


def _own_outline(scene: Scene, landmarks5_px: NDArray[np.float32] | None) -> float:
    """The step that the scene's own person has around the face, such as a hood's; 0 where nobody knows where the face is."""
    if landmarks5_px is None:
        return 0.0
    return scene.once("outline", lambda: max(0.0, outline_step(scene.image_rgb, landmarks5_px, scene) or 0.0))


def _edge(scene: Scene) -> tuple[NDArray[np.bool_], float | None]:
    """Pixels (H, W) of the edge where the scene is smooth, and its mean gradient there; None for a mask without an edge."""
    px = max(1, round(GROWN * scene.face_mask.shape[0]))
    mask = cv2.dilate((scene.face_mask > 0).astype(np.uint8), np.ones((2 * px + 1, 2 * px + 1), np.uint8))
    rim = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), dtype=bool)
    if not rim.any():
        return rim, None
    gradient = _gradient(scene.image_rgb)
    smooth = rim & (gradient <= np.quantile(gradient[rim], SMOOTH))
    return smooth, float(gradient[smooth].mean())


def _gradient(image_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Length of the grey gradient (H, W), levels a px."""
    return scharr_length(np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)) / 32
