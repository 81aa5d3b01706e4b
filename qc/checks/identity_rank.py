"""Is the asked person the nearest of all people of the run, by the gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured


@dataclass(frozen=True, kw_only=True)
class IdentityRankCheck:
    """Measures only, unless a limit is set; 1 demands that nobody of the run is nearer."""

    max_rank: float | None = None
    name: str = "identity_rank"
    unit: str = "place, 1 is nearest"
    source: str = "no limit: its strictness grows with the number of people of a run, that of the false-match rate does not"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """The rank among all people."""
        return {} if context.identity_rank is None else {"obs_identity_rank": float(context.identity_rank)}

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Others are nearer."""
        rank = measured(measurements, "obs_identity_rank")
        return "identity_rank" if self.max_rank is not None and rank is not None and rank > self.max_rank else None

    def limit(self) -> str:
        """The limit as people read it."""
        return "measured only" if self.max_rank is None else f"at most {self.max_rank:g}"
