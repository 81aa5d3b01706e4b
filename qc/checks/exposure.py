"""Light on the face: linear-light luminance in the manner of ISO/IEC 29794-5, with the native-to-scalar mappings of that standard's reference code."""

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
from qc.faces import Face

UNDER = 25  # linear-light values 0 .. 25 of 255 count as under-exposed
OVER = 247  # 247 .. 255 as over-exposed


@dataclass(frozen=True, kw_only=True)
class ExposureCheck:
    """Refuses faces that are almost wholly black or burnt out; everything between is measured only.

    The under-exposure limit is wide on purpose: in linear light dark skin in even light already has many values below 26.
    """

    max_under: float = 0.998  # share of the face
    max_over: float = 0.5
    min_range_bits: float = 2.0  # entropy of the face's luminance
    name: str = "exposure"
    unit: str = "share of the face"
    source: str = "measures of ISO/IEC 29794-5:2025; limits of our own, wide so that dark skin in even light passes"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Native measures n_ and scalars q_ 0 .. 100, over the face, or the whole picture where none was found."""
        pixels = image_rgb[face_region(image_rgb.shape[:2], context.face)]  # (P, 3)
        luminance = linear_luminance(pixels)  # (P,)
        levels = np.rint(luminance * 255).astype(np.uint8)
        under, over = float(np.mean(levels <= UNDER)), float(np.mean(levels >= OVER))
        mean, entropy = float(luminance.mean()), entropy_bits(levels)
        return {
            "n_luminance_mean": mean,
            "q_luminance_mean": scalar(100 * sigmoid(mean, 0.2, 0.05) * (1 - sigmoid(mean, 0.8, 0.05))),
            "n_under_exposure": under,
            "q_under_exposure": scalar(120 * (0.832 - sigmoid(under, 0.92, 0.05))),
            "n_over_exposure": over,
            "q_over_exposure": scalar(1 / (over + 0.01)),
            "n_dynamic_range": entropy,
            "q_dynamic_range": scalar(12.5 * entropy),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Exposure outside the limits."""
        under, over = measured(measurements, "n_under_exposure"), measured(measurements, "n_over_exposure")
        entropy = measured(measurements, "n_dynamic_range")
        bad = (under is not None and under > self.max_under) or (over is not None and over > self.max_over)
        return "exposure" if bad or (entropy is not None and entropy < self.min_range_bits) else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_under:.1%} of the face under-exposed, {self.max_over:.0%} over-exposed; {self.min_range_bits:g} bits of range"


def linear_luminance(pixels_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance 0 .. 1 of (..., 3) sRGB bytes in linear light: IEC 61966-2-1 transfer function, Rec. 709 weights."""
    steps = np.arange(256) / 255.0
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    return linear[pixels_rgb] @ np.array([0.2126, 0.7152, 0.0722])


def face_region(shape: tuple[int, ...], face: Face | None) -> NDArray[np.bool_]:
    """Pixels (H, W) inside the ellipse about the five points; all pixels where there is no face or it covers none."""
    height, width = shape[:2]
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


def sigmoid(x: float, middle: float, width: float) -> float:
    """1 / (1 + exp((middle - x) / width))."""
    return 1 / (1 + math.exp(min(700.0, (middle - x) / width)))


def scalar(value: float) -> float:
    """A quality scalar: rounded half up, clipped to 0 .. 100."""
    return float(min(100, max(0, math.floor(value + 0.5))))
