"""Is it the expression that was asked for: error of the expression units, and the probability of the asked class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.vocabulary import AFFECTNET8
from qc.checks.context import CheckContext, QCRequest, measured
from qc.expression import NUM_UNITS, unit_error

# Below this distance of the request from a neutral face, being nearer than neutral says nothing beside the estimator's noise.
NEAR_NEUTRAL = 0.1


@dataclass(frozen=True, kw_only=True)
class ExpressionCheck:
    """Refuses faces whose units are far from the request, or not nearer to it than a neutral face's, or whose asked class is most unlikely.

    The most probable class is not demanded: classes overlap, on people's faces too.
    """

    max_error: float = 0.2  # root mean square of 35 units
    max_share: float = 1.0  # error to the error that a neutral face would have
    min_probability: float = 0.02  # of the asked class
    name: str = "expression"
    unit: str = "RMS of 35 units"
    source: str = "our own: a neutral face is 0.14 to 0.31 away from the basic expressions (medians of the corpus)"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Class probabilities, valence, arousal; error and probability of what was asked."""
        reading, request = context.reading, context.request
        if reading is None:
            return {}
        values = {f"obs_prob_{name}": float(p) for name, p in zip(AFFECTNET8, reading.probabilities, strict=True)}
        values |= {"obs_valence": reading.valence, "obs_arousal": reading.arousal}
        if request.units is not None:
            values["expression_error"] = unit_error(reading.units, request.units)
            distance = unit_error(np.zeros(NUM_UNITS), request.units)
            if distance > NEAR_NEUTRAL:
                values["expression_error_share"] = values["expression_error"] / distance
        if request.affectnet8 is not None:
            values["expression_probability"] = float(reading.probabilities[AFFECTNET8.index(request.affectnet8)])
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Too far from the request."""
        error, probability = measured(measurements, "expression_error"), measured(measurements, "expression_probability")
        share = measured(measurements, "expression_error_share")
        bad = (error is not None and error > self.max_error) or (share is not None and share > self.max_share)
        bad = bad or (probability is not None and probability < self.min_probability)
        return "expression" if bad else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_error:g}, and {self.max_share:g} of a neutral face's; asked class at least {self.min_probability:.0%} probable"
