"""Two ways to run the same workers: in this process, or as Ray actors that this process starts and stops."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

from jobs.attempts import Answer, Attempt, Worker, WorkerSpec
from manifests.errors import BudgetError, FacemintError

IN_FLIGHT_PER_ACTOR = 2  # batches: one that runs, one that waits
OBJECT_STORE_BYTES = 128 << 20  # answers are small, a batch of encoded pictures


class Executor(Protocol):
    """Takes batches and gives answers; `idle` and `room` say how many batches it can take."""

    @property
    def idle(self) -> int:
        """Workers that have nothing to do."""
        ...

    @property
    def room(self) -> int:
        """Batches that can be submitted now."""
        ...

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Takes a batch."""
        ...

    def collect(self) -> list[Answer]:
        """Waits for one batch that was submitted; its answers."""
        ...

    def __enter__(self) -> Executor:
        """Starts the workers."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stops what was started."""
        ...


class InlineExecutor:
    """One worker in this process."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._worker: Worker | None = None
        self._batches: list[Sequence[Attempt]] = []

    @property
    def idle(self) -> int:
        return 0 if self._batches else 1

    @property
    def room(self) -> int:
        return self.idle

    def submit(self, attempts: Sequence[Attempt]) -> None:
        self._batches.append(attempts)

    def collect(self) -> list[Answer]:
        assert self._worker is not None
        return self._worker(self._batches.pop(0))

    def __enter__(self) -> InlineExecutor:
        self._worker = self._spec.build()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._worker = None


class RayExecutor:
    """Workers as Ray actors on a Ray of this command's own, bound to the loop-back address, started by `with` and stopped after it.

    Attempts travel by value (far below 100 KB), weights by path. An actor that dies isn't restarted: the run stops with what was committed.
    """

    def __init__(self, spec: WorkerSpec, workers: int) -> None:
        self._spec = spec
        self._workers = workers
        self._actors: list[Any] = []
        self._in_flight: dict[Any, int] = {}  # reference of the answers -> actor

    @property
    def idle(self) -> int:
        return len(set(range(self._workers)) - set(self._in_flight.values()))

    @property
    def room(self) -> int:
        return self._workers * IN_FLIGHT_PER_ACTOR - len(self._in_flight)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        load = [list(self._in_flight.values()).count(actor) for actor in range(self._workers)]
        actor = load.index(min(load))
        self._in_flight[self._actors[actor].run.remote(list(attempts))] = actor

    def collect(self) -> list[Answer]:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        (ready, *_), _ = ray.wait(list(self._in_flight), num_returns=1)
        actor = self._in_flight.pop(ready)
        try:
            answers: list[Answer] = ray.get(ready)
        except RayTaskError as error:
            raise explained(error) from error
        except RayActorError as error:
            raise BudgetError(
                f"workers: worker {actor} of {self._workers} died ({' '.join(str(error).split())[:300]}). "
                "What was committed is safe; run the same command again, with fewer workers if memory is short."
            ) from error
        return answers

    def __enter__(self) -> RayExecutor:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray
        from ray.exceptions import RayTaskError

        ray.init(
            address="local",
            num_cpus=self._workers,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
        )
        try:
            actor = ray.remote(num_cpus=1, num_gpus=self._spec.num_gpus, max_restarts=0)(_Actor)
            self._actors = [actor.remote() for _ in range(self._workers)]
            ray.get([actor.start.remote(self._spec) for actor in self._actors])
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, RayTaskError):
                raise explained(error) from error
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        import ray

        self._actors, self._in_flight = [], {}
        ray.shutdown()


class _Actor:
    """A worker in a process of Ray's; it is built by a call, so that an error of the building has its own class."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def start(self, spec: WorkerSpec) -> None:
        self._worker = spec.build()

    def run(self, attempts: list[Attempt]) -> list[Answer]:
        assert self._worker is not None
        return self._worker(attempts)


def explained(error: Any) -> Exception:
    """What was raised in the worker: an explainable error as it was, anything else with the worker's traceback."""
    if isinstance(error.cause, FacemintError):
        return error.cause
    cause: Exception = error.as_instanceof_cause()
    return cause
