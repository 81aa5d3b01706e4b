"""How far a run is, from its files alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.files import read_json
from jobs.progress import clock
from jobs.shards import read_markers
from manifests.errors import InputError

STAGES = ("plan", "prepare", "make", "summarize")


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is done in a run folder."""

    stages: tuple[str, ...]  # that are done
    slots: int
    counts: dict[str, int]  # of committed shards
    shards: int  # committed
    progress: dict[str, Any] | None  # last progress.json; None: nothing was made yet

    def lines(self) -> list[str]:
        """The status as text."""
        counts = {name: self.counts.get(name, 0) for name in ("slots", "accepted", "unfilled", "rejected")}
        lines = [
            f"stages done   {', '.join(self.stages) or 'none'}",
            f"slots         {counts['slots']:,} of {self.slots:,} committed in {self.shards:,} shards",
            f"accepted      {counts['accepted']:,}",
            f"unfilled      {counts['unfilled']:,}",
            f"rejected      {counts['rejected']:,} attempts",
        ]
        if self.progress:
            left = self.progress["seconds_left"]
            resolved = self.progress["skipped"] + self.progress["accepted"] + self.progress["unfilled"]
            lines.append(f"last command  {resolved:,} slots resolved, {self.progress['attempts_per_second']:.2f} attempts/s")
            if left:
                lines.append(f"left          about {clock(left)}")
        return lines


def read_status(folder: Path) -> Status:
    """Status of a run folder. Raises InputError when it is none."""
    if not (folder / "config.yaml").is_file():
        raise InputError(f"status: {folder} has no config.yaml, so it is no run folder. Name the --out of a run.")
    markers = read_markers(folder)
    counts: dict[str, int] = {}
    for marker in markers.values():
        for name, number in marker["counts"].items():
            counts[name] = counts.get(name, 0) + number
    progress = folder / "progress.json"
    return Status(
        stages=tuple(name for name in STAGES if (folder / "stages" / f"{name}.json").is_file()),
        slots=sum(pq.ParquetFile(part).metadata.num_rows for part in sorted((folder / "manifest").glob("part-*.parquet"))),
        counts=counts,
        shards=len(markers),
        progress=read_json(progress) if progress.is_file() else None,
    )
