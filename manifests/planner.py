"""From the axes of a recipe to the slots of a run: which image is asked for where, without a table of the rows before it."""

# I identities, E expressions, S scenes, V views per cell, N rows

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from manifests.errors import ConfigError, InputError
from manifests.permutation import key_of, permute
from manifests.rows import AS_BACKGROUND, SPLITS, ManifestRow, ShardPlan
from manifests.spec import Expression, PlanSpec
from manifests.splits import assign_splits

ROWS_PER_PART = 1_000_000

ROW_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int64(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),
        pa.field("identity_id", pa.string(), nullable=False),
        pa.field("identity_index", pa.int64(), nullable=False),
        pa.field("expression", pa.string(), nullable=False),
        pa.field("intensity", pa.float32(), nullable=False),
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("view", pa.int32(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)


class Plan:
    """The slots of a run. Train slots come first, then val, then test; in each split a keyed shuffle makes every shard a mixture of the axes."""

    def __init__(self, spec: PlanSpec) -> None:
        self.spec = spec
        self._expressions = spec.expressions or (Expression(word=AS_BACKGROUND, intensity=1.0),)
        self._scenes_per_cell = len(spec.scene_ids) if spec.scenes == "every" else 1
        self._slots_per_identity = len(self._expressions) * self._scenes_per_cell * spec.views_per_cell
        split_of = assign_splits(spec)
        self._order = np.argsort(split_of, kind="stable")  # (I,) place in the spec of identity_index 0, 1, ...
        counts = np.bincount(split_of, minlength=len(SPLITS))
        self._first_identity = np.concatenate([[0], np.cumsum(counts)])  # (4,) identity_index where a split starts
        self._first_slot = self._first_identity * self._slots_per_identity  # (4,)
        if self.num_slots >= 10**12:
            raise ConfigError(f"plan: {self.num_slots:,} slots; a sample id has 12 digits. Make several runs with different seeds.")
        self._identity_ids = pa.array([identity.identity_id for identity in spec.identities], pa.string())
        self._words = pa.array([expression.word for expression in self._expressions], pa.string())
        self._intensities = np.array([expression.intensity for expression in self._expressions], dtype=np.float32)
        self._scene_ids = pa.array(spec.scene_ids, pa.string())
        self._expression_keys = np.array(
            [[key_of(spec.run_seed, "scenes", split, number) for number in range(len(self._expressions))] for split in SPLITS], dtype=np.uint64
        )

    @property
    def num_slots(self) -> int:
        """Asked-for images in all."""
        return int(self._first_slot[-1])

    @property
    def num_cells(self) -> int:
        """Cells; each has `views_per_cell` slots, its quota."""
        return self.num_slots // self.spec.views_per_cell

    @property
    def identity_order(self) -> tuple[str, ...]:
        """Identity ids by identity_index: training identities first, then val, then test."""
        return tuple(self.spec.identities[place].identity_id for place in self._order)

    def fingerprint(self) -> str:
        """sha256 of everything that the rows depend on."""
        return self.spec.fingerprint()

    def shards(self) -> tuple[ShardPlan, ...]:
        """Shards in the order of their slots; none crosses a split."""
        return tuple(self._iterate_shards())

    def rows(self, start: int, stop: int) -> pa.Table:
        """Rows of slots start .. stop-1, with ROW_SCHEMA; any slice equals the same slice of the whole."""
        if not 0 <= start <= stop <= self.num_slots:
            raise ConfigError(f"plan: slots {start} to {stop} asked for, but the run has slots 0 to {self.num_slots}. Choose a range inside.")
        parts = []
        for split in range(len(SPLITS)):
            first, last = max(start, int(self._first_slot[split])), min(stop, int(self._first_slot[split + 1]))
            if first < last:
                parts.append(self._rows_of_split(split, np.arange(first, last, dtype=np.int64)))
        return pa.concat_tables(parts).combine_chunks() if parts else ROW_SCHEMA.empty_table()

    def row_list(self, start: int, stop: int) -> list[ManifestRow]:
        """As `rows`, as objects."""
        return manifest_rows(self.rows(start, stop))

    def _iterate_shards(self) -> Iterator[ShardPlan]:
        for number, split in enumerate(SPLITS):
            first, last = int(self._first_slot[number]), int(self._first_slot[number + 1])
            for index, start in enumerate(range(first, last, self.spec.shard_size)):
                yield ShardPlan(split=split, index=index, start=start, stop=min(start + self.spec.shard_size, last))

    def _rows_of_split(self, split: int, slots: NDArray[np.int64]) -> pa.Table:
        first = self._first_slot[split]
        size = int(self._first_slot[split + 1] - first)
        rest, view = np.divmod(permute(slots - first, size, key_of(self.spec.run_seed, "slots", SPLITS[split])), self.spec.views_per_cell)
        rest, scene_of_cell = np.divmod(rest, self._scenes_per_cell)
        identity, expression = np.divmod(rest, len(self._expressions))  # identity counts within the split
        identity_index = identity + self._first_identity[split]
        place = self._order[identity_index]
        if self.spec.scenes == "every":
            scene = scene_of_cell
        elif self.spec.scenes == "own":
            scene = place
        else:
            scene = self._spread_scenes(split, identity, expression, view)
        num_rows = len(slots)
        return pa.Table.from_arrays(
            [
                pa.array(slots),
                pa.array((identity_index * len(self._expressions) + expression) * self._scenes_per_cell + scene_of_cell),
                self._identity_ids.take(pa.array(place)),
                pa.array(identity_index),
                self._words.take(pa.array(expression)),
                pa.array(self._intensities[expression]),
                self._scene_ids.take(pa.array(scene)),
                pa.array(view.astype(np.int32)),
                pa.repeat(self.spec.mode, num_rows),
                pa.repeat(SPLITS[split], num_rows),
            ],
            schema=ROW_SCHEMA,
        )

    def _spread_scenes(
        self, split: int, identity: NDArray[np.int64], expression: NDArray[np.int64], view: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Scene of each row, such that counts are level: of an expression, of an expression within a split, and in all.

        The rows of an expression are numbered, identities in a shuffled order, views of a cell in a row; expressions follow each other, so that
        the scenes are dealt out round by round, as cards are. A cell has different scenes as long as V <= S.
        """
        views, num_scenes = self.spec.views_per_cell, len(self.spec.scene_ids)
        size = int(self._first_identity[split + 1] - self._first_identity[split])
        shuffled = permute(identity, size, self._expression_keys[split][expression])
        rows_per_expression = len(self.spec.identities) * views
        dealt = expression * rows_per_expression + (self._first_identity[split] + shuffled) * views + view
        return permute(dealt % num_scenes, num_scenes, key_of(self.spec.run_seed, "scene order"))


def manifest_rows(table: pa.Table) -> list[ManifestRow]:
    """Rows of a table with ROW_SCHEMA as objects."""
    return [ManifestRow(**row) for row in table.to_pylist()]


def write_manifest(plan: Plan, folder: Path, *, rows_per_part: int = ROWS_PER_PART) -> tuple[Path, ...]:
    """Writes the plan as part-00000.parquet, part-00001.parquet, ... and returns their paths; a part holds whole shards, one row group each.

    Equal plans give equal bytes. Parts appear under their names only when complete; memory is bounded by a part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = plan.shards()
    paths: list[Path] = []
    first = 0
    while first < len(shards):
        last = first + 1
        while last < len(shards) and shards[last].stop - shards[first].start <= rows_per_part:
            last += 1
        start = shards[first].start
        table = plan.rows(start, shards[last - 1].stop)
        path = folder / f"part-{len(paths):05d}.parquet"
        unfinished = folder / f".{path.name}.{os.getpid()}.tmp"
        schema = ROW_SCHEMA.with_metadata({"plan_sha256": plan.fingerprint()})
        with pq.ParquetWriter(unfinished, schema) as writer:
            for shard in shards[first:last]:
                rows = table.slice(shard.start - start, shard.num_slots).replace_schema_metadata(schema.metadata)
                writer.write_table(rows, row_group_size=shard.num_slots)
        os.replace(unfinished, path)
        paths.append(path)
        first = last
    return tuple(paths)


def read_manifest(folder: Path) -> pa.Table:
    """All rows of a manifest folder in the order of their slots."""
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise InputError(f'manifest: {folder} has no part-*.parquet. Run "facemint plan" first.')
    return pa.concat_tables([pq.read_table(path) for path in paths])
