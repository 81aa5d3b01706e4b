"""How far a run is, from its files alone."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from jobs.files import open_read, read_json
from jobs.lease import Holder
from jobs.locations import Location, found
from jobs.pace import clock, numbered, safe_text
from manifests.errors import InputError

STAGES = ("plan", "prepare", "make", "summarize")
WORST = 5  # expressions and cells that are named
SHOWN = 10  # quarantined slots that the text names; all are in the JSON
STALE_SECONDS = 60.0  # a driver that wrote nothing for so long has probably ended
COUNTED = ("slots", "accepted", "unfilled", "quarantined", "rejected", "attempts")


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Who holds a run folder, by its lease."""

    name: str  # of the lease
    host: str
    pid: int
    heartbeat_age_seconds: float


@dataclass(frozen=True, kw_only=True)
class PartProgress:
    """The last progress file of a part of a run."""

    part: tuple[int, int]  # i of n; (0, 1): the whole run
    age_seconds: float
    final: bool  # its command has ended
    resolved: int
    slots: int
    attempts_per_second: float
    acceptance: float | None
    seconds_left: float | None
    workers: int
    events: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is done in a run folder."""

    folder: str
    stages: tuple[str, ...]  # that are done
    slots: int | None  # None: not planned yet
    shards: int  # committed
    counts: dict[str, int]  # of committed shards
    splits: dict[str, dict[str, int]]  # split -> the same
    acceptance: float | None  # of committed attempts
    worst_expressions: tuple[dict[str, Any], ...]  # of the last command: expression, attempts, accepted
    worst_cells: tuple[dict[str, Any], ...]
    unfilled: dict[str, int]  # expression -> slots
    quarantined: tuple[dict[str, Any], ...]  # as the markers have them
    drivers: tuple[Driver, ...]
    parts: tuple[PartProgress, ...]

    @property
    def seconds_left(self) -> float | None:
        """Of the slowest part that runs; None: none runs, or not known."""
        running = [part.seconds_left for part in self.parts if not part.final]
        known = [left for left in running if left is not None]
        return max(known) if known and len(known) == len(running) else None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seconds_left": self.seconds_left}

    def lines(self) -> list[str]:
        """The status as text."""
        counts = self.counts
        share = "" if self.acceptance is None else f", {self.acceptance:.0%} accepted"
        lines = [
            f"stages done   {', '.join(self.stages) or 'none'}",
            f"slots         {counts['slots']:,} of {'?' if self.slots is None else f'{self.slots:,}'} committed in {numbered(self.shards, 'shard')}",
            f"  filled      {counts['accepted']:,}",
            f"  unfilled    {counts['unfilled']:,}{_most(self.unfilled)}",
            f"  quarantined {counts['quarantined']:,}",
            *(f"    slot {item['slot']}: {_reason(item)}" for item in self.quarantined[:SHOWN]),
            *([f"    and {len(self.quarantined) - SHOWN:,} more"] if len(self.quarantined) > SHOWN else []),
            f"attempts      {counts['attempts']:,}{share}",
        ]
        if len(self.splits) > 1:
            lines += [
                f"  {split:5}       {of['slots']:,} slots, {of['accepted']:,} filled, {of['unfilled']:,} unfilled, {of['quarantined']:,} quarantined"
                for split, of in self.splits.items()
            ]
        if self.worst_expressions:
            lines.append(f"hardest       {'; '.join(_tally(item) for item in self.worst_expressions)}")
        if self.worst_cells:
            lines.append(f"  cells       {'; '.join(_tally(item) for item in self.worst_cells)}")
        for driver in self.drivers:
            lines.append(f"driven by     {safe_text(driver.host)}, process {driver.pid}, heartbeat {driver.heartbeat_age_seconds:.0f} s ago")
        for part in self.parts:
            lines += _part_lines(part)
        return lines


def read_status(folder: Location, *, now: Callable[[], float] = time.time) -> Status:
    """Status of a run folder. Raises InputError when it is none."""
    if not (folder / "config.yaml").is_file():
        raise InputError(f"status: {folder} has no config.yaml, so it is no run folder. Name the --out of a run.")
    totals: Counter[str] = Counter()
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    unfilled: Counter[str] = Counter()
    quarantined: list[dict[str, Any]] = []
    shards = 0
    for path in found(folder / "data", "*-*.json"):
        marker = read_json(path)
        shards += 1
        totals.update(marker["counts"])
        splits[marker["split"]].update(marker["counts"])
        unfilled.update(item["expression"] for item in marker["unfilled"])
        quarantined += marker.get("quarantined", [])
    documents = [read_json(path) for pattern in ("progress.json", "progress-*-of-*.json") for path in found(folder, pattern)]
    parts = tuple(_part(document, now()) for document in documents)
    return Status(
        folder=str(folder),
        stages=tuple(name for name in STAGES if (folder / "stages" / f"{name}.json").is_file()),
        slots=_slots(folder, documents),
        shards=shards,
        counts=_counted(totals),
        splits={split: _counted(splits[split]) for split in ("train", "val", "test") if split in splits},
        acceptance=totals["accepted"] / totals["attempts"] if totals["attempts"] else None,
        worst_expressions=_worst(item for document in documents for item in document.get("worst_expressions", [])),
        worst_cells=_worst(item for document in documents for item in document.get("worst_cells", [])),
        unfilled=dict(unfilled.most_common()),
        quarantined=tuple(sorted(quarantined, key=lambda item: int(item["slot"]))),
        drivers=_drivers(found(folder, "lease*.json"), now()),
        parts=parts,
    )


def _slots(folder: Location, documents: list[dict[str, Any]]) -> int | None:
    whole = [int(document["slots"]) for document in documents if document.get("part", [0, 1])[1] == 1]
    if whole:
        return whole[0]
    manifest = found(folder / "manifest", "part-*.parquet")
    if not manifest:
        return None
    import pyarrow.parquet as pq  # it takes longer to import than all else here

    total = 0
    for path in manifest:
        with open_read(path) as stream:
            total += int(pq.ParquetFile(stream).metadata.num_rows)
    return total


def _counted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in COUNTED}


def _worst(items: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(sorted(items, key=lambda item: (item["accepted"] + 1) / (item["attempts"] + 2))[:WORST])


def _part(document: dict[str, Any], now: float) -> PartProgress:
    first, parts = document.get("part", [0, 1])
    return PartProgress(
        part=(first, parts),
        age_seconds=max(0.0, now - document.get("written", now)),
        final=bool(document.get("final", False)),
        resolved=sum(document.get(name, 0) for name in ("skipped", "accepted", "unfilled", "quarantined")),
        slots=document["slots"],
        attempts_per_second=document["attempts_per_second"],
        acceptance=document["acceptance"],
        seconds_left=document["seconds_left"],
        workers=document.get("workers", 0),
        events=tuple(event["text"] for event in document.get("events", [])),
    )


def _drivers(paths: Iterable[Location], now: float) -> tuple[Driver, ...]:
    drivers = []
    for path in paths:
        try:
            holder = Holder.from_bytes(path.read_bytes())
        except (FileNotFoundError, ValueError):  # given back, or written anew, while it was looked at
            continue
        drivers.append(Driver(name=path.stem, host=holder.host, pid=holder.pid, heartbeat_age_seconds=max(0.0, now - holder.heartbeat)))
    return tuple(drivers)


def _part_lines(part: PartProgress) -> list[str]:
    name = "run" if part.part[1] == 1 else f"part {part.part[0]} of {part.part[1]}"
    state = "its command has ended" if part.final else f"written {part.age_seconds:.0f} s ago"
    if not part.final and part.age_seconds > STALE_SECONDS:
        state += ", so it has probably been killed"
    left = f", about {clock(part.seconds_left)} left" if part.seconds_left and not part.final else ""
    speed = f"{part.attempts_per_second:.2f} attempts/s{'' if part.acceptance is None else f', {part.acceptance:.0%} accepted'}"
    workers = f", {numbered(part.workers, 'worker')}" if part.workers else ""
    return [
        f"{name:13} {part.resolved:,} of {part.slots:,} slots resolved, {speed}{workers}{left} ({state})",
        *(f"  last event  {safe_text(text)}" for text in part.events[-1:]),
    ]


def _most(counts: dict[str, int]) -> str:
    first = list(counts.items())[:WORST]
    return f" ({', '.join(f'{safe_text(name)} {number:,}' for name, number in first)}{', ...' if len(counts) > WORST else ''})" if counts else ""


def _reason(item: dict[str, Any]) -> str:
    text = item.get("reason") or item.get("message") or "no reason was kept"
    return safe_text(f"{item['kind']}: {text}" if "kind" in item else str(text), length=120)


def _tally(item: dict[str, Any]) -> str:
    cell = f"cell {item['cell']} " if "cell" in item else ""
    return f"{cell}{safe_text(item['expression'])} {item['accepted']:,} of {item['attempts']:,}"
