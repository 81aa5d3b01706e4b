"""How far a run is: a bar on a terminal, a plain line every ten seconds elsewhere, and progress.json for others to read."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jobs.acceptance import Acceptance, Tally
from jobs.files import json_text, write_whole
from jobs.locations import Location
from jobs.metrics import Metrics
from jobs.pace import Counts, Pace, Rate, describe, numbered, safe_text, seconds_left
from manifests.errors import StorageError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from jobs.attempts import Outcome

LINE_SECONDS = 10.0
FILE_SECONDS = 2.0
OBJECT_SECONDS = 10.0  # between progress files on an object store
METRICS_SECONDS = 10.0
ESTIMATE_SHARE = 0.01  # of the time, at most, goes into estimating the time left
MAX_ATTEMPTS = 1000  # bound of the estimate where the run has none
EVENTS = 5  # last ones that are kept
WORST = 5  # expressions and cells named in progress.json


def part_name(stem: str, suffix: str, part: tuple[int, int]) -> str:
    """File name of part i of n of a run; a run in one part has no number."""
    return f"{stem}{suffix}" if part[1] == 1 else f"{stem}-{part[0]}-of-{part[1]}{suffix}"


class ProgressLine:
    """Shows counts while a `with` block runs, and keeps progress.json and metrics.prom of the run folder up to date.

    None of it is data: when a file can't be written, that is said once, and the run goes on.
    """

    def __init__(self, folder: Location, *, max_attempts: int = MAX_ATTEMPTS, part: tuple[int, int] = (0, 1), metrics: Metrics | None = None,
                 now: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        self._folder, self._part, self._now, self._metrics = folder, part, now, metrics
        self._acceptance = Acceptance(max_attempts=max_attempts)
        self._pace = Pace(now())
        self._begun = False
        self._line = self._file = self._exposition = self._pace.start
        self._attempts_left: float | None = None
        self._estimate_at = -math.inf
        self._estimated_at_attempts = 0
        self._events: deque[tuple[float, str]] = deque(maxlen=EVENTS)
        self._unsaid = 0  # events that no plain line has said
        self._told = False  # that a file can't be written
        self._live: Live | None = None
        self._shown: tuple[Counts, Rate] | None = None

    def took(self, outcome: Outcome) -> None:
        """Takes what became of a batch: call it for every outcome, before `show`."""
        now = self._now()
        if not self._begun:  # loading the model is no part of the rate
            self._begun = True
            self._pace.begin(max(self._pace.start, now - outcome.seconds))
        rows = {attempt.row.slot: attempt.row for attempt in outcome.attempts}
        for answer in outcome.answers:
            row = rows[answer.slot]
            self.answered(slot=row.slot, attempt=answer.attempt, cell=row.cell, expression=row.expression, accepted=answer.verdict.accepted)
        if outcome.failure:
            number = numbered(len(outcome.attempts), "attempt")
            reason = outcome.failure.message.strip().rsplit("\n", 1)[-1]  # of a traceback, the exception
            what = {"raised": f"{number} raised on worker {outcome.worker}", "died": f"worker {outcome.worker} died with {number}",
                    "preempted": f"worker {outcome.worker} was taken away with {number}"}  # fmt: skip
            self.event(f"{what[outcome.failure.kind]}: {reason}")
        if self._metrics:
            self._metrics.took(outcome)

    def answered(self, *, slot: int, attempt: int, cell: int, expression: str, accepted: bool) -> None:
        """Takes a verdict into the estimate of the time left; `took` does so for new answers, this is for those that an earlier command logged."""
        self._acceptance.answered(slot=slot, attempt=attempt, cell=cell, expression=expression, accepted=accepted)

    def settled(self, start: int, stop: int) -> None:
        """Slots start .. stop-1 need no more attempts: their shard is committed."""
        self._acceptance.settled(start, stop)

    def event(self, text: str) -> None:
        """Says what happened, such as a worker that was replaced."""
        self._events.append((time.time(), safe_text(text)))
        self._unsaid += 1

    def show(self, counts: Counts, *, final: bool = False) -> None:
        """Takes new counts; `final` writes them at once."""
        now = self._now()
        self._pace.upto(counts.attempts, now)
        rate = self._rate(counts, now, final)
        self._shown = (counts, rate)
        if self._live is None and (final or now - self._line >= LINE_SECONDS):
            self._line = now
            self._say(describe(counts, rate))
        if final or now - self._file >= (FILE_SECONDS if isinstance(self._folder, Path) else OBJECT_SECONDS):
            self._file = now
            self._save(counts, rate, now, final)
        if self._metrics:
            self._metrics.show(counts, rate.seconds_left, self._acceptance.expressions.values())
            if isinstance(self._folder, Path) and (final or now - self._exposition >= METRICS_SECONDS):  # collectors read local files
                self._exposition = now
                self._write(part_name("metrics", ".prom", self._part), self._metrics.text())

    def __enter__(self) -> ProgressLine:
        if self._metrics:
            self._metrics.start()
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(get_renderable=self._render, console=Console(file=sys.stdout, highlight=False), refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and self._shown:  # what was done until the error
            self.show(self._shown[0], final=True)
        if self._live is not None:
            self._live.stop()
        if self._metrics:
            self._metrics.stop()

    def _rate(self, counts: Counts, now: float, final: bool) -> Rate:
        if final or now >= self._estimate_at:
            begin = time.perf_counter()
            self._attempts_left = self._acceptance.expected_attempts(counts.slots - counts.resolved)
            self._estimated_at_attempts = counts.attempts
            self._estimate_at = now + max(1.0, (time.perf_counter() - begin) / ESTIMATE_SHARE)
        left = self._attempts_left
        if left is not None:  # between two estimates every attempt brings the end nearer
            left = max(left - (counts.attempts - self._estimated_at_attempts), counts.slots - counts.resolved)
        recent = self._pace.recent(now)
        return Rate(
            attempts_per_second=recent,
            mean_attempts_per_second=self._pace.mean(now),
            acceptance=counts.accepted / counts.attempts if counts.attempts else None,
            seconds_left=seconds_left(counts, left, recent),
        )

    def _say(self, line: str) -> None:
        fresh = list(self._events)[-self._unsaid :] if self._unsaid else []
        more = [f"  {self._unsaid - len(fresh):,} earlier events"] if self._unsaid > len(fresh) else []
        self._unsaid = 0
        sys.stdout.write("\n".join([*more, *(f"  {text}" for _, text in fresh), line]) + "\n")
        sys.stdout.flush()

    def _save(self, counts: Counts, rate: Rate, now: float, final: bool) -> None:
        value = {
            **asdict(counts),
            **asdict(rate),
            "seconds": round(now - self._pace.start, 3),
            "written": time.time(),
            "final": final,
            "part": list(self._part),
            "events": [{"time": at, "text": text} for at, text in self._events],
            "worst_expressions": [_tally(tally) for tally in self._acceptance.worst_expressions(WORST)],
            "worst_cells": [{"cell": cell, **_tally(tally)} for cell, tally in self._acceptance.worst_cells(WORST)],
        }
        self._write(part_name("progress", ".json", self._part), json_text(value))

    def _write(self, file: str, content: str) -> None:
        try:
            write_whole(self._folder / file, content)
        except StorageError as error:
            if not self._told:
                self._told = True
                self.event(f"{file} can't be written, the run goes on: {error}")

    def _render(self) -> RenderableType:
        """Lines for the terminal; called by the thread that draws them."""
        from jobs.terminal import ProgressLines

        return ProgressLines(self._shown, self._events[-1][1] if self._events else None)


def _tally(tally: Tally) -> dict[str, Any]:
    return {"expression": tally.expression, "attempts": tally.attempts, "accepted": tally.accepted}

