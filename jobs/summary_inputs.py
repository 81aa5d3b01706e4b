"""The tables that a report is computed from, read shard by shard and column by column: slots, attempts, labels of the accepted."""

# N rows of a shard

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.files import open_read
from jobs.locations import Location
from manifests.errors import InputError
from manifests.records import LABEL_SCHEMA
from manifests.verdicts import REJECT_REASONS
from manifests.vocabulary import AFFECTNET8
from qc.report.inputs import SLOT_COLUMNS

MAX_MEASURED = 200_000  # attempts whose measurements beyond the labels are read, in a spread of the shards
EXTRA = ("pose_error", "face_count", "second_face_area", "expression_error_share", "sharpness_ratio", "landmark_offset")  # of attempts/, not in labels
PLAIN = ("obs_valence", "obs_arousal", "obs_yaw", "obs_pitch", "obs_roll", "sim_gate_ref", "sim_audit_ref", "expression_error", "obs_identity_rank")
ASKED = ("req_valence", "req_arousal", "req_yaw", "req_pitch")
POINTS = tuple(f"landmark5_{axis}{point}" for point in range(5) for axis in "xy")  # in the order of the label's list

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """Tables of the committed shards of a run, as `qc.report.inputs.ReportInputs` takes them."""

    slots: pd.DataFrame
    attempts: pd.DataFrame
    labels: pd.DataFrame
    marking: tuple[str, ...]


def read_run_tables(folder: Location, markers: Mapping[str, Mapping[str, Any]]) -> RunTables:
    """All of it. Memory is that of the numbers: about 400 bytes an attempt; text is kept once per value."""
    names = sorted(markers, key=lambda name: markers[name]["start"])
    chosen = _spread_shards({name: int(markers[name]["counts"]["attempts"]) for name in names})
    slots = pa.concat_tables([_slots(folder, name) for name in names]).unify_dictionaries().to_pandas()
    parts = [_shard(folder, name, markers[name]["files"], extras=name in chosen) for name in names]
    wanted = list(dict.fromkeys(column for part in parts for column in part))
    sizes = [len(part["slot"]) for part in parts]
    columns = {column: _joined(parts, sizes, column) for column in wanted}
    del parts
    accepted = columns["accepted"]
    asked = {name: columns.pop(name) for name in (*ASKED, "file_hash", "pixel_hash", "phash64", "has_phash")}
    labels = pd.DataFrame({name: values[accepted] for name, values in asked.items()}, copy=False)
    return RunTables(slots=slots, attempts=pd.DataFrame(columns, copy=False), labels=labels, marking=_marking(folder, names, markers))


def _slots(folder: Location, name: str) -> pa.Table:
    path = folder / "slots" / f"{name}.parquet"
    text = [column for column in SLOT_COLUMNS if column != "slot"]
    with open_read(path) as stream:
        return pq.read_table(stream, columns=list(SLOT_COLUMNS), read_dictionary=text)


