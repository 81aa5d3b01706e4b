"""The attempts of a shard: 0, 1, 2 ... at every slot without a hole, with the manifest's seeds, ending in the first that was accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.records import SLOT_ASKED
from manifests.rows import ManifestRow, row_seeds
from manifests.verdicts import REJECT_REASONS


@dataclass(kw_only=True)
class Attempts:
    """What the attempts of a shard came to."""

    rows: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)  # (slot, attempt) -> its row
    filled: dict[int, int] = field(default_factory=dict)  # slot -> the attempt that was accepted
    counts: Counter[int] = field(default_factory=Counter)  # slot -> attempts
    reasons: dict[int, Counter[str]] = field(default_factory=dict)  # slot -> reject reason -> attempts

    @property
    def rejected(self) -> list[tuple[int, int]]:
        """(slot, attempt) of the attempts that were not accepted, in order."""
        return [pair for pair in self.rows if self.filled.get(pair[0]) != pair[1]]


def attempt_problems(table: pa.Table, rows: Mapping[int, ManifestRow], found: Attempts, *, run_seed: int | None, max_attempts: int | None) -> Iterator[str]:
    """What is wrong with a table of attempts; `found` is filled while it is read. `rows` are those of the shard by slot."""
    seeds = table["seed"].to_numpy()
    if run_seed is not None:
        expected = row_seeds(run_seed, table["slot"].to_numpy(), table["attempt"].to_numpy().astype(np.int64))
        wrong = np.flatnonzero(seeds != expected)
        if len(wrong):
            place = int(wrong[0])
            yield f"the seed of slot {table['slot'][place]}, attempt {table['attempt'][place]} is {seeds[place]}, the plan's is {expected[place]}"
    before = (-1, -1)
    for row in table.drop_columns(["measurements"]).to_pylist():
        slot, attempt = row["slot"], row["attempt"]
        asked = rows.get(slot)
        if asked is None:
            yield f"slot {slot} is not of this shard"
            return
        first = 0 if slot != before[0] else before[1] + 1
        if slot < before[0] or attempt != first or slot in found.filled:
            yield f"slot {slot} has attempt {attempt} after {f'slot {before[0]}, attempt {before[1]}' if before[0] >= 0 else 'none'}"
            return
        before = (slot, attempt)
        yield from _row_problems(row, asked)
        found.rows[slot, attempt] = row
        found.counts[slot] += 1
        if row["accepted"]:
            found.filled[slot] = attempt
        found.reasons.setdefault(slot, Counter()).update(row["reasons"])
    if max_attempts is not None and found.counts and max(found.counts.values()) > max_attempts:
        slot, number = found.counts.most_common(1)[0]
        yield f"slot {slot} has {number} attempts, the recipe allows {max_attempts}"
    yield from _measurement_problems(table)


def _row_problems(row: Mapping[str, Any], asked: ManifestRow) -> Iterator[str]:
    where = f"slot {row['slot']}, attempt {row['attempt']}"
    for name in ("cell", "identity_id", "expression"):
        if row[name] != getattr(asked, name):
            yield f"{where} has {name} {str(row[name])[:80]}, the manifest has {getattr(asked, name)}"
    known = [reason for reason in REJECT_REASONS if reason in row["reasons"]]
    if row["accepted"] == bool(row["reasons"]) or known != list(row["reasons"]):
        yield f"{where} is {'accepted' if row['accepted'] else 'rejected'} with the reasons {', '.join(map(str, row['reasons']))[:120] or 'none'}"


def _measurement_problems(table: pa.Table) -> Iterator[str]:
    items = table["measurements"].combine_chunks().values if table.num_rows else None
    if items is not None and len(items):
        values = items.field("value")
        if items.null_count or values.null_count or not np.isfinite(values.to_numpy(zero_copy_only=False)).all() or items.field("name").null_count:
            yield "there are measurements without a name or a finite value"


def slot_problems(table: pa.Table, rows: Mapping[int, ManifestRow], found: Attempts, open_slots: Mapping[int, tuple[str, str]]) -> Iterator[str]:
    """Where the table of slots differs from the manifest and the attempts. `open_slots` has status and reason of those that aren't filled."""
    if table["slot"].to_pylist() != list(rows):
        yield "its slots are not those of the shard, in their order"
        return
    for got in table.to_pylist():
        row = rows[got["slot"]]
        status, reason = open_slots.get(row.slot, ("filled", None))
        expected = {name: getattr(row, name) for name in SLOT_ASKED}
        expected |= {"status": status, "attempt": found.filled.get(row.slot), "attempts": found.counts[row.slot], "reason": reason}
        first = sorted({item["reasons"][0] for attempt in range(found.counts[row.slot]) if (item := found.rows[row.slot, attempt])["reasons"]})
        expected["reject_reasons"] = first
        differing = [name for name in got if got[name] != expected.get(name)]
        if differing:
            name = differing[0]
            yield f"slot {row.slot} has {name} {str(got[name])[:80]}, the other files have {str(expected.get(name))[:80]}"
            return
