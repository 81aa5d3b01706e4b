"""Which attempt at which slot comes next: every slot is filled by its smallest passing attempt, whatever the order of the answers."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from jobs.waves import CellLimits, GivenUp, Waves
from manifests.rows import ShardPlan

_OPEN, _FILLED, _UNFILLED, _QUARANTINED = range(4)  # states of a slot


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """A shard with all of its slots resolved: each is filled, unfilled or quarantined."""

    plan: ShardPlan
    filled: Mapping[int, int]  # slot -> the attempt that fills it
    unfilled: tuple[int, ...] = ()  # slots without a passing attempt
    given_up: Mapping[int, GivenUp] = field(default_factory=dict)  # those of the unfilled whose cell was given up, and why
    quarantined: tuple[int, ...] = ()  # slots set aside
    tried: Mapping[int, int] = field(default_factory=dict)  # unfilled or quarantined slot -> attempts that were rejected, without those tried in case

    def counts(self, slot: int, attempt: int) -> bool:
        """Whether an attempt has a part in the outcome, or was only made in case."""
        filled = self.filled.get(slot)
        return attempt <= filled if filled is not None else attempt < self.tried.get(slot, attempt + 1)


class _OpenShard:
    """The slots of one shard; a slot's place is its number in the shard."""

    __slots__ = ("again", "early", "fresh", "given_up", "handed", "held", "left", "max_attempts", "plan", "resolved", "state", "turn", "waves")

    def __init__(self, plan: ShardPlan, max_attempts: int, waves: Waves | None, resolved: list[int]) -> None:
        self.plan = plan
        self.resolved = resolved  # slots of all shards by their state; this one counts its own there
        self.max_attempts = max_attempts
        self.waves = waves  # None: a slot is tried again without waiting for others
        self.fresh = plan.start  # from this slot on nothing was handed out
        self.again: deque[tuple[int, int]] = deque()  # (slot, attempt) to hand out, after first attempts
        self.left = plan.num_slots  # unresolved
        self.state = bytearray(plan.num_slots)
        self.turn = [0] * plan.num_slots  # the attempt whose verdict decides next; of a resolved slot the one that decided
        self.handed = [1] * plan.num_slots  # attempts that wait or were handed out
        self.held = bytearray(plan.num_slots)  # 1: rejected, and its wave isn't complete
        self.early: dict[int, dict[int, bool | None]] = {}  # place -> attempt -> verdict that came before its turn
        self.given_up: dict[int, GivenUp] = {}

    @property
    def waiting(self) -> int:
        """Attempts that are needed and can be handed out."""
        return self.plan.stop - self.fresh + len(self.again)

    def take_in(self, place: int, attempt: int, accepted: bool | None) -> None:
        """Takes a verdict (None: the slot is to be set aside), now or when its turn comes."""
        if attempt != self.turn[place]:
            self.early.setdefault(place, {})[attempt] = accepted
            return
        if accepted and self.waves is None:
            self._resolve(place, _FILLED)
            return
        decided: list[tuple[int, bool | None]] = [(place, accepted)]  # places whose turn it is, with their verdicts
        while decided:
            place, accepted = decided.pop()
            last = self.turn[place] + 1 == self.max_attempts
            if self.waves is None:
                failed, reason = ([place], None) if accepted is False else ([], None)
            else:
                failed, reason = self.waves.take_in(place, accepted=accepted, last=last)
            if accepted is not False:
                self._resolve(place, _FILLED if accepted else _QUARANTINED)
            else:
                self.held[place] = 1
            for other in failed:
                self.turn[other] += 1
                self.held[other] = 0
                if last or reason:
                    self._resolve(other, _UNFILLED)
                    if reason:
                        self.given_up[self.plan.start + other] = reason
                elif self.turn[other] in (known := self.early.get(other, {})):
                    decided.append((other, known.pop(self.turn[other])))
                elif self.turn[other] == self.handed[other]:
                    self.again.append((self.plan.start + other, self.turn[other]))
                    self.handed[other] += 1

    def outcome(self) -> ShardOutcome:
        """What became of the slots, all of which are resolved."""
        start = self.plan.start
        if self.state.count(_FILLED) == len(self.state):
            return ShardOutcome(plan=self.plan, filled=dict(zip(range(start, self.plan.stop), self.turn, strict=True)))
        slots = {state: [start + place for place, its in enumerate(self.state) if its == state] for state in (_FILLED, _UNFILLED, _QUARANTINED)}
        return ShardOutcome(
            plan=self.plan,
            filled={slot: self.turn[slot - start] for slot in slots[_FILLED]},
            unfilled=tuple(slots[_UNFILLED]),
            given_up=dict(sorted(self.given_up.items())),
            quarantined=tuple(slots[_QUARANTINED]),
            tried={slot: self.turn[slot - start] for slot in sorted(slots[_UNFILLED] + slots[_QUARANTINED])},
        )

    def ahead(self) -> Iterator[tuple[int, int, int]]:
        """(rank, slot, attempt) of the next attempt at every unresolved slot that could be made in case; a smaller rank is more useful."""
        place = self.state.find(_OPEN)
        while place >= 0:
            if (attempt := self.handed[place]) < self.max_attempts:
                yield -attempt - self.held[place] * self.max_attempts, self.plan.start + place, attempt
            place = self.state.find(_OPEN, place + 1)

    def _resolve(self, place: int, state: int) -> None:
        self.state[place] = state
        self.resolved[state] += 1
        self.left -= 1
        if self.early:
            self.early.pop(place, None)