def _shard(folder: Location, name: str, files: Mapping[str, Any], *, extras: bool) -> Columns:
    """Attempts of a shard in the order of slots and attempts: its accepted and its rejected label rows, and measurements that labels don't have."""
    tables = [_label_columns(folder / place / f"{name}.parquet") for place in ("data", "rejected") if f"{place}/{name}.parquet" in files]
    if not tables:
        tables = [_columns_of(LABEL_SCHEMA.empty_table())]
    rows = {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
    order = np.lexsort((rows["attempt"], rows["slot"]))
    rows = {column: values[order] for column, values in rows.items()}
    measured = _extras(folder / "attempts" / f"{name}.parquet", rows) if extras else {}
    return rows | {column: measured.get(column, np.full(len(order), np.nan, np.float32)) for column in EXTRA}


def _label_columns(path: Location) -> Columns:
    wanted = ["sample_id", "attempt", "seed", "qc_accepted", "qc_gates_failed", "file_sha256", "pixel_sha256", "phash64", *PLAIN, *ASKED]
    wanted += ["obs_expression_probs", "landmarks5"]
    with open_read(path) as stream:
        file = pq.ParquetFile(stream)
        wanted += [name for name in file.schema_arrow.names if name[:2] in ("n_", "q_")]
        return _columns_of(file.read(columns=[name for name in wanted if name in file.schema_arrow.names]))


def _columns_of(table: pa.Table) -> Columns:
    table = table.combine_chunks()
    columns: Columns = {
        "slot": pc.cast(pc.utf8_slice_codeunits(table["sample_id"], 0, 12), pa.int64()).to_numpy(),
        "attempt": table["attempt"].to_numpy().astype(np.int16),
        "seed": table["seed"].to_numpy().astype(np.uint64),
        "accepted": table["qc_accepted"].to_numpy(zero_copy_only=False).astype(bool),
        "reasons": _reason_bits(table["qc_gates_failed"]),
        "file_hash": _hashes(table["file_sha256"]),
        "pixel_hash": _hashes(table["pixel_sha256"]),
        "phash64": pc.fill_null(table["phash64"], 0).to_numpy().astype(np.uint64),
        "has_phash": table["phash64"].is_valid().to_numpy(zero_copy_only=False).astype(bool),
    }
    for name in table.schema.names:
        if name in PLAIN or name in ASKED or name[:2] in ("n_", "q_"):
            columns[name] = pc.cast(table[name], pa.float32()).to_numpy(zero_copy_only=False).astype(np.float32)
    columns |= _list_columns(table["obs_expression_probs"], [f"obs_prob_{name}" for name in AFFECTNET8])
    return columns | _list_columns(table["landmarks5"], POINTS)


def _reason_bits(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Sets of reasons as bits, as `qc.report.inputs.reason_bits`."""
    lists = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    place = pd.Index(REJECT_REASONS).get_indexer(pd.Index(pc.list_flatten(lists).to_pandas()))
    if len(place) and place.min() < 0:
        raise InputError("report: a label names a reject reason that this version of facemint doesn't know. Use the version that made the run, or a newer one.")
    bits = np.left_shift(np.int64(1), place.astype(np.int64)) if len(place) else np.zeros(0, np.int64)
    return np.bincount(np.repeat(np.arange(len(lists)), lengths), bits, len(lists)).astype(np.int64)


def _hashes(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """The first 64 bits of sha256 digests; a million different files have equal ones with a chance of 3e-8."""
    digests = pc.utf8_slice_codeunits(column, 0, 16).to_pylist()
    return np.frombuffer(bytes.fromhex("".join(digests)), ">u8").astype(np.uint64)


def _list_columns(column: pa.ChunkedArray, names: Sequence[str]) -> Columns:
    """A column of lists of one length as a column a place; nan where the list is null."""
    lists = column.combine_chunks()
    valid = lists.is_valid().to_numpy(zero_copy_only=False)
    values = np.full((len(names), len(lists)), np.nan, np.float32)
    values[:, valid] = pc.list_flatten(lists).to_numpy(zero_copy_only=False).reshape(-1, len(names)).T
    return dict(zip(names, values, strict=True))


def _extras(path: Location, rows: Columns) -> Columns:
    """Measurements of EXTRA for the rows of a shard."""
    with open_read(path) as stream:
        file = pq.ParquetFile(stream, read_dictionary=["measurements.list.element.name"])
        table = file.read(columns=["slot", "attempt", "measurements"]).combine_chunks()
    lists = table["measurements"].combine_chunks()
    items = pc.list_flatten(lists)
    owner = pc.list_parent_indices(lists).to_numpy()
    names, values = pc.struct_field(items, "name"), pc.struct_field(items, "value").to_numpy(zero_copy_only=False)
    coded = names if isinstance(names, pa.DictionaryArray) else names.dictionary_encode()
    codes, known = coded.indices.to_numpy(zero_copy_only=False), coded.dictionary.to_pylist()
    place = _match(table["slot"].to_numpy(), table["attempt"].to_numpy(), rows)
    found: Columns = {}
    for name in EXTRA:
        if name in known:
            of = codes == known.index(name)
            column = np.full(len(rows["slot"]), np.nan, np.float32)
            at = place[owner[of]]
            column[at[at >= 0]] = values[of][at >= 0]
            found[name] = column
    return found


def _match(slot: NDArray[Any], attempt: NDArray[Any], rows: Columns) -> NDArray[np.int64]:
    """Place of each (slot, attempt) among the ordered rows; -1 where it isn't."""
    if not len(rows["slot"]):
        return np.full(len(slot), -1, np.int64)
    keys = rows["slot"] * 100_000 + rows["attempt"].astype(np.int64)
    wanted = np.asarray(slot, np.int64) * 100_000 + np.asarray(attempt, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


def _spread_shards(attempts: Mapping[str, int]) -> set[str]:
    """Shards, evenly spread, that hold MAX_MEASURED attempts or fewer; at least one."""
    total, names = sum(attempts.values()), list(attempts)
    if total <= MAX_MEASURED:
        return set(names)
    count = max(1, len(names) * MAX_MEASURED // total)
    return {names[k] for k in np.linspace(0, len(names) - 1, count).astype(int)}


def _joined(parts: Sequence[Columns], sizes: Sequence[int], column: str) -> NDArray[Any]:
    """A column of all shards; missing values where a shard doesn't have it. The shards' own arrays are let go."""
    return np.concatenate([part.pop(column) if column in part else np.full(size, np.nan, np.float32) for part, size in zip(parts, sizes, strict=True)])


def _marking(folder: Location, names: Sequence[str], markers: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Marks of the first accepted picture; all of a run carry the same."""
    for name in names:
        if f"data/{name}.parquet" in markers[name]["files"]:
            with open_read(folder / "data" / f"{name}.parquet") as stream:
                for batch in _batches(stream):
                    return tuple(batch["marking"][0].as_py() or ())
    return ()


def _batches(stream: Any) -> Iterator[pa.RecordBatch]:
    file = pq.ParquetFile(stream)
    if "marking" in file.schema_arrow.names:
        yield from file.iter_batches(batch_size=1, columns=["marking"])
