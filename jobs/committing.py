"""Shards are written by one thread while the next ones are being made; what goes wrong there is raised where the run is driven."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Committer:
    """`with Committer() as committer:` writes one shard at a time in the order of `submit`; a second one waits, so that at most one is unwritten.

    The block ends when nothing is being written any more. Everything but `write` runs in the thread that calls.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._writing: tuple[Future[object], Callable[[], None]] | None = None

    def submit(self, write: Callable[[], object], then: Callable[[], None]) -> None:
        """Begins to write a shard, after the one before; `then` is called by a later `settle` when it is written. Raises what that one raised."""
        self.settle(wait=True)
        self._writing = self._pool.submit(write), then

    def settle(self, *, wait: bool = False) -> None:
        """Does what follows a written shard, if there is one. Raises what its writing raised.

        wait  until it is written
        """
        if self._writing is None or not (wait or self._writing[0].done()):
            return
        (future, then), self._writing = self._writing, None
        future.result()
        then()

    def __enter__(self) -> Committer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self.settle(wait=True)
        finally:
            self._pool.shutdown()  # after an error of something else: what is being written is written, and taken over by the next command
