"""Where batches run: the interface of an executor, and the one that runs them in this process."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from jobs.attempts import Attempt, Failure, Outcome, Worker, WorkerSpec
from jobs.ray_actors import DeviceFull
from manifests.errors import WorkersLost


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
    """One worker in this process. It can't outlive a picture that kills its process: that takes a worker process of its own, as with Ray."""

    num_workers = 1

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._worker: Worker | None = None
        self._batches: deque[tuple[Attempt, ...]] = deque()

    @property
    def idle(self) -> int:
        return 0 if self._batches else 1

    @property
    def room(self) -> int:
        return self.idle

    def submit(self, attempts: Sequence[Attempt]) -> None:
        self._batches.append(tuple(attempts))

    def collect(self) -> list[Outcome]:
        assert self._worker is not None
        if not self._batches:
            return []
        attempts = self._batches.popleft()
        start = time.monotonic()
        try:
            answers, failure = tuple(self._worker(attempts)), None
        except DeviceFull as error:  # no picture is to blame, and there is no other process that could have more luck
            raise WorkersLost(f"{error} The state is saved; then run the same command again.") from error
        except Exception:  # noqa: BLE001 - whatever a picture raises is set aside with it
            answers, failure = (), Failure(kind="raised", message=traceback.format_exc())
        return [Outcome(attempts=attempts, answers=answers, failure=failure, worker=0, seconds=time.monotonic() - start)]

    def __enter__(self) -> InlineExecutor:
        self._worker = self._spec.build()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._worker = None
