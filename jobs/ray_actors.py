"""What runs in a process of Ray's: a whole worker, or a generator and a judge that hand pixels over by reference."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from jobs.arrow import postpone_pandas
from jobs.attempts import Answer, Attempt, WorkerSpec
from jobs.worker_thread import WorkerThread

Part = Literal["worker", "generator", "judge"]
DEVICE_FULL_STATUS = 71  # of a worker's process whose device can't hold one picture


class SplitSpec(WorkerSpec, Protocol):
    """A worker that can be cut in two: what `build` gives answers like `build_judge` of what `build_generate` made."""

    def build_generate(self) -> Callable[[Sequence[Attempt]], Any]:
        """Attempts to pixels."""
        ...

    def build_judge(self) -> Callable[[Sequence[Attempt], Any], list[Answer]]:
        """Attempts and their pixels to answers."""
        ...


class DeviceFull(Exception):
    """The device's memory doesn't hold a single picture any more: the process has to end, another may have more luck."""


class RayWorker:
    """One process. It is built by a call, so that an error of the building has its own class; every answer comes with the memory in use.

    Its calls run side by side, as many as batches may be in flight: the work itself is done one batch at a time on a thread of its own, and what
    goes before and after it (reading a batch, sending its answers) beside the work on another one.
    """

    def __init__(self) -> None:
        self._worker: WorkerThread | None = None
        self._started = threading.Event()

    def where(self) -> str:
        """Id of the node; answered as soon as there is room for the process."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def start(self, spec: Any, part: Part) -> int:
        """Loads what the part needs; bytes of memory in use then."""
        postpone_pandas()
        build = {"worker": "build", "generator": "build_generate", "judge": "build_judge"}[part]
        try:
            self._worker = WorkerThread(getattr(spec, build))
        finally:
            self._started.set()
        return resident_bytes()

    def run(self, attempts: list[Attempt]) -> tuple[list[Answer], int]:
        """Answers of a whole worker."""
        return self._called(attempts), resident_bytes()

    def generate(self, attempts: list[Attempt]) -> tuple[list[Any], int]:
        """A reference to the pixels, in a list so that Ray doesn't resolve it: they stay in this node's shared memory."""
        import ray

        return [ray.put(self._called(attempts))], resident_bytes()

    def judge(self, attempts: list[Attempt], pixels: list[Any]) -> tuple[list[Answer], int]:
        """Answers to what a generator on the same node made."""
        import ray

        return self._called(attempts, ray.get(pixels[0])), resident_bytes()

    def _called(self, *arguments: Any) -> Any:
        self._started.wait()  # subtle: a judge is given batches while it is still loading
        assert self._worker is not None
        try:
            return self._worker.submit(*arguments).result()
        except DeviceFull as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(DEVICE_FULL_STATUS)  # subtle: an exception would put the blame on the pictures


def resident_bytes() -> int:
    """Memory that this process holds; where /proc is missing, the most that it ever held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
