"""How far valence and arousal are from the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured


@dataclass(frozen=True, kw_only=True)
class AffectCheck:
    """Measures only, unless limits are set: a word's valence and arousal come from a lexicon, and faces say less than words."""

    max_valence_error: float | None = None
    max_arousal_error: float | None = None
    name: str = "affect"
    unit: str = "of -1 .. 1"
    source: str = "no limit: requested values are those of a word, not of a face"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Absolute errors."""
        reading, request = context.reading, context.request
        if reading is None or request.valence is None or request.arousal is None:
            return {}
        return {"valence_error": abs(reading.valence - request.valence), "arousal_error": abs(reading.arousal - request.arousal)}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Farther than a limit."""
        limits = {"valence_error": self.max_valence_error, "arousal_error": self.max_arousal_error}
        for name, limit in limits.items():
            error = measured(measurements, name)
            if limit is not None and error is not None and error > limit:
                return "affect"
        return None

    def limit(self) -> str:
        """The limit as people read it."""
        both = (("valence", self.max_valence_error), ("arousal", self.max_arousal_error))
        limits = [f"{name} at most {limit:g}" for name, limit in both if limit is not None]
        return ", ".join(limits) or "measured only"
