"""Reads every hostile picture in a process of its own and prints what became of it, with its peak memory and processor time."""

from __future__ import annotations

import sys

from tests.bench.machine import head, say, table
from tests.qc.hostile import EITHER
from tests.qc.reading_apart import read_all

TARGET = "no crash, a reason for each refusal, below 256 MB and 5 s of processor time each"


def main() -> int:
    """Prints the table; 1 when a picture missed the target."""
    readings = read_all()
    say(head("Hostile pictures", ("pillow",), target=TARGET))
    rows = [[r.name, r.outcome, r.reason or "-", f"{max(0.0, r.peak_mb):.0f}", f"{r.seconds:.2f}"] for r in readings]
    say(table(["picture", "outcome", "reason", "MB", "s"], rows))
    expected = [r.outcome in ("used", "refused") and r.expected in (EITHER, r.outcome) for r in readings]
    bad = [r for r, right in zip(readings, expected, strict=True) if not right or r.peak_mb > 256 or r.seconds > 5]
    most_mb, most_s = max(r.peak_mb for r in readings), max(r.seconds for r in readings)
    say(f"{len(readings)} pictures, {len(bad)} outside the target; at most {most_mb:.0f} MB and {most_s:.1f} s.\n")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
