"""From the axes of a recipe to the slots of a run: which image is asked for where, without a table of the rows before it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.errors import ConfigError, InputError
from manifests.generation import ROW_SCHEMA, Generation
from manifests.rows import ManifestRow, ShardPlan
from manifests.spec import PlanSpec

ROWS_PER_PART = 1_000_000


class File(Protocol):
    """A file, on a disk or in an object store."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


class Folder(Protocol):
    """A folder, on a disk or in an object store."""

    def glob(self, pattern: str) -> Iterable[File]: ...


class Plan:
    """The slots of a run. Train slots come first, then val, then test; in each split a keyed shuffle makes every shard a mixture of the axes.

    A plan that was extended has a generation of slots for each of its specs, one after the other.
    """

    def __init__(self, spec: PlanSpec, *, earlier: Sequence[PlanSpec] = ()) -> None:
        self.spec = spec
        last: Generation | None = None
        generations = []
        for each in (*earlier, spec):
            last = Generation(each, last)
            generations.append(last)
        self.generations = tuple(generations)
        if self.num_slots >= 10**12:
            raise ConfigError(f"plan: {self.num_slots:,} slots; a sample id has 12 digits. Make several runs with different seeds.")

    @property
    def num_slots(self) -> int:
        """Asked-for images in all."""
        return self.generations[-1].stop

    @property
    def num_cells(self) -> int:
        """Cells; each has `views_per_cell` slots, or its expression's own `views`, its quota."""
        return self.generations[-1].num_cells

    @property
    def identity_order(self) -> tuple[str, ...]:
        """Identity ids by identity_index: training identities first, then val, then test; those that an extension added follow, likewise."""
        return tuple(identity.identity_id for identity in self.generations[-1].identities)

    def fingerprint(self, *, generations: int | None = None) -> str:
        """sha256 of everything that the rows depend on; of the first `generations` only where a number is given."""
        fingerprints = [generation.spec.fingerprint() for generation in self.generations[:generations]]
        return fingerprints[0] if len(fingerprints) == 1 else hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()

    def shards(self) -> tuple[ShardPlan, ...]:
        """Shards in the order of their slots; none crosses a split."""
        return tuple(shard for generation in self.generations for shard in generation.shards())

    def rows(self, start: int, stop: int) -> pa.Table:
        """Rows of slots start .. stop-1, with ROW_SCHEMA; any slice equals the same slice of the whole."""
        if not 0 <= start <= stop <= self.num_slots:
            raise ConfigError(f"plan: slots {start} to {stop} asked for, but the run has slots 0 to {self.num_slots}. Choose a range inside.")
        parts = [part for generation in self.generations for part in generation.rows(start, stop)]
        return pa.concat_tables(parts).combine_chunks() if parts else ROW_SCHEMA.empty_table()

    def row_list(self, start: int, stop: int) -> list[ManifestRow]:
        """As `rows`, as objects."""
        return manifest_rows(self.rows(start, stop))


def manifest_rows(table: pa.Table) -> list[ManifestRow]:
    """Rows of a table with ROW_SCHEMA as objects."""
    return [ManifestRow(**row) for row in table.to_pylist()]


def manifest_parts(plan: Plan, *, rows_per_part: int = ROWS_PER_PART) -> Iterator[tuple[str, bytes]]:
    """The plan as Parquet files part-00000.parquet, part-00001.parquet, ... (name, content); a part holds whole shards, one row group each.

    Equal plans give equal bytes, and the parts of a plan that was extended start with those of the plan before. Memory is bounded by a part.
    """
    number = 0
    for age, generation in enumerate(plan.generations):
        schema = ROW_SCHEMA.with_metadata({"plan_sha256": plan.fingerprint(generations=age + 1)})
        for shards in _whole_shards(list(generation.shards()), rows_per_part):
            start = shards[0].start
            table = plan.rows(start, shards[-1].stop)
            sink = pa.BufferOutputStream()
            with pq.ParquetWriter(sink, schema) as writer:
                for shard in shards:
                    rows = table.slice(shard.start - start, shard.num_slots).replace_schema_metadata(schema.metadata)
                    writer.write_table(rows, row_group_size=shard.num_slots)
            yield f"part-{number:05d}.parquet", sink.getvalue().to_pybytes()
            number += 1


def write_manifest(plan: Plan, folder: Path, *, rows_per_part: int = ROWS_PER_PART) -> tuple[Path, ...]:
    """Writes the parts of a plan into a local folder and returns their paths; a part appears under its name only when complete."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in manifest_parts(plan, rows_per_part=rows_per_part):
        unfinished = folder / f".{name}.{os.getpid()}.tmp"
        unfinished.write_bytes(content)
        os.replace(unfinished, folder / name)
        paths.append(folder / name)
    return tuple(paths)


def read_manifest(folder: Folder) -> pa.Table:
    """All rows of a manifest folder, local or in an object store, in the order of their slots."""
    paths = sorted(folder.glob("part-*.parquet"), key=lambda path: path.name)
    if not paths:
        raise InputError(f'manifest: {folder} has no part-*.parquet. Run "facemint plan" first.')
    return pa.concat_tables([pq.read_table(pa.BufferReader(path.read_bytes())) for path in paths])


def _whole_shards(shards: list[ShardPlan], rows_per_part: int) -> Iterator[list[ShardPlan]]:
    """Shards one after the other, as many as fit into a part."""
    first = 0
    while first < len(shards):
        last = first + 1
        while last < len(shards) and shards[last].stop - shards[first].start <= rows_per_part:
            last += 1
        yield shards[first:last]
        first = last
