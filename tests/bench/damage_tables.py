"""Damage inside of Parquet files whose hashes were brought in step: label rows, attempts, slots, schemas."""

from __future__ import annotations

import pyarrow as pa

from tests.bench.tampering import NotHere, Tampering, other, parquet_bytes

MEASURED = ("obs_", "sim_", "q_", "n_", "bbox", "landmarks5", "expression_error")  # columns that the JSON of a rejected picture doesn't repeat


def parquet_field(run: Tampering) -> None:
    """A value of a label row that the JSON, the manifest or the attempts have, too."""
    file = run.choose(run.shard_files(".parquet"))
    table = run.table(file)
    names = [name for name in table.column_names if file.startswith("data/") or not name.startswith(MEASURED)]
    name, row = run.choose(names), int(run.draw.integers(table.num_rows))
    value = table[name][row].as_py()
    kind = table.schema.field(name).type
    changed = other(value) if value is not None else ([1.0] * 4 if pa.types.is_list(kind) else "x" if pa.types.is_string(kind) else 1)
    if name == "expression_affectnet8" and value is not None:
        changed = (value + 1) % 8
    run.set_cell(file, name, row, min(changed, 127) if kind == pa.int8() and isinstance(changed, int) else changed)


def parquet_rows(run: Tampering) -> None:
    """A row that is gone, one that is there twice, or all in another order."""
    file = run.choose(run.shard_files(".parquet", ("data", "rejected", "attempts", "slots")))
    table = run.table(file)
    rows = list(range(table.num_rows))
    at = run.choose(rows)
    chosen = run.choose([rows[:at] + rows[at + 1 :], [*rows, at], rows[::-1]])
    if chosen == rows:
        raise NotHere
    run.write_table(file, table.take(pa.array(chosen, pa.int64())))


def parquet_schema(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("data", "rejected", "attempts", "slots")))
    table = run.table(file)
    name = run.choose(table.column_names)
    place = table.column_names.index(name)
    changed = [table.drop_columns([name]), table.rename_columns([f"{each}_" if each == name else each for each in table.column_names])]
    changed.append(table.set_column(place, name, pa.array([None] * table.num_rows, pa.string())))
    if table.schema.metadata:
        changed.append(table.replace_schema_metadata(None))
    run.write_table(file, run.choose(changed))


def parquet_bomb(run: Tampering) -> None:
    """A text of 8 MB that a few KB decode to."""
    run.set_cell(run.choose(run.shard_files(".parquet", ("data",))), "model_bundle_id", 0, "a" * (8 << 20))


def seed(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("attempts",)))
    run.set_cell(file, "seed", int(run.draw.integers(run.table(file).num_rows)), int(run.draw.integers(2**63)))


def attempt_number(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("attempts",)))
    row = int(run.draw.integers(run.table(file).num_rows))
    run.set_cell(file, "attempt", row, run.table(file)["attempt"][row].as_py() + 1)


def attempt_verdict(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("attempts",)))
    row = int(run.draw.integers(run.table(file).num_rows))
    run.set_cell(file, "accepted", row, not run.table(file)["accepted"][row].as_py())


def slot_field(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("slots",)))
    table = run.table(file)
    name, row = run.choose(table.column_names), int(run.draw.integers(table.num_rows))
    value = table[name][row].as_py()
    run.set_cell(file, name, row, other(value) if value is not None else 1 if name == "attempt" else "attempts")


def manifest_rows(run: Tampering) -> None:
    """A row of the manifest that is not the plan's, with the stage's hash in step."""
    file = run.choose([file for file in run.promised() if file.startswith("manifest/part-")])
    table = run.table(file)
    name, row = run.choose([name for name in table.column_names if table[name].null_count == 0]), int(run.draw.integers(table.num_rows))
    values = table[name].to_pylist()
    values[row] = other(values[row])
    field = table.schema.field(name)
    run.write(file, parquet_bytes(table.set_column(table.column_names.index(name), field, pa.array(values, field.type))))
    run.reseal_stage("plan", file)


KINDS = (
    parquet_field,
    parquet_rows,
    parquet_schema,
    parquet_bomb,
    seed,
    attempt_number,
    attempt_verdict,
    slot_field,
    manifest_rows,
)
