"""Fills the slots: hands attempts to workers, logs their answers, commits shards, and stops cleanly when asked to."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.attempts import Attempt, Outcome
from jobs.committing import Committer
from jobs.executors import Executor
from jobs.files import drop_unfinished, write_json
from jobs.isolation import Isolation, one_line
from jobs.lease import Lease
from jobs.locations import Location
from jobs.patience import patiently
from jobs.progress import Counts, ProgressLine
from jobs.scheduler import Scheduler, ShardOutcome
from jobs.sections import IsolationSection
from jobs.shards import Provenance, commit_shard, committed_shards, drop_unfinished_of
from jobs.staging import Quarantined, Staged, StagingLog
from jobs.stopping import StopRequest
from jobs.waves import CellLimits
from manifests.errors import BudgetError, WorkersLost
from manifests.planner import Plan
from manifests.rows import ManifestRow, ShardPlan
from manifests.vocabulary import vocabulary


@dataclass(frozen=True, kw_only=True)
class MakeLimits:
    """How attempts are bounded and batched, and how much failure is borne."""

    max_attempts: int  # of a slot
    batch_size: int
    cell_attempts: int = 0  # of the slots of a cell in a shard; 0: no other bound
    min_acceptance: float = 0.0  # a cell that surely has less is given up; 0: never
    isolation: IsolationSection = field(default_factory=IsolationSection)
    reopened: Mapping[str, int] = field(default_factory=dict)  # shard that is made again -> max_attempts of its slots, which no limit of cells holds for


def make_shards(folder: Location, plan: Plan, limits: MakeLimits, provenance: Provenance, executor: Callable[[], Executor], progress: ProgressLine, *,
                part: tuple[int, int] = (0, 1)) -> bool:  # fmt: skip
    """Fills every slot of the plan that no earlier command filled; True when all shards are committed, False when it was asked to stop.

    The folder's content afterwards is a function of plan, provenance and verdicts: not of the executor, the order of its answers, or kills.

    part  (i, n): only shards i, i + n, i + 2n, ... of the plan, so that n commands which know nothing of each other make the whole
    """
    number, of = part
    with Lease(folder, "lease" if of == 1 else f"lease-{number}-of-{of}") as lease, StopRequest() as stop:
        shards = plan.shards()
        mine = shards[number::of]
        if of == 1:
            drop_unfinished(folder)
        else:
            drop_unfinished_of(folder, {shard.name for shard in mine})
        complete = committed_shards(folder, provenance.run_hash, also=[each.run_hash for each in provenance.earlier])
        left = [shard for shard in mine if shard.name not in complete]
        log = StagingLog(folder, provenance.run_hash)
        log.drop_foreign({shard.name for place, shard in enumerate(shards) if place % of != number or shard.name not in complete})
        quarantined = sum(marker["counts"]["quarantined"] for marker in complete.values())
        slots = sum(shard.num_slots for shard in mine)
        skipped = slots - sum(shard.num_slots for shard in left)
        try:
            with progress:
                with Committer() as committer:
                    run = _Run(folder, plan, left, limits, provenance, log, lease, progress, committer, slots=slots, skipped=skipped, quarantined=quarantined)
                    run.replay()
                    if not run.done and not stop.asked:
                        with stop.as_ray_answers_it(), executor() as workers:
                            stop.install()
                            run.work(workers, stop)
                progress.show(run.counts(), final=True)
        finally:
            log.close()
        return run.done


class _Run:
    """State of one make command."""

    def __init__(self, folder: Location, plan: Plan, left: Sequence[ShardPlan], limits: MakeLimits, provenance: Provenance, log: StagingLog, lease: Lease,
                 progress: ProgressLine, committer: Committer, *, slots: int, skipped: int, quarantined: int) -> None:  # fmt: skip
        self._folder, self._plan, self._limits, self._provenance = folder, plan, limits, provenance
        self._log, self._lease, self._progress, self._committer = log, lease, progress, committer
        self._words = {word.word: word for word in vocabulary()}
        self._slots, self._skipped, self._quarantined = slots, skipped, quarantined
        self._rejected = self._speculative = self._replayed = self._committed = self._workers = self._in_flight = 0
        self._left = left
        self._starts = [shard.start for shard in left]
        self._scheduler = Scheduler(
            left,
            max_attempts=limits.max_attempts,
            limits=CellLimits(cell_attempts=limits.cell_attempts, min_acceptance=limits.min_acceptance),
            cells_of=lambda shard: plan.rows(shard.start, shard.stop)["cell"].to_pylist(),
            reopened=limits.reopened,
        )
        self._isolation = Isolation(limits.isolation)
        self._logged: dict[str, dict[tuple[int, int], Staged | Quarantined]] = {}  # of open shards: what an earlier command logged and isn't used yet
        self._ready: deque[tuple[int, int]] = deque()  # handed out by the scheduler, answered by no log
        self._answers: dict[str, list[Staged]] = defaultdict(list)
        self._staged_bytes: dict[str, int] = defaultdict(int)  # of the pictures of those
        self._set_aside: dict[str, list[Quarantined]] = defaultdict(list)
        self._rows: dict[str, list[ManifestRow]] = {}

    @property
    def done(self) -> bool:
        """Whether every shard is committed."""
        return self._scheduler.done

    def counts(self) -> Counts:
        """What this command has done so far."""
        return Counts(
            slots=self._slots,
            skipped=self._skipped + self._replayed,
            accepted=self._scheduler.num_filled - self._replayed,
            rejected=self._rejected,
            unfilled=self._scheduler.num_unfilled,
            quarantined=self._scheduler.num_quarantined,
            speculative=self._speculative,
            workers=self._workers,
            open_shards=self._scheduler.open_shards,
            committed_shards=self._committed,
            staging_bytes=sum(self._staged_bytes.values()),
        )

    def replay(self) -> None:
        """Answers from the log what an earlier command had answered."""
        self._refill(speculate=False)

    def work(self, workers: Executor, stop: StopRequest) -> None:
        """Until all slots are resolved, or it is asked to stop and what was begun is answered."""
        while not self.done:
            self._lease.check()
            self._committer.settle()
            self._workers = workers.num_workers
            if not self._workers:
                raise WorkersLost("workers: none is left and none can be started. The state is saved; look at the events, then run the same command again.")
            while not stop.asked and workers.room and (batch := self._next_batch(idle=workers.idle > 0)):
                self._isolation.handed_out(batch)
                workers.submit(batch)
                self._in_flight += 1
            if not self._in_flight:
                if stop.asked or self.done:
                    break
                if workers.room:
                    blamed = self._isolation.nothing_left()
                    assert blamed, "slots are open, and there is nothing to do for them"
                    self._quarantine(blamed)
                    continue
            self._take(workers.collect())
        patiently(self._log.sync)

    def _take(self, outcomes: Sequence[Outcome]) -> None:
        """Takes what became of batches: answers are logged before anything else is made of them."""
        self._in_flight -= len(outcomes)
        for outcome in outcomes:
            self._progress.took(outcome)
        came = [answer for outcome in outcomes for answer in outcome.answers]
        answers = [answer for answer in came if self._scheduler.is_open(answer.slot)]
        self._speculative += len(came) - len(answers)
        self._rejected += sum(not answer.verdict.accepted for answer in answers)
        for name in sorted({self._shard_of(answer.slot).name for answer in answers}):
            its = [answer for answer in answers if self._shard_of(answer.slot).name == name]
            self._take_in(patiently(lambda name=name, its=its: self._log.append(name, its)))  # type: ignore[misc]
        self._quarantine(self._isolation.take_in(outcomes))
        self._isolation.keep_only(self._scheduler.is_open)
        self._progress.show(self.counts())

    def _next_batch(self, *, idle: bool) -> Sequence[Attempt]:
        """The next attempts to make. For an idle worker a batch that isn't full is filled with attempts that may turn out to be needed."""
        if again := self._isolation.next_batch(self._in_flight):
            return again
        if self._isolation.draining:
            return ()
        self._refill(speculate=idle)
        if not idle and len(self._ready) < self._limits.batch_size:
            return ()
        pairs = [self._ready.popleft() for _ in range(min(len(self._ready), self._limits.batch_size))]
        batch = []
        for slot, attempt in pairs:
            row = self._row(slot)
            batch.append(Attempt(row=row, attempt=attempt, seed=row.seed(self._plan.spec.run_seed, attempt)))
        return batch

    def _refill(self, *, speculate: bool) -> None:
        while (room := self._limits.batch_size - len(self._ready)) > 0 and (pairs := self._scheduler.take(room, speculate=speculate)):
            for pair in pairs:
                known = self._known(pair)
                if known is None:
                    self._ready.append(pair)
                elif isinstance(known, Quarantined):
                    self._set_aside_now(known)
                else:
                    self._replay_one(known)
            self._after_verdicts()

    def _known(self, pair: tuple[int, int]) -> Staged | Quarantined | None:
        """What an earlier command logged for an attempt."""
        name = self._shard_of(pair[0]).name
        if name not in self._logged:
            content = self._log.read(name)
            answers = {(staged.slot, staged.attempt): staged for staged in content.answers}
            self._logged[name] = {**answers, **{(failure.slot, failure.attempt): failure for failure in content.quarantined}}
        return self._logged[name].pop(pair, None)

    def _replay_one(self, staged: Staged) -> None:
        filled = self._scheduler.num_filled
        if self._give_verdict(staged):
            row = self._row(staged.slot)
            self._progress.answered(slot=row.slot, attempt=staged.attempt, cell=row.cell, expression=row.expression, accepted=staged.accepted)
        self._replayed += self._scheduler.num_filled - filled

    def _take_in(self, answers: Sequence[Staged]) -> None:
        for staged in answers:
            self._give_verdict(staged)
        self._after_verdicts()

    def _give_verdict(self, staged: Staged) -> bool:
        """Whether the slot was open."""
        is_open = self._scheduler.is_open(staged.slot)
        if is_open:
            name = self._shard_of(staged.slot).name
            self._answers[name].append(staged)
            self._staged_bytes[name] += staged.num_bytes
            self._scheduler.answer(staged.slot, staged.attempt, accepted=staged.accepted)
        return is_open

    def _after_verdicts(self) -> None:
        """Forgets attempts that were to be made in case others failed, and those didn't; commits what is resolved."""
        self._ready = deque(pair for pair in self._ready if self._scheduler.is_open(pair[0]))
        for outcome in self._scheduler.finished():
            self._commit(outcome)

    def _quarantine(self, failures: Sequence[Quarantined]) -> None:
        for failure in failures:
            if self._scheduler.is_open(failure.slot):
                patiently(lambda failure=failure: self._log.append_failure(self._shard_of(failure.slot).name, failure))  # type: ignore[misc]
                self._set_aside_now(failure)
        self._after_verdicts()
        number, allowed = self._quarantined + self._scheduler.num_quarantined, self._limits.isolation.max_quarantined
        if failures and number > allowed:
            raise BudgetError(
                f"quarantine: {number:,} slots of {self._folder} were set aside, isolation.max_quarantined allows {allowed:,} "
                f"({one_line(failures[-1].message)}). Look into quarantine/*.json, then run the same command again, with a higher limit if that is right."
            )

    def _set_aside_now(self, failure: Quarantined) -> None:
        if self._scheduler.is_open(failure.slot):
            self._set_aside[self._shard_of(failure.slot).name].append(failure)
            self._scheduler.quarantine(failure.slot, failure.attempt)
            self._progress.event(f"slot {failure.slot} was set aside: attempt {failure.attempt} {failure.kind}")
            if not self._scheduler.is_open(failure.slot):
                self._write_quarantined(failure)

    def _write_quarantined(self, failure: Quarantined) -> None:
        row = self._row(failure.slot)
        asked = {name: getattr(row, name) for name in ("slot", "sample_id", "cell", "identity_id", "expression", "scene_id")}
        found = {"attempt": failure.attempt, "seed": row.seed(self._plan.spec.run_seed, failure.attempt), "kind": failure.kind, "message": failure.message}
        patiently(lambda: write_json(self._folder / "quarantine" / f"{row.sample_id}.json", {**asked, **found}))

    def _commit(self, outcome: ShardOutcome) -> None:
        """Has a shard written; attempts that were made in case others failed are left out, so that its files don't depend on who was idle when."""
        name = outcome.plan.name
        answers, set_aside = self._answers.pop(name, []), self._set_aside.pop(name, [])
        self._speculative += sum(not outcome.counts(staged.slot, staged.attempt) for staged in answers)
        decisive = [failure for failure in set_aside if failure.slot in outcome.quarantined and failure.attempt == outcome.tried[failure.slot]]
        for failure in decisive:
            self._write_quarantined(failure)
        self._row(outcome.plan.start)
        rows, provenance = self._rows.pop(name), self._provenance.at(outcome.plan.start)
        self._committer.submit(
            lambda: commit_shard(self._folder, outcome, rows, answers, decisive, provenance, self._words, self._log.pictures),
            lambda: self._committed_now(outcome.plan),
        )

    def _committed_now(self, shard: ShardPlan) -> None:
        patiently(lambda: self._log.drop(shard.name))
        self._staged_bytes.pop(shard.name, None)
        self._logged.pop(shard.name, None)
        self._committed += 1
        self._progress.settled(shard.start, shard.stop)

    def _row(self, slot: int) -> ManifestRow:
        shard = self._shard_of(slot)
        if shard.name not in self._rows:
            self._rows[shard.name] = self._plan.row_list(shard.start, shard.stop)
        return self._rows[shard.name][slot - shard.start]

    def _shard_of(self, slot: int) -> ShardPlan:
        return self._left[bisect_right(self._starts, slot) - 1]
