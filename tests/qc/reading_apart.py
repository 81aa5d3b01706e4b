"""Reads hostile pictures, each in a process of its own with bounded memory and time, and says what became of it: python -m tests.qc.reading_apart."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.qc.hostile import HostileImage, hostile_images

ROOT = Path(__file__).resolve().parents[2]
ADDRESS_SPACE = 1 << 30  # of one reading, above what its process has at first; a net below those who ask for more
SECONDS = 60  # by the clock, before it is ended


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One file, as the library read it."""

    name: str
    expected: str
    outcome: str  # used, refused, or how the process ended
    reason: str
    detail: str
    peak_mb: float  # above its process' size before
    seconds: float  # of the processor


def read_all(*, timeout: float = 600.0) -> list[Reading]:
    """All cases with the limits for photographs, in a fresh process that has loaded little else."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", __spec__.name], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return [Reading(**json.loads(line)) for line in done.stdout.splitlines()]


def in_fork(work: Callable[[], dict[str, str]]) -> tuple[dict[str, str], float, float]:
    """What `work` returns, or {"outcome": how it ended}; its peak memory in MB above its size at first, and its processor seconds."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        _work_and_leave(work, sink)
    os.close(sink)
    with os.fdopen(source, "rb") as stream:
        said = stream.read()
    _, status, usage = os.wait4(child, 0)
    base, _, said = said.partition(b"\n")
    if os.WIFSIGNALED(status):
        answer = {"outcome": f"killed by signal {os.WTERMSIG(status)}"}
    else:
        answer = json.loads(said) if said else {"outcome": f"exit code {os.waitstatus_to_exitcode(status)}"}
    return answer, usage.ru_maxrss / 2**10 - float(base), usage.ru_utime + usage.ru_stime


def _work_and_leave(work: Callable[[], dict[str, str]], sink: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(_pages("statm", 0) * 2**20) + ADDRESS_SPACE, resource.RLIM_INFINITY))
    signal.alarm(SECONDS)
    os.write(sink, f"{_pages('statm', 1)}\n".encode())  # subtle: here, not before the fork, which leaves pages of files behind
    try:
        answer = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the test is about
        answer = {"outcome": f"raised {type(error).__name__}", "detail": str(error)[:300]}
    os.write(sink, json.dumps(answer).encode())
    os._exit(0)


def _pages(file: str, column: int) -> float:
    return int(Path(f"/proc/self/{file}").read_text().split()[column]) * resource.getpagesize() / 2**20


def _read(path: Path) -> dict[str, str]:
    from jobs.references import LIMITS
    from qc.images import Refused, read_picture

    found = read_picture(path, LIMITS)
    if isinstance(found, Refused):
        return {"outcome": "refused", "reason": found.reason, "detail": found.detail}
    return {"outcome": "used", "reason": "", "detail": f"{found.form} {found.image_rgb.shape}"}


def main() -> None:
    """A line of JSON for each case."""
    import cv2  # noqa: F401 - as in a run, whose process has it already
    from PIL import Image

    import jobs.references  # noqa: F401

    Image.init()  # loads the plug-ins, once
    with tempfile.TemporaryDirectory() as folder:
        for case in hostile_images():
            path = Path(folder) / case.file
            path.write_bytes(case.make())
            sys.stdout.write(json.dumps(asdict(reading(case, path))) + "\n")
            sys.stdout.flush()  # subtle: before the next fork, which would write it again
            path.unlink()


def reading(case: HostileImage, path: Path) -> Reading:
    answer, peak_mb, seconds = in_fork(lambda: _read(path))
    return Reading(name=case.name, expected=case.expected, peak_mb=peak_mb, seconds=seconds, **{"reason": "", "detail": "", **answer})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
