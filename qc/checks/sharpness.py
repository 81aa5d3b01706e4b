"""Is the face sharp: energy of the Laplacian on the aligned face, compared with the background picture's face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.checks.kept import comparable_scene, detail_ratio
from qc.faces import Face, recogniser_crop
from qc.iso.mapping import scalar

HALF_QUALITY = 60.0  # variance of the Laplacian at which our scalar is 50; the median of the corpus' portraits lies above


@dataclass(frozen=True, kw_only=True)
class SharpnessCheck:
    """Refuses faces without detail, faces far softer than the one they replace, and pictures whose kept background lost its detail."""

    min_variance: float = 4.0  # of the Laplacian of 8-bit grey
    min_ratio: float = 0.08  # to the background's face
    min_kept: float = 0.75  # of the kept background, to the scene's
    name: str = "sharpness"
    unit: str = "variance of the Laplacian"
    source: str = (
        "variance of the Laplacian (Pech-Pacheco et al. 2000) on the 112-px crop; limits of our own: 745 accepted pictures of the bundled model "
        "have at least 15.4, 0.082 of the background's and 0.96 of the kept background's detail; blurred by 1.5 px the last is at most 0.58"
    )

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Variance, its scalar (a mapping of our own, not the standard's forest), and the ratio to the background."""
        scene = comparable_scene(image_rgb, context)
        kept = {} if scene is None else {"kept_detail": detail_ratio(image_rgb, scene)}
        if context.face is None:
            return kept
        variance = face_sharpness(image_rgb, context.face) if context.sharpness is None else context.sharpness
        values = {**kept, "n_sharpness": variance, "q_sharpness": scalar(100 * variance / (variance + HALF_QUALITY))}
        background = context.request.background_sharpness
        if background is not None and background > 0:
            values["sharpness_ratio"] = variance / background
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Soft in itself, or soft beside the background."""
        variance, ratio = measured(measurements, "n_sharpness"), measured(measurements, "sharpness_ratio")
        bad = (variance is not None and variance < self.min_variance) or (ratio is not None and ratio < self.min_ratio)
        kept = measured(measurements, "kept_detail")
        return "sharpness" if bad or (kept is not None and kept < self.min_kept) else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at least {self.min_variance:g}, and {self.min_ratio:g} of the background's; kept background at least {self.min_kept:g} of the scene's"


def face_sharpness(image_rgb: NDArray[np.uint8], face: Face) -> float:
    """Variance of the Laplacian of the grey inner face, after alignment, so that the size in the picture doesn't count."""
    return laplacian_variance(recogniser_crop(image_rgb, face.landmarks5_px))


def laplacian_variance(crop_rgb: NDArray[np.uint8]) -> float:
    """The same of a recogniser crop (112, 112, 3)."""
    grey = cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F)[12:100, 16:96].var())
