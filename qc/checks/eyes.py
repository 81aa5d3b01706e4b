"""Are the eyes as open as the expression has them: height of the parsed eyes, against what the requested units give."""

# H W pixels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.face_mask import LABELS
from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.geometry import FaceGeometry
from qc.iso.mapping import graded

# Places among the 35 units: closure, wide opening and slit of each eye.
CLOSURE, OPENED, SLIT = (0, 3), (1, 4), (2, 5)
EYES = LABELS.index("eyes")
REACH = 0.45  # half side of the square about an eye in which its pixels are looked for, in inter-eye distances

# Opening of the lids from the mean height of the parsed eye: a fit to 900 rendered portraits with exact landmarks (correlation 0.65). The
# parser's own landmarks of the lids follow the opening hardly at all (0.28).
SLOPE, SHIFT = 0.874, 0.012


@dataclass(frozen=True, kw_only=True)
class EyesCheck:
    """Measures only, unless a limit is set: the expression check judges the units already.

    Eyes of which the parser sees nothing are not measured: closed ones can't be told from those behind glasses.
    """

    max_error: float | None = None
    name: str = "eyes"
    unit: str = "eye-to-chin distances"
    source: str = "eyes open of ISO/IEC 29794-5:2025; no limit, because the parsed opening errs by half of what expressions vary it"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Opening of the eye that is less open, and its distance from what the units ask for."""
        if context.geometry is None or context.label_map is None:
            return {}
        height = parsed_height(context.label_map, context.geometry)
        if height == 0:
            return {}
        opening = SHIFT + SLOPE * height
        values = graded("eyes_open", opening)
        if context.request.units is not None:
            values["eyes_error"] = abs(opening - asked_opening(context.request.units))
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Farther from the request than the limit."""
        error = measured(measurements, "eyes_error")
        return "eyes" if self.max_error is not None and error is not None and error > self.max_error else None

    def limit(self) -> str:
        """The limit as people read it."""
        return "measured only" if self.max_error is None else f"at most {self.max_error:g} from the request"


def parsed_height(label_map: NDArray[np.uint8], face: FaceGeometry) -> float:
    """Mean height of the lower one of both eyes, over the columns in which a label map (H, W) has it, in eye-to-chin distances."""
    reach = REACH * face.eye_distance_px
    heights = []
    for x, y in (face.left_eye, face.right_eye):
        rows, columns = slice(max(0, int(y - reach)), max(0, int(y + reach) + 1)), slice(max(0, int(x - reach)), max(0, int(x + reach) + 1))
        pixels = (label_map[rows, columns] == EYES).sum(axis=0)  # of each column
        heights.append(float(pixels.sum()) / max(1, int(np.count_nonzero(pixels))) / face.chin_distance_px)
    return min(heights)


def asked_opening(units: NDArray[np.floating]) -> float:
    """Opening that a face with these units (35,) has, a linear fit to the same portraits."""
    closure, slit = max(units[k] for k in CLOSURE), max(units[k] for k in SLIT)
    return max(0.0, float(0.07 - 0.07 * closure + 0.012 * min(units[k] for k in OPENED) - 0.047 * slit))
