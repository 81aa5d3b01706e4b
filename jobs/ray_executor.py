"""Workers as Ray actors: started by `with`, fed two batches ahead, replaced when they die, stopped after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jobs.attempts import Answer, Attempt, Failure, Outcome, WorkerSpec
from jobs.executors import COLLECT_SECONDS, IN_FLIGHT
from jobs.ray_crew import Crew, Member
from jobs.ray_failures import failure_of
from jobs.ray_session import close_ray, cluster_address, open_ray, store_bytes
from jobs.sections import PlacementSection

IN_FLIGHT_WITH_JUDGES = IN_FLIGHT + 1  # and one that is judged
BATCH_BYTES = 16 << 20  # pictures of a batch, for specs that don't say


@dataclass(kw_only=True, eq=False)
class _Batch:
    """Attempts that were submitted and aren't answered."""

    attempts: tuple[Attempt, ...]
    start: float
    worker: Member
    actor: Any  # the worker's when it was submitted; the one in its place now may be a successor
    pixels: Any = None  # a list of the reference to what was made
    judge: Member | None = None  # None: it isn't made yet, or waits for a judge
    judge_actor: Any = None


class RayExecutor:
    """Workers on a Ray of this command's own, bound to the loop-back address, or on a cluster that it joins.

    Attempts travel by value (far below 100 KB), weights by path, answers to this process. With judges, a worker only makes pixels, and hands them
    by reference to a judge on its own node. A death is an outcome of the batches that the process had, and the process is replaced.
    """

    def __init__(self, spec: WorkerSpec, workers: int, *, placement: PlacementSection, address: str | None, batch_bytes: int = BATCH_BYTES) -> None:
        self._address = cluster_address(address)
        self._spec = spec
        self._wanted = workers
        self._judges = placement.judges
        self._in_flight_limit = IN_FLIGHT_WITH_JUDGES if placement.judges else IN_FLIGHT
        self._store = store_bytes(workers=workers, in_flight=self._in_flight_limit, batch_bytes=batch_bytes)
        self._crew = Crew(spec, workers=workers, judges=placement.judges, recycle_bytes=placement.recycle_mb << 20)
        self._in_flight: dict[Any, _Batch] = {}  # reference of what comes next -> its batch
        self._made: list[_Batch] = []  # for which no judge is there

    @property
    def num_workers(self) -> int:
        return self._crew.num_workers

    @property
    def idle(self) -> int:
        return sum(not member.load for member in self._crew.up())

    @property
    def room(self) -> int:
        return sum(max(0, self._in_flight_limit - member.load) for member in self._crew.up())

    def submit(self, attempts: Sequence[Attempt]) -> None:
        worker = min(self._crew.up(), key=lambda member: member.load)
        worker.load += 1
        call = worker.actor.generate if self._judges else worker.actor.run
        self._in_flight[call.remote(list(attempts))] = _Batch(
            attempts=tuple(attempts), start=time.monotonic(), worker=worker, actor=worker.actor
        )  # fmt: skip

    def collect(self) -> list[Outcome]:
        import ray

        end = time.monotonic() + COLLECT_SECONDS
        while True:
            next_start = self._crew.tend()
            outcomes = self._hand_over()
            if outcomes:
                return outcomes
            starts = self._crew.pending()
            references = [*self._in_flight, *starts]
            left = end - time.monotonic()
            if left <= 0 or not (references or self._made or next_start is not None):
                return []
            pause = left if next_start is None else max(0.0, min(left, next_start))
            if not references:
                time.sleep(pause)
                continue
            ready, _ = ray.wait(references, num_returns=1, timeout=pause)
            for reference in ready:
                if reference in starts:
                    self._crew.took(starts[reference])
                    if starts[reference].stage == "up":
                        return []  # there is room now
                else:
                    outcome = self._take(reference)
                    if outcome is not None:
                        return [outcome]

    def __enter__(self) -> RayExecutor:
        try:
            open_ray(self._address, num_cpus=self._wanted + self._judges, num_gpus_per_worker=self._spec.num_gpus, store=self._store)
            self._crew.tend()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._in_flight, self._made = {}, []
        try:
            self._crew.dismiss_all()
        finally:
            close_ray()

    def _take(self, reference: Any) -> Outcome | None:
        """What became of a batch; None: it is made and goes on to a judge."""
        import ray
        from ray.exceptions import RayError

        batch = self._in_flight.pop(reference)
        member, actor = (batch.worker, batch.actor) if batch.judge is None else (batch.judge, batch.judge_actor)
        try:
            value, memory_bytes = ray.get(reference)
        except RayError as error:
            failure = failure_of(error)
            if failure.kind == "raised":
                return self._outcome(batch, (), failure)
            gone = (batch.worker, batch.actor) if _owner_is_gone(error) else (member, actor)
            self._crew.lost(*gone)
            return self._outcome(batch, (), failure)
        if member.actor is actor:
            self._crew.answered(member, memory_bytes)
        if self._judges and batch.judge is None:
            batch.pixels = value
            self._made.append(batch)
            return None
        return self._outcome(batch, tuple(value), None)

    def _hand_over(self) -> list[Outcome]:
        """Gives pixels to judges; outcomes of those that no judge will ever take."""
        waiting, self._made = self._made, []
        hopeless = []
        for batch in waiting:
            node = batch.worker.node
            judge = self._crew.judge_on(node)
            if batch.worker.actor is not batch.actor or not self._crew.has_hope(node):
                if batch.worker.actor is batch.actor:
                    self._crew.give_up(batch.worker, "no judge can be started on its node")
                hopeless.append(self._outcome(batch, (), Failure(kind="died", message="the pixels were lost with their worker, or no judge could be started")))
            elif judge is None:
                self._made.append(batch)
            else:
                batch.judge, batch.judge_actor = judge, judge.actor
                judge.load += 1
                self._in_flight[judge.actor.judge.remote(list(batch.attempts), batch.pixels)] = batch
        return hopeless

    def _outcome(self, batch: _Batch, answers: tuple[Answer, ...], failure: Failure | None) -> Outcome:
        batch.pixels = None
        for member, actor in ((batch.worker, batch.actor), (batch.judge, batch.judge_actor)):
            if member is not None and member.actor is actor:
                member.load -= 1
        seconds = time.monotonic() - batch.start
        return Outcome(attempts=batch.attempts, answers=answers, failure=failure, worker=batch.worker.number, seconds=seconds)


def _owner_is_gone(error: Exception) -> bool:
    """Whether a judge answered, and said that the pixels went with the worker that made them."""
    from ray.exceptions import RayError, RayTaskError

    return isinstance(error, RayTaskError) and isinstance(error.cause, RayError)
