"""How busy the background is: mean gradient of its linear luminance about an aligned head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manifests.face_mask import LABELS
from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.geometry import aligning_matrix
from qc.iso.light import luminance_levels, scharr_length
from qc.iso.mapping import graded

BACKGROUND = LABELS.index("background")
# The part of the 616-px aligned picture that is looked at, without its sides and the shoulders, and the size it is looked at in.
LEFT_PX, WIDTH_PX, HEIGHT_PX = 62, 492, 410
SEEN_WIDTH_PX, SEEN_HEIGHT_PX = 354, 295
ERODED_PX = 4  # off the background's edge, so that the head's outline doesn't count


@dataclass(frozen=True, kw_only=True)
class BackgroundCheck:
    """Measures only, unless a limit is set: a data set wants busy backgrounds as well as plain ones."""

    max_gradient: float | None = None
    name: str = "background"
    unit: str = "levels of 255, Scharr gradient"
    source: str = "background uniformity of ISO/IEC 29794-5:2025; no limit, because scenes are asked for"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Mean length of the gradient over what the parser calls background; nothing where there is none."""
        if context.geometry is None or context.landmarks68_px is None or context.label_map is None:
            return {}
        points, label_map = context.landmarks68_px, context.label_map
        matrix = context.once("aligning", lambda: aligning_matrix(points))
        shrink = np.array([[SEEN_WIDTH_PX / WIDTH_PX, 0], [0, SEEN_HEIGHT_PX / HEIGHT_PX]])
        part = shrink @ (matrix - np.array([[0, 0, LEFT_PX], [0, 0, 0]]))
        part[:, 2] += part[:, :2].sum(axis=1) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
        size = (SEEN_WIDTH_PX, SEEN_HEIGHT_PX)
        ground = (label_map == BACKGROUND).astype(np.uint8)
        seen = cv2.erode(cv2.warpAffine(ground, part, size, flags=cv2.INTER_NEAREST, borderValue=0), np.ones((ERODED_PX, ERODED_PX), np.uint8))
        if not seen.any():
            return {}
        levels = luminance_levels(np.asarray(cv2.warpAffine(image_rgb, part, size, flags=cv2.INTER_LINEAR), dtype=np.uint8))
        return graded("background_uniformity", float(scharr_length(levels)[seen > 0].mean()))  # subtle: cv2.mean's sum depends on its threads

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Busier than the limit."""
        gradient = measured(measurements, "n_background_uniformity")
        return "background" if self.max_gradient is not None and gradient is not None and gradient > self.max_gradient else None

    def limit(self) -> str:
        """The limit as people read it."""
        return "measured only" if self.max_gradient is None else f"at most {self.max_gradient:g}"