class Scheduler:
    """Hands out attempts of a window of open shards and takes their verdicts; memory is bounded by the window.

    A slot's outcome is its smallest passing attempt below `max_attempts`, or that of its shard in `reopened`: a function of the verdicts alone.
    Attempt a + 1 is handed out after attempt a failed, or, when asked to speculate, before that is known, so that no worker idles while the last slots
    are tried again. With limits of cells it is handed out after all attempts a of the cell in the shard; decisions are per shard, so that shards stay
    independent. A reopened shard has no limits of cells: its slots are tried again because somebody asked for it.

    cells_of  cells of the slots of a shard; asked for when a shard is opened, and only with limits of cells
    """

    def __init__(self, shards: Iterable[ShardPlan], *, max_attempts: int, window: int = 4, limits: CellLimits | None = None,
                 cells_of: Callable[[ShardPlan], Sequence[int]] | None = None, reopened: Mapping[str, int] | None = None) -> None:  # fmt: skip
        assert max_attempts >= 1 and window >= 1
        self._resolved = [0, 0, 0, 0]  # slots by their state
        self._max_attempts, self._window = max_attempts, window
        self._limits = limits or CellLimits()
        assert cells_of is not None or not self._limits.used
        self._cells_of = cells_of
        self._reopened = reopened or {}
        self._coming: Iterator[ShardPlan] = iter(shards)
        self._open: list[_OpenShard] = []  # in the order of their slots
        self._starts: list[int] = []
        self._finished: list[ShardOutcome] = []
        self._fill_window(0)

    @property
    def done(self) -> bool:
        """Whether every slot of every shard is resolved."""
        return not self._open

    @property
    def open_shards(self) -> int:
        """Shards that attempts were handed out of and that aren't resolved."""
        return len(self._open)

    @property
    def num_filled(self) -> int:
        """Slots with a passing attempt so far."""
        return self._resolved[_FILLED]

    @property
    def num_unfilled(self) -> int:
        """Slots whose attempts all failed, or whose cell was given up."""
        return self._resolved[_UNFILLED]

    @property
    def num_quarantined(self) -> int:
        """Slots set aside."""
        return self._resolved[_QUARANTINED]

    @property
    def waiting(self) -> int:
        """Attempts of the open shards that are needed and can be handed out now."""
        return sum(shard.waiting for shard in self._open)

    def is_open(self, slot: int) -> bool:
        """Whether a slot that was handed out still waits for its outcome."""
        shard = self._shard_of(slot)
        return shard is not None and shard.state[slot - shard.plan.start] == _OPEN

    def take(self, limit: int, *, speculate: bool = False) -> list[tuple[int, int]]:
        """Up to `limit` (slot, attempt) pairs, earlier shards first; more shards are opened, within the window, to make the list full.

        speculate  fill the list with attempts that are needed only if those before them fail
        """
        self._fill_window(limit)
        taken: list[tuple[int, int]] = []
        for shard in self._open:
            stop = min(shard.fresh + limit - len(taken), shard.plan.stop)
            taken += zip(range(shard.fresh, stop), repeat(0))
            shard.fresh = stop
            while shard.again and len(taken) < limit:
                taken.append(shard.again.popleft())
        while speculate and len(taken) < limit and (ahead := self._ahead(limit - len(taken))):
            taken += ahead
        return taken

    def answer(self, slot: int, attempt: int, *, accepted: bool) -> None:
        """Takes the verdict of one attempt at an open slot."""
        self._take_in(slot, attempt, accepted)

    def quarantine(self, slot: int, attempt: int) -> None:
        """Sets an open slot aside, because this attempt can't be made; it has no effect if an attempt before it passes."""
        self._take_in(slot, attempt, None)

    def finished(self) -> list[ShardOutcome]:
        """Shards that were resolved since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def _take_in(self, slot: int, attempt: int, accepted: bool | None) -> None:
        shard = self._shard_of(slot)
        assert shard is not None and shard.state[slot - shard.plan.start] == _OPEN
        shard.take_in(slot - shard.plan.start, attempt, accepted)
        if not shard.left:
            place = self._open.index(shard)
            del self._open[place], self._starts[place]
            self._finished.append(shard.outcome())
            self._fill_window(0)

    def _shard_of(self, slot: int) -> _OpenShard | None:
        place = bisect_right(self._starts, slot) - 1
        return self._open[place] if place >= 0 and slot < self._open[place].plan.stop else None

    def _ahead(self, limit: int) -> list[tuple[int, int]]:
        """Further attempts at unresolved slots, one each; those that failed most often first, because they decide when the run ends."""
        chosen = heapq.nsmallest(limit, (candidate for shard in self._open for candidate in shard.ahead()))
        for _, slot, _ in chosen:
            shard = self._shard_of(slot)
            assert shard is not None
            shard.handed[slot - shard.plan.start] += 1
        return [(slot, attempt) for _, slot, attempt in chosen]

    def _fill_window(self, wanted: int) -> None:
        while len(self._open) < self._window and (not self._open or self.waiting < wanted):
            plan = next(self._coming, None)
            if plan is None:
                return
            reopened = self._reopened.get(plan.name)
            limited = self._limits.used and reopened is None
            waves = Waves(self._cells_of(plan), self._limits) if limited and self._cells_of is not None else None
            self._open.append(_OpenShard(plan, reopened or self._max_attempts, waves, self._resolved))
            self._starts.append(plan.start)
