"""Fills the slots: hands attempts to workers, logs their answers, commits shards, and stops cleanly when asked to."""

from __future__ import annotations

import signal
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from jobs.attempts import Answer, Attempt
from jobs.executors import Executor
from jobs.files import drop_unfinished
from jobs.progress import Counts, ProgressLine
from jobs.scheduler import Scheduler, ShardOutcome
from jobs.shards import Provenance, commit_shard, committed_shards
from jobs.staging import StagingLog
from manifests.planner import Plan
from manifests.rows import ManifestRow, ShardPlan
from manifests.vocabulary import vocabulary


@dataclass(frozen=True, kw_only=True)
class MakeLimits:
    """How attempts are bounded and batched."""

    max_attempts: int  # of a slot
    batch_size: int


class StopRequest:
    """Set by the first SIGINT or SIGTERM inside a `with` block; the second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)


def make_shards(folder: Path, plan: Plan, limits: MakeLimits, provenance: Provenance, executor: Callable[[], Executor], progress: ProgressLine) -> bool:
    """Fills every slot of the plan that no earlier command filled; True when all shards are committed, False when it was asked to stop.

    The folder's content afterwards is a function of plan, provenance and verdicts: not of the executor, the order of its answers, or kills.
    """
    drop_unfinished(folder)
    complete = committed_shards(folder, provenance.run_hash)
    shards = plan.shards()
    left = [shard for shard in shards if shard.name not in complete]
    log = StagingLog(folder, provenance.run_hash)
    log.drop_foreign({shard.name for shard in left})
    run = _Run(folder, plan, left, limits, provenance, log, skipped=sum(shard.num_slots for shard in shards if shard.name in complete))
    try:
        with progress:
            run.replay()
            if left and not run.done:
                with executor() as workers, StopRequest() as stop:  # subtle: Ray replaces signal handlers that are set before it
                    run.work(workers, stop, progress)
            progress.show(run.counts(), final=True)
    finally:
        log.close()
    return run.done


class _Run:
    """State of one make command."""

    def __init__(self, folder: Path, plan: Plan, left: Sequence[ShardPlan], limits: MakeLimits, provenance: Provenance, log: StagingLog, *,
                 skipped: int) -> None:  # fmt: skip
        self._folder, self._plan, self._limits, self._provenance, self._log = folder, plan, limits, provenance, log
        self._words = {word.word: word for word in vocabulary()}
        self._skipped = skipped
        self._rejected = self._unfilled = self._replayed = 0
        self._left = {shard.name: shard for shard in left}
        self._left_starts = [shard.start for shard in left]
        self._left_names = [shard.name for shard in left]
        self._scheduler = Scheduler(left, max_attempts=limits.max_attempts)
        self._logged: dict[tuple[int, int], Answer] = {}
        self._ready: deque[tuple[int, int]] = deque()  # handed out by the scheduler, answered by no log
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._rows: dict[str, list[ManifestRow]] = {}

    @property
    def done(self) -> bool:
        return self._scheduler.done

    def counts(self) -> Counts:
        accepted = self._scheduler.num_filled - self._replayed
        return Counts(slots=self._plan.num_slots, skipped=self._skipped, accepted=accepted, rejected=self._rejected, unfilled=self._unfilled)

    def replay(self) -> None:
        """Answers from the log what an earlier command had answered."""
        for name in self._left:
            for answer in self._log.read(name):
                self._logged[answer.slot, answer.attempt] = answer
        self._refill(speculate=False)
        self._skipped += self._scheduler.num_filled
        self._replayed = self._scheduler.num_filled

    def work(self, workers: Executor, stop: StopRequest, progress: ProgressLine) -> None:
        """Until all slots are resolved, or it is asked to stop and what was begun is answered."""
        in_flight = 0
        while not self.done:
            while not stop.asked and workers.room and (batch := self._next_batch(idle=workers.idle > 0)):
                workers.submit(batch)
                in_flight += 1
            if not in_flight:
                if stop.asked:
                    return
                continue  # all that was handed out had been logged
            answers = [answer for answer in workers.collect() if self._scheduler.is_open(answer.slot)]
            in_flight -= 1
            for name in {self._shard_of(answer.slot) for answer in answers}:
                self._log.append(name, [answer for answer in answers if self._shard_of(answer.slot) == name])
            self._rejected += sum(not answer.verdict.accepted for answer in answers)
            self._take_in(answers)
            progress.show(self.counts())

    def _next_batch(self, *, idle: bool) -> list[Attempt]:
        """The next attempts to make. For an idle worker a batch that isn't full is filled with attempts that may turn out to be needed."""
        self._refill(speculate=idle)
        if not idle and len(self._ready) < self._limits.batch_size:
            return []
        pairs = [self._ready.popleft() for _ in range(min(len(self._ready), self._limits.batch_size))]
        batch = []
        for slot, attempt in pairs:
            row = self._row(slot)
            batch.append(Attempt(row=row, attempt=attempt, seed=row.seed(self._plan.spec.run_seed, attempt)))
        return batch

    def _refill(self, *, speculate: bool) -> None:
        while (room := self._limits.batch_size - len(self._ready)) > 0 and (pairs := self._scheduler.take(room, speculate=speculate)):
            self._ready += [pair for pair in pairs if pair not in self._logged]
            self._take_in([self._logged.pop(pair) for pair in pairs if pair in self._logged])

    def _take_in(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if self._scheduler.is_open(answer.slot):
                self._answers[self._shard_of(answer.slot)].append(answer)
                self._scheduler.answer(answer.slot, answer.attempt, accepted=answer.verdict.accepted)
        self._drop_needless()
        for outcome in self._scheduler.finished():
            self._commit(outcome)

    def _drop_needless(self) -> None:
        """Forgets attempts that were to be made in case others failed, and those didn't."""
        self._ready = deque(pair for pair in self._ready if self._scheduler.is_open(pair[0]))

    def _commit(self, outcome: ShardOutcome) -> None:
        name = outcome.plan.name
        self._row(outcome.plan.start)
        # Attempts after the one that fills a slot were made in case; without them the files don't depend on who was idle when.
        answers = [answer for answer in self._answers.pop(name) if answer.attempt <= outcome.filled.get(answer.slot, self._limits.max_attempts)]
        commit_shard(self._folder, outcome, self._rows.pop(name), answers, self._provenance, self._words)
        self._log.drop(name)
        self._unfilled += len(outcome.unfilled)

    def _row(self, slot: int) -> ManifestRow:
        name = self._shard_of(slot)
        shard = self._left[name]
        if name not in self._rows:
            self._rows[name] = self._plan.row_list(shard.start, shard.stop)
        return self._rows[name][slot - shard.start]

    def _shard_of(self, slot: int) -> str:
        return self._left_names[bisect_right(self._left_starts, slot) - 1]
