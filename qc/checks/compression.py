"""Does the picture show the 8 x 8 blocks of strong JPEG compression: steps across their edges against steps inside them."""

# H W pixels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured

BLOCK_PX = 8
FLOOR = 0.25  # levels that are added to both, so that flat pictures give 1


@dataclass(frozen=True, kw_only=True)
class CompressionCheck:
    """Refuses pictures with visible blocks; those that were scaled after compression have none on the grid and pass."""

    max_blockiness: float = 1.35
    name: str = "compression"
    unit: str = "step across block edges / step inside blocks"
    source: str = "our own: 780 clean portraits at quality 95 have at most 1.26; 37 at quality 30 have 1.45 and more"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """The ratio, 1 without blocks."""
        return {"n_blockiness": blockiness(image_rgb)} if min(image_rgb.shape[:2]) > 2 * BLOCK_PX else {}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """More blocks than the limit."""
        ratio = measured(measurements, "n_blockiness")
        return "compression" if ratio is not None and ratio > self.max_blockiness else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_blockiness:g}"


def blockiness(image_rgb: NDArray[np.uint8]) -> float:
    """Mean grey step across the lines of the 8 x 8 grid over that at all other places, averaged over both directions.

    In the manner of Wang, Bovik & Evans (2000), in the picture instead of the spectrum.
    """
    grey = np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    across = cv2.absdiff(grey[:, 1:], grey[:, :-1]).mean(axis=0)  # (W - 1,)
    down = cv2.absdiff(grey[1:], grey[:-1]).mean(axis=1)  # (H - 1,)
    ratios = []
    for steps in (across, down):
        edge = np.arange(1, len(steps) + 1) % BLOCK_PX == 0
        ratios.append((steps[edge].mean() + FLOOR) / (steps[~edge].mean() + FLOOR))
    return float(np.mean(ratios))
