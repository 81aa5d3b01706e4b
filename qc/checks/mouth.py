"""Is the mouth as open as the expression has it: opening of the inner lips by landmarks, against what the requested units give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.mapping import graded

OPEN, DEPRESSED = 20, 17  # places among the 35 units: mouth open, corners drawn down and back

# The parser's landmarks are means of heat maps, which draws the lips together: undone by a fit to 900 rendered portraits (correlation 0.84).
SLOPE, SHIFT = 1.4, -0.031


@dataclass(frozen=True, kw_only=True)
class MouthCheck:
    """Measures only, unless a limit is set: the expression check judges the units already."""

    max_error: float | None = None
    name: str = "mouth"
    unit: str = "eye-to-chin distances"
    source: str = "mouth closed of ISO/IEC 29794-5:2025; no limit, because requests are judged by their units"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Opening between the inner lips, and its distance from what the units ask for."""
        if context.geometry is None:
            return {}
        opening = max(0.0, SHIFT + SLOPE * context.geometry.mouth_opening)
        values = graded("mouth_closed", opening)
        if context.request.units is not None:
            values["mouth_error"] = abs(opening - asked_opening(context.request.units))
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Farther from the request than the limit."""
        error = measured(measurements, "mouth_error")
        return "mouth" if self.max_error is not None and error is not None and error > self.max_error else None

    def limit(self) -> str:
        """The limit as people read it."""
        return "measured only" if self.max_error is None else f"at most {self.max_error:g} from the request"


def asked_opening(units: NDArray[np.floating]) -> float:
    """Opening that a face with these units (35,) has, a linear fit to the same portraits."""
    return max(0.0, float(0.037 + 0.25 * units[OPEN] + 0.12 * units[DEPRESSED]))
