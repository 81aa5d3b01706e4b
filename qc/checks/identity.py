"""Is it the person who was asked for: cosine by the gate, at a calibrated threshold; the auditor's is kept beside it and has no say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured


@dataclass(frozen=True, kw_only=True)
class IdentityCheck:
    """Refuses faces below the gate's threshold. Nothing passes until a calibrated one is set."""

    min_cosine: float = 1.0
    name: str = "identity"
    unit: str = "cosine"
    source: str = "no calibration was given"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Cosines to the requested person, by the gate and by the auditor."""
        return {"sim_gate_ref": context.gate_cosine, "sim_audit_ref": context.audit_cosine}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Below the threshold of the gate."""
        cosine = measured(measurements, "sim_gate_ref")
        return "identity" if request.gate_reference is not None and cosine is not None and cosine < self.min_cosine else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at least {self.min_cosine:.3f}"
