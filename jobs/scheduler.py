"""Which attempt at which slot comes next: every slot is filled by its smallest passing attempt, whatever the order of the answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from manifests.rows import ShardPlan


@dataclass(kw_only=True)
class _OpenShard:
    plan: ShardPlan
    waiting: deque[tuple[int, int]]  # (slot, attempt)
    handed_out: dict[int, int]  # unresolved slot -> its attempts that wait or were handed out
    verdicts: dict[int, dict[int, bool]] = field(default_factory=dict)  # slot -> attempt -> accepted
    filled: dict[int, int] = field(default_factory=dict)  # slot -> attempt
    unfilled: set[int] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """A shard with all of its slots resolved."""

    plan: ShardPlan
    filled: dict[int, int]  # slot -> the attempt that fills it
    unfilled: tuple[int, ...]  # slots whose attempts all failed


class Scheduler:
    """Hands out attempts of a window of open shards and takes their verdicts; memory is bounded by the window.

    A slot's outcome is its smallest passing attempt below `max_attempts`: a function of the verdicts alone. Attempt a + 1 is handed out after
    attempt a failed, or, when asked to speculate, before that is known, so that no worker idles while the last slots are tried again.
    """

    def __init__(self, shards: Iterable[ShardPlan], *, max_attempts: int, window: int = 4) -> None:
        assert max_attempts >= 1 and window >= 1
        self.max_attempts = max_attempts
        self.window = window
        self.num_filled = 0
        self._coming: Iterator[ShardPlan] = iter(shards)
        self._open: list[_OpenShard] = []
        self._finished: list[ShardOutcome] = []
        self._fill_window(0)

    @property
    def done(self) -> bool:
        """Whether every slot of every shard is resolved."""
        return not self._open

    @property
    def waiting(self) -> int:
        """Attempts of the open shards that are needed and can be handed out now."""
        return sum(len(shard.waiting) for shard in self._open)

    def is_open(self, slot: int) -> bool:
        """Whether a slot that was handed out still waits for its outcome."""
        return any(slot in shard.handed_out for shard in self._open)

    def take(self, limit: int, *, speculate: bool = False) -> list[tuple[int, int]]:
        """Up to `limit` (slot, attempt) pairs, earlier shards first; more shards are opened, within the window, to make the list full.

        speculate  fill the list with attempts that are needed only if those before them fail
        """
        self._fill_window(limit)
        taken: list[tuple[int, int]] = []
        for shard in self._open:
            while shard.waiting and len(taken) < limit:
                taken.append(shard.waiting.popleft())
        if speculate and len(taken) < limit:
            taken += self._speculative(limit - len(taken))
        return taken

    def answer(self, slot: int, attempt: int, *, accepted: bool) -> None:
        """Takes the verdict of one attempt at an open slot."""
        shard = next(shard for shard in self._open if slot in shard.handed_out)
        verdicts = shard.verdicts.setdefault(slot, {})
        verdicts[attempt] = accepted
        first = next(number for number in range(self.max_attempts + 1) if verdicts.get(number) is not False)  # all before it failed
        if verdicts.get(first):
            shard.filled[slot] = first
            self.num_filled += 1
        elif first == self.max_attempts:
            shard.unfilled.add(slot)
        else:
            if first == shard.handed_out[slot]:
                shard.waiting.append((slot, first))
                shard.handed_out[slot] += 1
            return
        del shard.handed_out[slot], shard.verdicts[slot]
        if not shard.handed_out:
            self._open.remove(shard)
            self._finished.append(ShardOutcome(plan=shard.plan, filled=shard.filled, unfilled=tuple(sorted(shard.unfilled))))
            self._fill_window(0)

    def finished(self) -> list[ShardOutcome]:
        """Shards that were resolved since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def _speculative(self, limit: int) -> list[tuple[int, int]]:
        """Further attempts at unresolved slots, one each in turn; those that failed most often first, because they decide when the run ends."""
        taken: list[tuple[int, int]] = []
        while len(taken) < limit:
            open_slots = [(handed, slot, shard) for shard in self._open for slot, handed in shard.handed_out.items() if handed < self.max_attempts]
            if not open_slots:
                break
            for handed, slot, shard in sorted(open_slots, key=lambda item: (-item[0], item[1]))[: limit - len(taken)]:
                shard.handed_out[slot] += 1
                taken.append((slot, handed))
        return taken

    def _fill_window(self, wanted: int) -> None:
        while len(self._open) < self.window and (not self._open or self.waiting < wanted):
            plan = next(self._coming, None)
            if plan is None:
                return
            slots = range(plan.start, plan.stop)
            self._open.append(_OpenShard(plan=plan, waiting=deque((slot, 0) for slot in slots), handed_out=dict.fromkeys(slots, 1)))
