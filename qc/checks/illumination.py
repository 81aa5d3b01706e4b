"""Is the light on both cheeks alike: overlap of their histograms of linear luminance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.geometry import aligning_matrix, cheek_zones
from qc.iso.light import luminance_levels
from qc.iso.mapping import graded


@dataclass(frozen=True, kw_only=True)
class IlluminationCheck:
    """Measures only, unless a limit is set: side light is asked for as often as not."""

    min_overlap: float | None = None  # 0 .. 1
    name: str = "illumination"
    unit: str = "overlap of two histograms, 0 .. 1"
    source: str = "illumination uniformity of ISO/IEC 29794-5:2025; no limit, because scenes with side light are wanted"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Overlap of the two normalised histograms of 256 levels."""
        zones = cheeks(image_rgb, context)
        if zones is None:
            return {}
        shares = [np.bincount(luminance_levels(zone).reshape(-1), minlength=256) / (zone.shape[0] * zone.shape[1]) for zone in zones]
        return graded("illumination_uniformity", float(np.minimum(*shares).sum()))

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Less alike than the limit."""
        overlap = measured(measurements, "n_illumination_uniformity")
        return "illumination" if self.min_overlap is not None and overlap is not None and overlap < self.min_overlap else None

    def limit(self) -> str:
        """The limit as people read it."""
        return "measured only" if self.min_overlap is None else f"at least {self.min_overlap:g}"


def cheeks(image_rgb: NDArray[np.uint8], context: CheckContext) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """The two cheek zones (side, side, 3) at the scale of the standard's aligned picture; None without landmarks.

    The edge of the picture is continued where a zone lies outside.
    """
    if context.geometry is None or context.landmarks68_px is None:
        return None
    points = context.landmarks68_px

    def cut() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        matrix = context.once("aligning", lambda: aligning_matrix(points))
        left, right = (warped(image_rgb, matrix, (x, y), (side, side)) for x, y, side in cheek_zones(points, matrix))
        return left, right

    return context.once("cheeks", cut)


def warped(image_rgb: NDArray[np.uint8], matrix: NDArray[np.float64], corner: tuple[float, float], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The part of an aligned picture whose upper left corner is `corner`, of `size` (width, height)."""
    part = matrix.copy()
    part[:, 2] += part[:, :2].sum(axis=1) / 2 - 0.5 - np.asarray(corner)  # subtle: OpenCV puts pixel centres at whole numbers
    return np.asarray(cv2.warpAffine(image_rgb, part, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
