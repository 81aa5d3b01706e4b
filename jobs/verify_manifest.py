"""The manifest of a run, shard by shard: whole parts, slots without a hole, and the rows that the recipe's plan has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import pyarrow as pa

from jobs.files import open_read
from jobs.locations import Location
from jobs.verify_tables import TableDamage, open_bounded, read_group
from manifests.generation import ROW_SCHEMA
from manifests.planner import Plan
from manifests.rows import SPLITS, ShardPlan

REMEDY = "Run the same command again; the manifest is written anew."
MAX_SHARD_SLOTS = 10_000_000
_SCHEMA = ROW_SCHEMA.with_metadata({"plan_sha256": b""})


@dataclass(kw_only=True)
class ManifestCheck:
    """Reads the parts one row group after the other; memory is bounded by a shard's rows."""

    folder: Location  # manifest/
    plan: Plan | None  # what config.yaml asks for; None: not known
    problems: list[str] = field(default_factory=list)
    plans: list[str] = field(default_factory=list)  # fingerprints in the parts
    num_slots: int = 0

    def shards(self) -> Iterator[tuple[ShardPlan, pa.Table]]:
        """Every shard and its rows; stops at a part that can't be read."""
        numbers: Counter[str] = Counter()
        parts: list[Location] = [*self.folder.glob("part-*.parquet")]
        for place in sorted(parts, key=lambda part: part.name):
            try:
                with open_read(place) as stream:
                    yield from self._shards_of(stream, numbers)
            except TableDamage as damage:
                self.problems.append(f"manifest/{place.name}: {damage}. {REMEDY}")
                return
        if self.plan is not None and self.num_slots != self.plan.num_slots:
            self.problems.append(f"manifest/ has {self.num_slots:,} slots, the plan of config.yaml has {self.plan.num_slots:,}. {REMEDY}")
        if self.plan is not None and (not self.plans or self.plans[-1] != self.plan.fingerprint()):
            self.problems.append(f"manifest/ is of plan {(self.plans or ['none'])[-1][:12]}..., config.yaml gives {self.plan.fingerprint()[:12]}.... {REMEDY}")

    def _shards_of(self, stream: IO[bytes], numbers: Counter[str]) -> Iterator[tuple[ShardPlan, pa.Table]]:
        file = open_bounded(stream, _SCHEMA)
        self.plans.append((file.schema_arrow.metadata or {}).get(b"plan_sha256", b"").decode("latin-1"))
        for number in range(file.metadata.num_row_groups):
            if file.metadata.row_group(number).num_rows > MAX_SHARD_SLOTS:
                raise TableDamage(f"row group {number} says it has {file.metadata.row_group(number).num_rows:,} rows")
            rows = read_group(file, _SCHEMA, number)
            start, split = self.num_slots, rows["split"][0].as_py() if rows.num_rows else ""
            if not np.array_equal(rows["slot"].to_numpy(), np.arange(start, start + rows.num_rows)) or split not in SPLITS:
                raise TableDamage(f"row group {number} doesn't have the slots {start:,} to {start + rows.num_rows - 1:,} of one split, one after the other")
            shard = ShardPlan(split=split, index=numbers[split], start=start, stop=start + rows.num_rows)
            numbers[split] += 1
            self.num_slots = shard.stop
            if self.plan is not None and (shard.stop > self.plan.num_slots or not _equal(self.plan.rows(shard.start, shard.stop), rows)):
                raise TableDamage(f"the rows of slots {shard.start:,} to {shard.stop - 1:,} are not those of the plan of config.yaml")
            yield shard, rows


def _equal(planned: pa.Table, rows: pa.Table) -> bool:
    return planned.replace_schema_metadata(None).combine_chunks().equals(rows.replace_schema_metadata(None).combine_chunks())
