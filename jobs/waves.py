"""When a cell is given up: its attempts counted wave by wave, and the decision at the end of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

GivenUp = Literal["cell_attempts", "infeasible"]

CREDIBILITY = 0.999  # of the bound below which an acceptance is "surely" lower than asked for


@dataclass(frozen=True, kw_only=True)
class CellLimits:
    """What the slots of a cell in one shard may use up together.

    Both are decided shard by shard, so that shards stay independent of each other: an array of jobs that share nothing decides as one job does.
    """

    cell_attempts: int = 0  # the next wave would bring the cell above this: it isn't begun; the first wave always is. 0: no bound
    min_acceptance: float = 0.0  # a cell whose acceptance is surely below this is given up; 0: never

    @property
    def used(self) -> bool:
        """Whether any cell can be given up."""
        return self.cell_attempts > 0 or self.min_acceptance > 0

    def decide(self, *, tried: int, accepted: int, left: int) -> GivenUp | None:
        """The reason to give a cell up after complete waves with `tried` attempts, when `left` slots would be tried next; None: go on.

        The acceptance has a Beta posterior from a uniform prior; the cell is infeasible when its upper CREDIBILITY bound is below `min_acceptance`.
        """
        if self.min_acceptance > 0:
            from scipy.special import betainc

            if betainc(1 + accepted, 1 + tried - accepted, min(self.min_acceptance, 1.0)) > CREDIBILITY:
                return "infeasible"
        return "cell_attempts" if 0 < self.cell_attempts < tried + left else None


@dataclass(kw_only=True, slots=True)
class _Wave:
    """The wave of a cell that is being answered; it begins with all slots of the cell."""

    pending: int  # attempts of this wave without a verdict
    tried: int = 0  # attempts of this wave and those before, without those that set a slot aside
    accepted: int = 0
    failed: list[int] = field(default_factory=list)  # places in the shard whose attempt of this wave was rejected


class Waves:
    """The current wave of each cell of a shard.

    Wave w is attempt number w of every slot of the cell that the waves before left unresolved. Decisions are made on complete waves only, so they
    are a function of the verdicts, whatever their order and whatever was tried ahead of its wave.
    """

    def __init__(self, cells: Sequence[int], limits: CellLimits) -> None:
        self._limits = limits
        self._cell_of = [int(cell) for cell in cells]
        self._waves: dict[int, _Wave] = {}
        for cell in self._cell_of:
            if (wave := self._waves.get(cell)) is not None:
                wave.pending += 1
            else:
                self._waves[cell] = _Wave(pending=1)

    def take_in(self, place: int, *, accepted: bool | None, last: bool) -> tuple[list[int], GivenUp | None]:
        """Counts the verdict of a place's attempt of the current wave (None: it set the slot aside); `last`: no slot may be tried again after it.

        returns  the places that its wave left unresolved, if it is complete with this verdict, and the reason to give them up, if there is one
        """
        wave = self._waves[self._cell_of[place]]
        wave.pending -= 1
        wave.tried += accepted is not None
        wave.accepted += accepted is True
        if accepted is False:
            wave.failed.append(place)
        if wave.pending or not wave.failed:
            return [], None
        failed = sorted(wave.failed)
        wave.failed, wave.pending = [], len(failed)
        reason = None if last else self._limits.decide(tried=wave.tried, accepted=wave.accepted, left=len(failed))
        return failed, reason
