"""Is there a picture at all: entropy of the grey values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured

ENTROPY_BITS = 8.0  # of 256 grey values that are equally frequent


@dataclass(frozen=True, kw_only=True)
class BlankCheck:
    """Refuses pictures of almost one colour."""

    min_entropy: float = 0.3  # share of 8 bits
    name: str = "blank"
    unit: str = "share of 8 bits"
    source: str = "cleanvision's low_information practice (0.3, normalised)"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Entropy of the grey values, and the range of all channels."""
        grey = np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return {"grey_entropy": entropy_bits(grey) / ENTROPY_BITS, "value_range": float(np.ptp(image_rgb))}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Blank below the limit."""
        entropy = measured(measurements, "grey_entropy")
        return "blank" if entropy is not None and entropy < self.min_entropy else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"grey entropy at least {self.min_entropy:g}"


def entropy_bits(values: NDArray[np.integer]) -> float:
    """Shannon entropy of 8-bit values, 0 .. 8 bits."""
    shares = np.bincount(values.reshape(-1), minlength=256) / max(1, values.size)
    shares = shares[shares > 0]
    return max(0.0, float(-(shares * np.log2(shares)).sum()))
