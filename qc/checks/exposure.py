"""Light on the face: mean, variance, share too dark, share burnt out, and range of its linear-light luminance."""

# P pixels of the face

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.blank import entropy_bits
from qc.checks.context import CheckContext, QCRequest, measured
from qc.checks.kept import comparable_scene, lightness_shift
from qc.faces import Face
from qc.iso.light import linear_luminance
from qc.iso.mapping import graded

UNDER = 25  # linear-light values 0 .. 25 of 255 count as under-exposed
OVER = 247  # 247 .. 255 as over-exposed


@dataclass(frozen=True, kw_only=True)
class ExposureCheck:
    """Refuses faces that are almost wholly black or burnt out, and pictures darker or lighter than their scene; the rest is measured only.

    In linear light dark skin in even light already has most values below 26, so a dark face is refused only where its range is small too.
    """

    max_under: float = 0.998  # share of the face from which it counts as dark
    max_over: float = 0.5
    min_range_bits: float = 2.0  # entropy of the face's luminance
    min_dark_range_bits: float = 2.9  # the same where more than max_under is under-exposed
    max_shift: float = 2.0  # of the kept background's L* against the scene's, either way
    name: str = "exposure"
    unit: str = "share of the face"
    source: str = (
        "measures of ISO/IEC 29794-5:2025; limits of our own: of 780 clean portraits those with dark skin in little light have "
        "3.0 bits and more; the background of 745 accepted pictures of the bundled model is at most 0.03 L* off"
    )

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Native measures n_ and scalars q_ 0 .. 100, over the face, or the whole picture where none was found."""
        region = face_region(image_rgb.shape[:2], context.face, context.once("landmarks", lambda: context.landmarks))
        luminance = linear_luminance(image_rgb[region])  # (P,)
        levels = np.rint(luminance * 255).astype(np.uint8)
        scene = comparable_scene(image_rgb, context)
        return {
            **({} if scene is None else {"lightness_shift": lightness_shift(image_rgb, scene)}),
            **graded("luminance_mean", float(luminance.mean())),
            **graded("luminance_variance", float(luminance.var())),
            **graded("under_exposure", float(np.mean(levels <= UNDER))),
            **graded("over_exposure", float(np.mean(levels >= OVER))),
            **graded("dynamic_range", entropy_bits(levels)),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Exposure outside the limits."""
        under, over = measured(measurements, "n_under_exposure"), measured(measurements, "n_over_exposure")
        entropy = measured(measurements, "n_dynamic_range")
        dark = under is not None and under > self.max_under
        least = self.min_dark_range_bits if dark else self.min_range_bits
        shift = measured(measurements, "lightness_shift")
        burnt, flat = over is not None and over > self.max_over, entropy is not None and entropy < least
        return "exposure" if burnt or flat or (shift is not None and abs(shift) > self.max_shift) else None

    def limit(self) -> str:
        """The limit as people read it."""
        dark = f"{self.min_dark_range_bits:g} where more than {self.max_under:.1%} is under-exposed"
        scene = f"background within {self.max_shift:g} L* of the scene's"
        return f"at most {self.max_over:.0%} of the face over-exposed; at least {self.min_range_bits:g} bits of range, {dark}; {scene}"


def face_region(shape: tuple[int, ...], face: Face | None, landmarks68_px: NDArray[np.floating] | None = None) -> NDArray[np.bool_]:
    """Pixels (H, W) inside the hull of the landmarks, as the standard has it; without them inside an ellipse about the five points.

    All pixels where there is no face or it covers none.
    """
    height, width = shape[:2]
    if landmarks68_px is not None:
        hull = cv2.convexHull(np.rint(np.clip(landmarks68_px, -1e4, 1e4) - 0.5).astype(np.int32))
        filled = cv2.fillConvexPoly(np.zeros((height, width), dtype=np.uint8), hull, 1)
        if filled.any():
            return np.asarray(filled, dtype=bool)
    if face is None:
        return np.ones((height, width), dtype=bool)
    points = face.landmarks5_px.astype(np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    reach = max(float(np.linalg.norm(mouth - eyes)), float(np.linalg.norm(points[1] - points[0])), 1.0)
    angle = math.degrees(math.atan2(points[1, 1] - points[0, 1], points[1, 0] - points[0, 0]))
    middle = eyes * 0.45 + mouth * 0.55
    region = np.zeros((height, width), dtype=np.uint8)
    centre = (round(float(np.clip(middle[0], -1e4, 1e4))), round(float(np.clip(middle[1], -1e4, 1e4))))
    cv2.ellipse(region, centre, (max(1, round(0.85 * reach)), max(1, round(1.15 * reach))), angle, 0, 360, 1, -1)
    return region.astype(bool) if region.any() else np.ones((height, width), dtype=bool)
