"""Where batches run: the interface of an executor, and the one that runs them in this process."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Protocol

from jobs.attempts import Answer, Attempt, Failure, Outcome, WorkerSpec
from jobs.ray_actors import DeviceFull
from jobs.worker_thread import WorkerThread
from manifests.errors import WorkersLost

IN_FLIGHT = 2  # batches of a worker: one that runs, one that waits
COLLECT_SECONDS = 1.0


class Executor(Protocol):
    """Takes batches and gives outcomes; a worker that dies is an outcome, not an exception, and is replaced."""

    @property
    def idle(self) -> int:
        """Workers that have nothing to do."""
        ...

    @property
    def room(self) -> int:
        """Batches that can be submitted now; 0 while no worker is up."""
        ...

    @property
    def num_workers(self) -> int:
        """Workers that are up or coming up; 0 when none is left and none can be started, so that the run has to stop."""
        ...

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Takes a batch."""
        ...

    def collect(self) -> list[Outcome]:
        """Waits until at least one submitted batch has an outcome, or a second has passed; the outcomes so far."""
        ...

    def __enter__(self) -> Executor:
        """Starts the workers."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stops what was started."""
        ...


class InlineExecutor:
    """One worker on a thread of this process. It can't outlive a picture that kills its process: that takes a worker process of its own, as with Ray."""

    num_workers = 1

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._worker: WorkerThread | None = None
        self._batches: deque[tuple[tuple[Attempt, ...], float, Future[list[Answer]]]] = deque()

    @property
    def idle(self) -> int:
        return 0 if self._batches else 1

    @property
    def room(self) -> int:
        return IN_FLIGHT - len(self._batches)

    def submit(self, attempts: Sequence[Attempt]) -> None:
        assert self._worker is not None
        self._batches.append((tuple(attempts), time.monotonic(), self._worker.submit(attempts)))

    def collect(self) -> list[Outcome]:
        if not self._batches:
            return []
        attempts, start, made = self._batches[0]
        if not wait((made,), timeout=COLLECT_SECONDS).done:
            return []
        self._batches.popleft()
        try:
            answers, failure = tuple(made.result()), None
        except DeviceFull as error:  # no picture is to blame, and there is no other process that could have more luck
            raise WorkersLost(f"{error} The state is saved; then run the same command again.") from error
        except Exception:  # noqa: BLE001 - whatever a picture raises is set aside with it
            answers, failure = (), Failure(kind="raised", message=traceback.format_exc())
        return [Outcome(attempts=attempts, answers=answers, failure=failure, worker=0, seconds=time.monotonic() - start)]

    def __enter__(self) -> InlineExecutor:
        self._worker = WorkerThread(self._spec.build)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = None
