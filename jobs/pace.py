"""The figures of a run in progress, counts, rates and the time left, and how they are said in text."""

from __future__ import annotations

import math
from dataclasses import dataclass

LINE_WIDTH = 120
RECENT_SECONDS = 30.0  # time constant of the recent rate


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What this command has done; slots that earlier commands filled are `skipped`."""

    slots: int
    skipped: int
    accepted: int
    rejected: int
    unfilled: int
    quarantined: int = 0
    speculative: int = 0  # attempts that were made in case others fail, and those didn't
    workers: int = 0  # up now
    open_shards: int = 0
    committed_shards: int = 0  # by this command
    staging_bytes: int = 0  # answers of shards that aren't committed

    @property
    def resolved(self) -> int:
        """Slots that need no more work."""
        return self.skipped + self.accepted + self.unfilled + self.quarantined

    @property
    def attempts(self) -> int:
        """Attempts of this command that were judged and needed."""
        return self.accepted + self.rejected


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Speed of this command."""

    attempts_per_second: float  # over the last half minute
    mean_attempts_per_second: float  # since the first batch was begun
    acceptance: float | None  # None: no attempt was judged yet
    seconds_left: float | None  # None: not known yet


class Pace:
    """Mean rate of events over the last half minute, older ones with falling weight; each event counts as spread over the time since the one before it."""

    def __init__(self, start: float) -> None:
        self.start = self._last = start
        self._total = 0
        self._rate = self._weight = self._longest = 0.0

    def begin(self, start: float) -> None:
        """Takes another time as the start, before the first event."""
        self.start = self._last = start

    def upto(self, total: int, now: float) -> None:
        """So many events happened until now, in all."""
        elapsed, new = now - self._last, total - self._total
        if new <= 0 or elapsed <= 0:
            return
        keep = math.exp(-elapsed / RECENT_SECONDS)
        self._rate = self._rate * keep + new / elapsed * (1 - keep)
        self._weight = self._weight * keep + 1 - keep
        self._longest = max(elapsed, 0.9 * self._longest)
        self._last, self._total = now, total

    def recent(self, now: float) -> float:
        """Events per second; it falls when none came for longer than usual."""
        silence = max(0.0, now - self._last - self._longest)
        return self._rate / self._weight * math.exp(-silence / RECENT_SECONDS) if self._weight else 0.0

    def mean(self, now: float) -> float:
        """Events per second since the start."""
        return self._total / (now - self.start) if now > self.start else 0.0


def seconds_left(counts: Counts, attempts_left: float | None, attempts_per_second: float) -> float | None:
    """Time that the open slots need; without an estimate of their attempts, acceptance is taken to stay as it is. None: not known."""
    open_slots = counts.slots - counts.resolved
    if open_slots <= 0:
        return 0.0
    if attempts_left is None and counts.accepted:
        attempts_left = open_slots * counts.attempts / counts.accepted
    return None if attempts_left is None or attempts_per_second <= 0 else attempts_left / attempts_per_second


def describe(counts: Counts, rate: Rate) -> str:
    """One line of text."""
    start = f"{counts.resolved:,} of {counts.slots:,} slots, "
    left = "" if rate.seconds_left is None else f", {clock(rate.seconds_left)} left"
    return start + fitting(details(counts, rate), LINE_WIDTH - len(start) - len(left), gap=", ") + left


def fitting(parts: list[str], width: int, *, gap: str = "  ") -> str:
    """As many of the first parts as this width holds, at least one."""
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(gap) + len(part) > width:
            break
        line += gap + part
    return line


def details(counts: Counts, rate: Rate) -> list[str]:
    """What a line says besides slots and time, the most important first."""
    judged = counts.attempts + counts.speculative
    return [
        f"{rate.attempts_per_second:,.{0 if rate.attempts_per_second >= 100 else 2}f} attempts/s",
        *([] if rate.acceptance is None else [f"{rate.acceptance:.0%} accepted"]),
        *([numbered(counts.workers, "worker")] if counts.workers else []),
        *([f"{counts.quarantined:,} quarantined"] if counts.quarantined else []),
        *([f"{counts.unfilled:,} unfilled"] if counts.unfilled else []),
        *([f"{counts.speculative / judged:.1%} speculative"] if counts.speculative else []),
    ]


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, second = divmod(int(seconds + 0.5), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def safe_text(text: str, *, length: int = 200) -> str:
    """Text of others without control characters, in one line of bounded length, so that it can't move a terminal's cursor or colour it."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 4 * length]).split())
    return plain if len(plain) <= length else plain[: length - 3] + "..."


def numbered(number: int, what: str) -> str:
    """Such as 1 worker, 2 workers."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
