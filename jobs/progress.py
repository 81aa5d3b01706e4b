"""How far a run is: a bar on a terminal, a plain line every ten seconds elsewhere, and progress.json for others to read."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jobs.files import write_json

LINE_SECONDS = 10.0
FILE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What this command has done; slots that earlier commands filled are `skipped`."""

    slots: int
    skipped: int
    accepted: int
    rejected: int
    unfilled: int

    @property
    def resolved(self) -> int:
        """Slots that need no more work."""
        return self.skipped + self.accepted + self.unfilled


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Speed of this command."""

    attempts_per_second: float
    acceptance: float | None  # None: no attempt was judged yet
    seconds_left: float | None  # None: not known yet


def rate_of(counts: Counts, seconds: float) -> Rate:
    """Speed so far; the time left takes it that the acceptance stays."""
    attempts = counts.accepted + counts.rejected
    speed = attempts / seconds if seconds > 0 else 0.0
    acceptance = counts.accepted / attempts if attempts else None
    left = counts.slots - counts.resolved
    expected = left / acceptance if acceptance else None
    seconds_left = 0.0 if left == 0 else expected / speed if expected is not None and speed > 0 else None
    return Rate(attempts_per_second=speed, acceptance=acceptance, seconds_left=seconds_left)


def describe(counts: Counts, rate: Rate) -> str:
    """One line of text."""
    acceptance = "" if rate.acceptance is None else f", {rate.acceptance:.0%} accepted"
    left = "" if rate.seconds_left is None else f", {clock(rate.seconds_left)} left"
    unfilled = f", {counts.unfilled:,} unfilled" if counts.unfilled else ""
    return f"{counts.resolved:,} of {counts.slots:,} slots, {rate.attempts_per_second:.2f} attempts/s{acceptance}{unfilled}{left}"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, second = divmod(int(seconds + 0.5), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


class ProgressLine:
    """Shows counts while a `with` block runs, and keeps progress.json of the run folder up to date."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now = now
        self._start = self._line = self._file = now()
        self._bar: Progress | None = None

    def show(self, counts: Counts, *, final: bool = False) -> None:
        """Takes new counts; `final` writes them at once."""
        now = self._now()
        rate = rate_of(counts, now - self._start)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=counts.resolved, total=counts.slots, description=describe(counts, rate))
        elif final or now - self._line >= LINE_SECONDS:
            self._line = now
            sys.stdout.write(describe(counts, rate) + "\n")
            sys.stdout.flush()
        if final or now - self._file >= FILE_SECONDS:
            self._file = now
            write_json(self._folder / "progress.json", {**asdict(counts), **asdict(rate), "seconds": round(now - self._start, 3)})

    def __enter__(self) -> ProgressLine:
        if sys.stdout.isatty():
            self._bar = Progress(BarColumn(), TextColumn("{task.description}"), console=Console(file=sys.stdout), transient=False)
            self._bar.add_task("starting", total=None)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
