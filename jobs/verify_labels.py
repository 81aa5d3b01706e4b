"""The label rows of a shard beside everything else that says the same: the manifest, the attempts, the run's settings, and the JSON in the tar."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.label_rows import MEASURED, json_label
from jobs.shards import rejected_id
from jobs.verify_json import JsonDamage, parse_object
from manifests.records import CLASS_NAMES, LIST_LENGTHS, asked_fields
from manifests.rows import ManifestRow, sample_id
from manifests.vocabulary import Word

MAX_LABEL_BYTES = 64 << 10  # of the JSON of one sample

Attempted = Mapping[tuple[int, int], dict[str, Any]]  # (slot, attempt) -> its row in the table of attempts


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """What the labels of a run have in common."""

    constants: Mapping[str, Any]  # column -> its value in every row of the run
    plans: frozenset[str]  # fingerprints that manifest_sha256 may have
    measured: bool | None  # whether the JSON of accepted samples holds what was measured; None: not known


def label_problems(table: pa.Table, place: str, rows: Mapping[int, ManifestRow], attempted: Attempted, facts: LabelFacts,
                   words: Mapping[str, Word]) -> Iterator[str]:  # fmt: skip
    """Where the label rows of data/ or rejected/ differ from the manifest, the attempts and the run. `rows` are those of the shard by slot."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    for name, length in LIST_LENGTHS.items():
        wrong = next((number for number, value in enumerate(columns[name]) if value is not None and (len(value) != length or None in value)), None)
        if wrong is not None:
            yield f"{name} of sample {columns['sample_id'][wrong]} doesn't hold {length} numbers"
    for name in table.column_names:
        if pa.types.is_floating(table[name].type) and not np.isfinite(table[name].drop_null().to_numpy()).all():
            yield f"{name} has values that are not finite"
    for name, names in CLASS_NAMES.items():
        if any(value is not None and not 0 <= value < len(names) for value in columns[name]):
            yield f"{name} has classes that it has no names for"
            return
    for name, value in facts.constants.items():
        other = next((found for found in columns[name] if found != value), None)
        if other is not None:
            yield f"{name} is {str(other)[:80]} in a sample, {value} in the run"
    foreign = next((value for value in columns["manifest_sha256"] if value not in facts.plans), None)
    if foreign is not None:
        yield f"manifest_sha256 is {foreign[:12]}... in a sample, which is not the plan of manifest/"
    asked: dict[int, dict[str, Any]] = {}
    for number, (key, attempt) in enumerate(zip(columns["sample_id"], columns["attempt"], strict=True)):
        slot = int(key[:12]) if key[:12].isdecimal() else -1
        answer = attempted.get((slot, attempt))
        if slot not in rows or answer is None or key != (sample_id(slot) if place == "data" else rejected_id(slot, attempt)):
            yield f"sample {key[:40]} is of no attempt in attempts/"
            return
        if slot not in asked:
            asked[slot] = asked_fields(rows[slot], words)
        difference = _row_difference(columns, number, asked[slot], answer, accepted=place == "data")
        if difference:
            yield f"sample {key}: {difference}"
            return


def _row_difference(columns: Mapping[str, Sequence[Any]], number: int, asked: Mapping[str, Any], answer: Mapping[str, Any], *, accepted: bool) -> str:
    """Name and values of the first field of a row that is not as asked or attempted; "" when there is none."""
    reasons = list(answer["reasons"])
    expected = {name: value for name, value in asked.items() if name != "sample_id"}
    expected |= {"seed": answer["seed"], "qc_accepted": accepted, "qc_gates_failed": reasons, "qc_reject_reason": reasons[0] if reasons else None}
    for name, value in expected.items():
        found = columns[name][number]
        if name in CLASS_NAMES and found is not None:
            found = CLASS_NAMES[name][found]
        if isinstance(value, float):
            value = float(np.float32(value))
        if found != value:
            return f"{name} is {str(found)[:80]}, the plan and the attempts say {str(value)[:80]}"
    return ""


def json_labels(table: pa.Table, *, measured: bool) -> list[bytes]:
    """The JSON of every row as the tar has it, with or without what was measured; made column by column, because there are many."""
    nothing = json.loads(json_label(dict.fromkeys(table.column_names), measured=True))  # what the JSON has where the column has null
    names = [name for name in sorted(table.column_names) if measured or not name.startswith(MEASURED)]
    columns = [_column_texts(name, table[name], nothing[name]) for name in names]
    return [f"{{{', '.join(row)}}}".encode() for row in zip(*columns, strict=True)]


def json_difference(content: bytes, expected: bytes) -> str:
    """What is wrong with the JSON of a sample that is not as expected: the first field that differs."""
    if len(content) > MAX_LABEL_BYTES:
        return f"it has {len(content):,} bytes, at most {MAX_LABEL_BYTES:,} are expected"
    try:
        got = parse_object(content)
    except JsonDamage as damage:
        return str(damage)
    wanted = json.loads(expected)
    for name in sorted({*got, *wanted}):
        if name not in wanted:
            return f"{name[:60]!r} is no label"
        if name not in got:
            return f"{name} is missing"
        if got[name] != wanted[name] or type(got[name]) is not type(wanted[name]):
            return f"{name} is {str(got[name])[:80]}, the Parquet row has {str(wanted[name])[:80]}"
    return "it is not written as facemint writes it"


def _column_texts(name: str, column: pa.ChunkedArray, none: Any) -> list[str]:
    """`"name": value` for every row."""
    values, start = column.to_pylist(), f'"{name}": '
    if pa.types.is_list(column.type):
        return [start + json.dumps(none if value is None else value, ensure_ascii=False) for value in values]
    if name in CLASS_NAMES:
        values = [None if value is None else CLASS_NAMES[name][value] for value in values]
    different = set(values)
    empty = json.dumps(none)
    if pa.types.is_floating(column.type):
        texts = {value: start + (empty if value is None else repr(value)) for value in different}  # a float's repr is what json writes
    else:
        texts = {value: start + (empty if value is None else json.dumps(value, ensure_ascii=False)) for value in different}
    return [texts[value] for value in values]
