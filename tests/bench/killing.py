"""Starts a command, kills it or one of its processes at an instant, and cleans up after it: only processes that it started itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.files import UNFINISHED

# driver: the command's own process, which is the writer, too; tree: it and all below it; worker: one generator; commit: the driver while it writes a shard
Target = Literal["driver", "tree", "worker", "commit"]
POLL_SECONDS = 0.002
GRACE_SECONDS = 20.0  # for the processes of a killed command to end by themselves
WORKER_NAME = b"ray::"  # how the command line of a Ray worker begins; one without work is named ray::IDLE


@dataclass(frozen=True, kw_only=True)
class Known:
    """A process, by number and start, so that a number that was given again is not taken for it."""

    pid: int
    started: str  # clock ticks since the system's start


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill of a command."""

    target: Target
    hit: bool  # False: the command ended before
    seconds: float  # after the command's start
    processes: int  # that were killed


class Command:
    """A command in a session of its own, with its own folder for temporary files."""

    def __init__(self, words: Sequence[str], scratch: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_TMPDIR": str(scratch), "TMPDIR": str(scratch), "RAY_ADDRESS": "local"}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            words, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors
        )

    def kill(self, target: Target, folder: Path, delay: float, limit: float = 60.0) -> Kill:
        """Waits for the instant, kills, and reports; a command that ends before is not hit."""
        instant = self.start + delay
        while time.monotonic() < instant and self.process.poll() is None:
            time.sleep(POLL_SECONDS)
        victims: list[Known] = []
        while self.process.poll() is None and not victims and time.monotonic() < instant + limit:
            below = descendants(self.process.pid)
            driver = known(self.process.pid)
            if target == "driver" or (target == "commit" and is_committing(folder)):
                victims = [driver] if driver else []
            elif target == "tree":
                victims = [*([driver] if driver else []), *below]
            elif target == "worker":
                victims = [process for process in below if is_worker(process)][:1]
            if not victims:
                time.sleep(POLL_SECONDS)
        hit = sum([slay(victim) for victim in victims])
        if target != "worker" and victims:
            self.process.wait(timeout=limit)
        return Kill(target=target, hit=bool(hit), seconds=round(time.monotonic() - self.start, 3), processes=hit)

    def errors(self) -> str:
        """The end of what the command wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode("utf-8", "replace")

    def close(self) -> None:
        """Ends what is left of the command."""
        for process in [*descendants(self.process.pid), *([own] if (own := known(self.process.pid)) else [])] if self.process.poll() is None else []:
            slay(process)
        self.process.wait()
        self._errors.close()


class Watch:
    """Notes the processes of commands, so that none of them stays when the commands are gone."""

    def __init__(self) -> None:
        self._seen: set[Known] = set()

    def note(self, pid: int) -> None:
        self._seen |= {*descendants(pid)}

    def clean_up(self) -> int:
        """Waits for those that are left, then kills them; returns how many it had to kill."""
        end = time.monotonic() + GRACE_SECONDS
        while (left := [process for process in self._seen if known(process.pid) == process]) and time.monotonic() < end:
            time.sleep(0.05)
        self._seen.clear()
        return sum([slay(process) for process in left])


def descendants(pid: int) -> list[Known]:
    """Processes below a process."""
    children: dict[int, list[Known]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(Known(pid=int(folder.name), started=fields[19]))
    found: list[Known] = []
    wave = [pid]
    while wave:
        below = [child for parent in wave for child in children.get(parent, [])]
        found += below
        wave = [child.pid for child in below]
    return found


def known(pid: int) -> Known | None:
    """A running process by its number."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else Known(pid=pid, started=fields[19])
    return None


def slay(process: Known) -> bool:
    """kill -9, if it is still the process that was meant."""
    if known(process.pid) != process:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
        return True
    return False


def is_worker(process: Known) -> bool:
    """Whether a process is a Ray worker that a generator runs in."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        return words.startswith(WORKER_NAME) and not words.startswith(WORKER_NAME + b"IDLE")
    return False


def is_committing(folder: Path) -> bool:
    """Whether a file of a shard is being written."""
    for place in ("data", "rejected", "attempts", "slots"):
        with contextlib.suppress(OSError):
            if any(name.endswith(UNFINISHED) for name in os.listdir(folder / place)):
                return True
    return False


def lost_and_doubled(folder: Path, num_slots: int) -> tuple[int, int]:
    """(slots that have neither a sample nor a row that says why, samples that are there more than once) of a finished run."""
    import pyarrow.parquet as pq

    keys: Counter[str] = Counter()
    for path in (folder / "data").glob("*.tar"):
        with tarfile.open(path) as archive:
            keys.update(member.name.partition(".")[0] for member in archive if member.name.endswith(".json"))
    rows = [row for path in (folder / "slots").glob("*.parquet") for row in pq.read_table(path, columns=["sample_id", "status"]).to_pylist()]
    present = set(keys) | {row["sample_id"] for row in rows if row["status"] != "filled"}
    return num_slots - len(present), sum(count - 1 for count in keys.values()) + len(rows) - len({row["sample_id"] for row in rows})


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder with a short name: Ray puts sockets into it, whose paths may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="fk", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
