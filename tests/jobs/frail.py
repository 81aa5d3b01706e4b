"""An executor of several workers in this process that can die, raise or be taken away, and whose answers come back in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from jobs.attempts import Attempt, Failure, Outcome
from tests.jobs.coloured import ColouredSpec

Fate = Callable[[Sequence[Attempt]], str | None]  # of a batch: "died", "preempted", or None


class FrailExecutor:
    """`fate` says of every batch that is made whether its worker dies at it; a worker that died had all of its batches in flight."""

    def __init__(self, spec: ColouredSpec, *, workers: int = 1, depth: int = 2, fate: Fate = lambda attempts: None, order_seed: int = 0) -> None:
        self.num_workers = workers
        self.batches: list[tuple[Attempt, ...]] = []  # all that were submitted
        self.alone: list[bool] = []  # whether nothing else was in flight then
        self.deaths = 0
        self.made: Counter[tuple[int, int]] = Counter()  # answers by slot and attempt
        self._worker = spec.build()
        self._depth, self._fate, self._order = depth, fate, np.random.default_rng(order_seed)
        self._queues: list[list[tuple[Attempt, ...]]] = [[] for _ in range(workers)]

    @property
    def idle(self) -> int:
        return sum(not queue for queue in self._queues)

    @property
    def room(self) -> int:
        return sum(self._depth - len(queue) for queue in self._queues)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        assert self.room and attempts
        self.alone.append(not any(self._queues))
        self.batches.append(tuple(attempts))
        min(self._queues, key=len).append(tuple(attempts))

    def collect(self) -> list[Outcome]:
        busy = [number for number, queue in enumerate(self._queues) if queue]
        number = int(self._order.choice(busy))
        queue = self._queues[number]
        fate = self._fate(queue[0])
        if fate:
            self.deaths += 1
            lost, self._queues[number] = queue, []
            return [self._outcome(batch, number, failure=Failure(kind=fate, message=f"worker {number} is gone")) for batch in lost]
        attempts = queue.pop(0)
        try:
            answers = self._worker(attempts)
        except Exception as error:  # noqa: BLE001 - as a real executor does
            return [self._outcome(attempts, number, failure=Failure(kind="raised", message=f"Traceback:\n{type(error).__name__}: {error}"))]
        self.made.update((answer.slot, answer.attempt) for answer in answers)
        return [self._outcome(attempts, number, answers=tuple(answers))]

    def __enter__(self) -> FrailExecutor:
        return self

    def __exit__(self, kind, error, trace) -> None:
        pass

    def _outcome(self, attempts, worker, *, answers=(), failure=None) -> Outcome:
        return Outcome(attempts=attempts, answers=answers, failure=failure, worker=worker, seconds=0.001)


def dies_at(*slots: int) -> Fate:
    """Batches with one of these slots kill their worker."""
    return lambda attempts: "died" if any(attempt.row.slot in slots for attempt in attempts) else None
