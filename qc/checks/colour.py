"""Are the colours right: skin in the natural range, and what is kept of the scene in the scene's own colours."""

# H W pixels

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.checks.illumination import cheeks
from qc.checks.kept import kept_mask, mean_lab
from qc.iso.light import lab_d50, linear_picture
from qc.iso.mapping import graded

NATURAL_A, NATURAL_B = (5.0, 25.0), (5.0, 35.0)  # of the mean colour of the cheeks
UNNATURAL = 100.0  # the standard's distance where a* or b* is negative


@dataclass(frozen=True, kw_only=True)
class ColourCheck:
    """Refuses pictures in which what should have been kept of the scene took on a cast; skin is measured only, unless a limit is set."""

    max_cast: float = 3.0  # distance in the a*b* plane
    max_unnatural: float | None = None  # the same, of the cheeks from the natural range
    name: str = "colour"
    unit: str = "CIELAB units in the a*b* plane, D50"
    source: str = "our own: a just noticeable difference is about 2.3; the bundled model keeps the background's pixels (110 pictures: at most 0.1)"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Distance of the cheeks from natural colours, and of the kept background from the scene's."""
        values: dict[str, float] = {}
        zones = cheeks(image_rgb, context)
        if zones is not None:
            lab = np.concatenate([lab_d50(linear_picture(zone)).reshape(-1, 3) for zone in zones]).mean(axis=0)
            values |= graded("natural_colour", unnatural(float(lab[1]), float(lab[2])))
        scene = context.request.scene
        if scene is not None and scene.image_rgb.shape == image_rgb.shape:
            mask = kept_mask(scene)
            if mask.any():
                _, was_a, was_b = scene.once("kept_colour", lambda: mean_lab(scene.image_rgb, mask))
                _, is_a, is_b = mean_lab(image_rgb, mask)
                values["n_colour_cast"] = math.hypot(is_a - was_a, is_b - was_b)
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """A cast, or unnatural skin."""
        cast, distance = measured(measurements, "n_colour_cast"), measured(measurements, "n_natural_colour")
        bad = (cast is not None and cast > self.max_cast) or (self.max_unnatural is not None and distance is not None and distance > self.max_unnatural)
        return "colour" if bad else None

    def limit(self) -> str:
        """The limit as people read it."""
        skin = "skin is measured only" if self.max_unnatural is None else f"skin at most {self.max_unnatural:g} away from natural colours"
        return f"background at most {self.max_cast:g} away from the scene's; {skin}"


def unnatural(a: float, b: float) -> float:
    """Distance of a mean colour from the range that the standard calls natural."""
    if a < 0 or b < 0:
        return UNNATURAL
    return math.hypot(max(0.0, NATURAL_A[0] - a, a - NATURAL_A[1]), max(0.0, NATURAL_B[0] - b, b - NATURAL_B[1]))
