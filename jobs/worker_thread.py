"""A worker on a thread of its own: while it makes a batch, other threads log, write and send what came before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class WorkerThread:
    """Builds a worker and calls it, both on one thread, one call after the other.

    subtle: it has to be the same thread. PyTorch's number of threads is a setting of the thread that made it, and equal bytes need an equal number.
    """

    def __init__(self, build: Callable[[], Callable[..., Any]]) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")
        try:
            self._call = self._pool.submit(build).result()
        except BaseException:
            self.close()
            raise

    def submit(self, *arguments: Any) -> Future[Any]:
        """The call's result, or what it raised, when its turn has come."""
        return self._pool.submit(self._call, *arguments)

    def close(self) -> None:
        """Waits for the call that runs, and drops those that wait."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> WorkerThread:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
