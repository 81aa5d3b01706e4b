"""The label row of a sample, the row of an attempt, and the Parquet schemas that other tools read without edits."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from manifests.errors import InputError
from manifests.quality import QualityColumns
from manifests.rows import AS_BACKGROUND, ManifestRow
from manifests.verdicts import REJECT_REASONS
from manifests.vocabulary import AFFECTNET8, PRIMARY6, Word, rafdb7_number

Feature = dict[str, Any]  # a column as Hugging Face datasets describes it


@dataclass(frozen=True, kw_only=True)
class SampleColumns:
    """What was asked of one sample (req_), measured on it (obs_, sim_, q_, n_), judged (qc_), and where it came from. None: not asked or not measured."""

    sample_id: str  # 12 digits, the slot; equals the tar key
    file_sha256: str
    pixel_sha256: str  # of the decoded (H, W, 3) uint8 RGB bytes
    phash64: int | None = None  # perceptual hash, qc.dataset.hashes; finds re-encodings and resizes only
    width: int  # px
    height: int  # px
    format: str  # jpeg, png, webp
    split: str
    identity_id: str
    identity_index: int  # 0 .. N-1, training identities first
    identity_source: str  # sampled / parametric / licensed-reference
    identity_group: str | None  # demographic group, as the recipe's labels say
    cell: int
    view: int
    mode: str
    req_expression_word: str | None
    req_intensity: float | None
    expression_primary6: str | None  # of PRIMARY6
    expression_affectnet8: str | None  # of AFFECTNET8
    expression_rafdb7: int | None  # RAF-DB's own numbers, 1 .. 7
    obs_expression_probs: tuple[float, ...] | None  # 8, in the order of AFFECTNET8
    req_valence: float | None  # -1 .. 1
    req_arousal: float | None
    obs_valence: float | None
    obs_arousal: float | None
    req_yaw: float | None  # degrees; yaw > 0 turns to image right, pitch > 0 looks up, roll > 0 is clockwise in the image
    req_pitch: float | None
    req_roll: float | None
    req_pose_bin: str | None  # such as "0-15" or "45+" degrees of |yaw|, where poses are an axis
    obs_yaw: float | None
    obs_pitch: float | None
    obs_roll: float | None
    bbox: tuple[float, ...] | None  # x, y, w, h px
    landmarks5: tuple[float, ...] | None  # x0, y0, ... px, pixel centre at +0.5; viewer's-left eye first
    req_scene_id: str
    sim_gate_ref: float | None  # cosine to the asked-for identity, by the gate
    sim_audit_ref: float | None  # the same by the auditor, which has no say in acceptance
    expression_error: float | None
    qc_accepted: bool
    qc_reject_reason: str | None  # of REJECT_REASONS
    qc_gates_failed: tuple[str, ...]
    attempt: int
    seed: int
    sampler: str
    steps: int
    guidance: float
    model_bundle_id: str
    manifest_sha256: str
    generator_version: str
    marking: tuple[str, ...]  # c2pa, wm48, ...; empty: none


@dataclass(frozen=True, kw_only=True)
class SampleRecord(QualityColumns, SampleColumns):
    """The label row of a sample: these columns, then those of its face image quality."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
                raise InputError(f"records: {field.name} of sample {self.sample_id} is {value}, expected finite numbers, or None for what was not measured.")
            length = LIST_LENGTHS.get(field.name, len(numbers))
            if value is not None and len(numbers) != length:
                raise InputError(f"records: {field.name} of sample {self.sample_id} has {len(numbers)} numbers, expected {length}.")


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One attempt at one slot, accepted or not, with all that was measured."""

    slot: int
    attempt: int
    seed: int
    cell: int
    identity_id: str
    expression: str
    accepted: bool
    reasons: tuple[str, ...]
    measurements: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What a run was made from, and how much it made."""

    config_hash: str
    weights: Mapping[str, str]  # name -> sha256
    versions: Mapping[str, str]  # package -> version
    counts: Mapping[str, int]  # "accepted", "rejected", ... -> images

    def to_json(self) -> str:
        """Canonical JSON text, one key a line."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> RunRecord:
        """The record that `to_json` wrote."""
        try:
            return RunRecord(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise InputError(f"run record: the text isn't one that facemint wrote ({error}). Restore run.json from the run.") from error


def asked_fields(row: ManifestRow, words: Mapping[str, Word]) -> dict[str, Any]:
    """The fields of SampleRecord that follow from the row and the vocabulary (word -> Word).

    Valence and arousal scale with the intensity. A row that keeps the background's expression asks for none, so all of its expression labels are None.
    """
    word = None if row.expression == AS_BACKGROUND else words[row.expression]
    return {
        "sample_id": row.sample_id,
        "split": row.split,
        "identity_id": row.identity_id,
        "identity_index": row.identity_index,
        "identity_group": row.identity_group,
        "cell": row.cell,
        "view": row.view,
        "mode": row.mode,
        "req_scene_id": row.scene_id,
        "req_pose_bin": row.pose_bin or None,
        "req_expression_word": word.word if word else None,
        "req_intensity": row.intensity if word else None,
        "expression_primary6": word.primary if word else None,
        "expression_affectnet8": word.affectnet8 if word else None,
        "expression_rafdb7": rafdb7_number(word.rafdb7) if word and word.rafdb7 else None,
        "req_valence": word.valence * row.intensity if word else None,
        "req_arousal": word.arousal * row.intensity if word else None,
    }


def table_from_records(records: Sequence[SampleRecord]) -> pa.Table:
    """Label table with LABEL_SCHEMA, in the order of the records."""
    rows = []
    for record in records:
        row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        for name, names in CLASS_NAMES.items():
            row[name] = None if row[name] is None else _class_number(name, row[name], names)
        rows.append(row)
    return _table(rows, LABEL_SCHEMA)


def records_from_table(table: pa.Table) -> list[SampleRecord]:
    """The records that `table_from_records` wrote; float columns come back with 32-bit precision."""
    records = []
    for row in table.to_pylist():
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        for name, names in CLASS_NAMES.items():
            fields[name] = None if row[name] is None else names[row[name]]
        records.append(SampleRecord(**fields))
    return records


def record_json(record: SampleRecord) -> str:
    """The record as one line of JSON with class names as text; floats are rounded to 32 bits, so that they equal the Parquet columns."""
    row = {name: _json_value(value) for name, value in dataclasses.asdict(record).items()}
    return json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False)


def attempts_table(attempts: Sequence[AttemptRecord]) -> pa.Table:
    """Table with ATTEMPT_SCHEMA, in the order of the attempts; measurements are sorted by name, what could not be measured is left out."""
    rows = []
    for attempt in attempts:
        row = {field.name: getattr(attempt, field.name) for field in dataclasses.fields(attempt)}
        finite = sorted((name, value) for name, value in attempt.measurements.items() if not math.isnan(value))
        row["measurements"] = [{"name": name, "value": value} for name, value in finite]
        rows.append(row)
    return _table(rows, ATTEMPT_SCHEMA)


def measurement_frame(table: pa.Table) -> Any:
    """Attempts as a pandas data frame with a column for each measurement; nan where it is missing."""
    import pandas as pd  # half a second that only readers of the result need
    frame = table.drop_columns(["measurements"]).to_pandas()
    measured = [{item["name"]: item["value"] for item in items} for items in table["measurements"].to_pylist()]
    values = pd.DataFrame(measured, index=frame.index, dtype=np.float32)
    return pd.concat([frame, values[sorted(values.columns)]], axis=1)


def _value(dtype: str) -> Feature:
    return {"dtype": dtype, "_type": "Value"}


CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "expression_primary6": PRIMARY6,
    "expression_affectnet8": AFFECTNET8,
    "qc_reject_reason": REJECT_REASONS,
}

# subtle: Arrow's fixed-size lists would say this in the schema, but pyarrow before 26 can't read them back from Parquet when one is null.
LIST_LENGTHS = {"obs_expression_probs": 8, "bbox": 4, "landmarks5": 10}

_INT32 = ("width", "height", "view", "obs_identity_rank")
_INT16 = ("attempt", "steps")
_INT64 = ("identity_index", "cell")
_INT8 = ("expression_rafdb7", *(field.name for field in dataclasses.fields(SampleRecord) if field.name.startswith("q_") and field.type == "int | None"))
_STRING_LISTS = ("qc_gates_failed", "marking")
_STRINGS = (
    *("sample_id", "file_sha256", "pixel_sha256", "format", "split", "identity_id", "identity_source", "mode", "req_expression_word"),
    *("identity_group", "req_pose_bin", "req_scene_id", "sampler", "model_bundle_id", "manifest_sha256", "generator_version"),
)


def _column(name: str) -> tuple[pa.DataType, Feature]:
    """Arrow type and Hugging Face feature of a label column; what is not named above is a 32-bit float."""
    if name in CLASS_NAMES:
        return pa.int64(), {"names": list(CLASS_NAMES[name]), "_type": "ClassLabel"}
    if name in LIST_LENGTHS:
        return pa.list_(pa.float32()), {"feature": _value("float32"), "_type": "List"}
    if name in _STRING_LISTS:
        return pa.list_(pa.string()), {"feature": _value("string"), "_type": "List"}
    scalars: list[tuple[Sequence[str], pa.DataType, str]] = [
        (_STRINGS, pa.string(), "string"),
        (_INT64, pa.int64(), "int64"),
        (_INT32, pa.int32(), "int32"),
        (_INT16, pa.int16(), "int16"),
        (_INT8, pa.int8(), "int8"),
        (("seed", "phash64"), pa.uint64(), "uint64"),
        (("qc_accepted",), pa.bool_(), "bool"),
    ]
    for names, arrow_type, dtype in scalars:
        if name in names:
            return arrow_type, _value(dtype)
    return pa.float32(), _value("float32")


def _label_schema() -> pa.Schema:
    names = [field.name for field in dataclasses.fields(SampleRecord)]
    nullable = {field.name: "None" in str(field.type) for field in dataclasses.fields(SampleRecord)}
    columns = {name: _column(name) for name in names}
    features = {name: feature for name, (_, feature) in columns.items()}
    fields = [pa.field(name, arrow_type, nullable=nullable[name]) for name, (arrow_type, _) in columns.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


LABEL_SCHEMA = _label_schema()

ATTEMPT_SCHEMA = pa.schema(
    [
        pa.field("slot", pa.int64(), nullable=False),
        pa.field("attempt", pa.int16(), nullable=False),
        pa.field("seed", pa.uint64(), nullable=False),
        pa.field("cell", pa.int64(), nullable=False),
        pa.field("identity_id", pa.string(), nullable=False),
        pa.field("expression", pa.string(), nullable=False),
        pa.field("accepted", pa.bool_(), nullable=False),
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        pa.field("measurements", pa.list_(pa.struct([("name", pa.string()), ("value", pa.float32())])), nullable=False),
    ]
)

SLOT_ASKED = ("slot", "sample_id", "split", "cell", "identity_id", "expression", "scene_id", "identity_group", "pose_bin")  # of the manifest row

SLOT_SCHEMA = pa.schema(
    [
        *(ATTEMPT_SCHEMA.field("slot"), pa.field("sample_id", pa.string(), nullable=False), pa.field("split", pa.string(), nullable=False)),
        *(ATTEMPT_SCHEMA.field(name) for name in ("cell", "identity_id", "expression")),
        pa.field("scene_id", pa.string(), nullable=False),
        pa.field("identity_group", pa.string()),
        pa.field("pose_bin", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # filled, unfilled, quarantined
        pa.field("attempt", pa.int16()),  # that fills it
        pa.field("attempts", pa.int16(), nullable=False),  # that were judged and have a part in this: its rows in attempts/
        pa.field("reason", pa.string()),  # why it isn't filled: attempts, cell_attempts, infeasible, recheck; raised, died
        pa.field("reject_reasons", pa.list_(pa.string()), nullable=False),  # distinct first reasons of its rejected attempts, sorted
    ]
)


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise InputError(f"records: a value doesn't fit its column ({error}). Compare the record with the schema in manifests/records.py.") from error


def _class_number(name: str, value: str, names: Sequence[str]) -> int:
    if value not in names:
        raise InputError(f'records: {name} is "{value}", expected one of {", ".join(names)}.')
    return names.index(value)


def _json_value(value: Any) -> Any:
    if isinstance(value, float):
        return float(np.float32(value))
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    return value
