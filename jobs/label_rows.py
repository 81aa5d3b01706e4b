"""Label rows of the answers of a shard: as Parquet columns and as the JSON texts in its tar, with equal numbers in both."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import InputError
from manifests.records import CLASS_NAMES, LABEL_SCHEMA, LIST_LENGTHS, SampleRecord, table_from_records

MEASURED = ("obs_", "sim_", "q_", "n_", "bbox", "landmarks5", "expression_error")  # columns that a picture without a face has no values of

LabelRow = dict[str, Any]  # fields of SampleRecord

_FIELDS = tuple(field.name for field in dataclasses.fields(SampleRecord))
_FLOATS = tuple(field.name for field in LABEL_SCHEMA if field.type == pa.float32())
_SORTED = tuple(sorted(_FIELDS))  # the order of keys in JSON
_IN_EVERY_JSON = tuple(name for name in _SORTED if not name.startswith(MEASURED))
_EMPTY = {"expression_primary6": "", "expression_affectnet8": "", "identity_group": "", "req_pose_bin": "", "expression_rafdb7": 0}  # for null, in JSON
_NUMBERS = {name: {None: None, **{text: number for number, text in enumerate(names)}} for name, names in CLASS_NAMES.items()}


def label_row(*parts: Mapping[str, Any]) -> LabelRow:
    """All fields, from the parts that give them; later parts win, and what none gives is None."""
    row: LabelRow = dict.fromkeys(_FIELDS)
    for part in parts:
        row |= part
    if len(row) > len(_FIELDS):
        unknown = sorted(row.keys() - set(_FIELDS))
        raise InputError(f"shards: a worker measured {', '.join(unknown)}, which is no label. Add it to SampleRecord.")
    return row


def label_table(rows: Sequence[LabelRow]) -> pa.Table:
    """Table with LABEL_SCHEMA; the rows' floats are rounded to the 32 bits of its columns. Raises InputError as SampleRecord does.

    subtle: columns are handled as a whole, because a row at a time costs as much as a fast core; SampleRecord says what is wrong with a row.
    """
    try:
        for name in _FLOATS:
            _round_column(rows, name)
        for name, length in LIST_LENGTHS.items():
            _round_lists(rows, name, length)
        columns = {name: [row[name] for row in rows] for name in _FIELDS}
        for name, numbers in _NUMBERS.items():
            columns[name] = [numbers[value] for value in columns[name]]
        return pa.Table.from_pydict(columns, schema=LABEL_SCHEMA)
    except (ValueError, TypeError, KeyError, OverflowError, pa.ArrowException):
        return table_from_records([SampleRecord(**row) for row in rows])


def json_label(row: LabelRow, *, measured: bool) -> bytes:
    """The label of a sample in a tar: the same keys with the same types in every sample of a run.

    subtle: datasets.load_dataset("webdataset") takes types from the first five samples and fails when a null is followed by a value. So what has
    no class or group has "" and 0 here, where the Parquet column has null, and what may be missing (`measured` false) is in Parquet only.
    """
    fields = {name: row[name] for name in (_SORTED if measured else _IN_EVERY_JSON)}
    for name, empty in _EMPTY.items():
        fields[name] = fields[name] or empty
    return _encode(fields).encode()


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _round_column(rows: Sequence[LabelRow], name: str) -> None:
    values = [math.nan if row[name] is None else row[name] for row in rows]
    with np.errstate(over="ignore"):
        rounded = np.array(values, dtype=np.float32)
    finite = np.isfinite(rounded)
    for row, value, is_finite in zip(rows, rounded.tolist(), finite.tolist(), strict=True):
        if is_finite:
            row[name] = value
        elif row[name] is not None:
            raise ValueError(name)


def _round_lists(rows: Sequence[LabelRow], name: str, length: int) -> None:
    present = [row for row in rows if row[name] is not None]
    if present:
        with np.errstate(over="ignore"):
            rounded = np.array([row[name] for row in present], dtype=np.float32)
        if rounded.shape != (len(present), length) or not np.isfinite(rounded).all():
            raise ValueError(name)
        for row, values in zip(present, rounded.tolist(), strict=True):
            row[name] = tuple(values)
