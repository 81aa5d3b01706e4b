from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.errors import InputError
from manifests.planner import Plan
from manifests.records import (
    ATTEMPT_SCHEMA,
    LABEL_SCHEMA,
    AttemptRecord,
    RunRecord,
    SampleRecord,
    asked_fields,
    attempts_table,
    measurement_frame,
    record_json,
    records_from_table,
    table_from_records,
)
from manifests.rows import AS_BACKGROUND, ManifestRow, row_seed
from manifests.vocabulary import AFFECTNET8, find_word, vocabulary
from tests.manifests.specs import SMALL, changed

WORDS = {word.word: word for word in vocabulary()}


def measured(row: ManifestRow) -> SampleRecord:
    """A record with everything measured."""
    unmeasured = {field.name: None for field in dataclasses.fields(SampleRecord) if field.name.startswith(("q_", "n_", "obs_", "req_"))}
    known = {
        "file_sha256": "a" * 64,
        "pixel_sha256": "b" * 64,
        "width": 128,
        "height": 128,
        "format": "jpeg",
        "identity_source": "sampled",
        "obs_expression_probs": (0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "obs_yaw": 12.5,
        "bbox": (30.0, 40.0, 60.0, 70.0),
        "landmarks5": tuple(float(number) for number in range(10)),
        "sim_gate_ref": 0.75,
        "sim_audit_ref": 0.5,
        "expression_error": 0.25,
        "q_sharpness": 80,
        "n_sharpness": 130.5,
        "qc_accepted": True,
        "qc_reject_reason": None,
        "qc_gates_failed": (),
        "attempt": 1,
        "seed": row_seed(5, row.slot, 1),
        "sampler": "dpmpp",
        "steps": 20,
        "guidance": 2.0,
        "model_bundle_id": "v0",
        "manifest_sha256": Plan(SMALL).fingerprint(),
        "generator_version": "0.1.0",
        "marking": ("none",),
    }
    return SampleRecord(**{**unmeasured, **asked_fields(row, WORDS), **known})


@pytest.fixture(scope="module")
def records() -> list[SampleRecord]:
    complete = [measured(row) for row in Plan(SMALL).row_list(0, 8)]
    empty = [field.name for field in dataclasses.fields(SampleRecord) if "None" in str(field.type)]
    rejected = {"qc_accepted": False, "qc_reject_reason": "identity", "qc_gates_failed": ("identity", "sharpness")}
    return [*complete, dataclasses.replace(complete[0], **{**dict.fromkeys(empty), **rejected, "sample_id": "000000000009"})]


@pytest.fixture
def labels(records, tmp_path):
    path = tmp_path / "train-000000.parquet"
    pq.write_table(table_from_records(records), path)
    return path


def test_schema_has_a_column_for_every_field_in_order():
    assert LABEL_SCHEMA.names == [field.name for field in dataclasses.fields(SampleRecord)]


def test_columns_are_nullable_exactly_where_a_field_may_be_none():
    for column, field in zip(LABEL_SCHEMA, dataclasses.fields(SampleRecord), strict=True):
        assert column.nullable == ("None" in str(field.type)), column.name


def test_records_come_back_from_the_table(records):
    again = records_from_table(table_from_records(records))
    assert [record_json(record) for record in again] == [record_json(record) for record in records]  # JSON rounds to the 32 bits of the table


def test_a_shard_without_samples_has_the_schema():
    assert table_from_records([]).schema.equals(LABEL_SCHEMA, check_metadata=True)


def test_labels_open_in_pandas_with_the_documented_types(labels, records):
    frame = pd.read_parquet(labels, dtype_backend="numpy_nullable")
    expected = {
        "sample_id": "string",
        "width": "Int32",
        "identity_index": "Int64",
        "expression_affectnet8": "Int64",
        "expression_rafdb7": "Int8",
        "req_valence": "Float32",
        "q_sharpness": "Int8",
        "attempt": "Int16",
        "seed": "UInt64",
        "qc_accepted": "boolean",
    }
    assert {name: str(frame[name].dtype) for name in expected} == expected
    assert frame["sample_id"][0] == "000000000000"
    assert frame["expression_affectnet8"].isna().tolist()[-1]
    assert frame["seed"].tolist() == [record.seed for record in records]


def test_labels_open_in_hugging_face_datasets_with_class_names(labels, records, tmp_path):
    import datasets

    loaded = datasets.load_dataset("parquet", data_files=str(labels), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.features["expression_affectnet8"].names == list(AFFECTNET8)
    assert loaded.features["bbox"].feature.dtype == "float32"
    names = [None if number is None else AFFECTNET8[number] for number in loaded["expression_affectnet8"]]
    assert names == [record.expression_affectnet8 for record in records]
    assert loaded[8]["bbox"] is None and loaded[0]["bbox"] == [30.0, 40.0, 60.0, 70.0]
    assert loaded[8]["qc_gates_failed"] == ["identity", "sharpness"]
    assert loaded[0]["seed"] == records[0].seed


def test_json_says_the_same_as_the_table(records):
    table = table_from_records(records)
    for record, row in zip(records, table.to_pylist(), strict=True):
        text = json.loads(record_json(record))
        assert text["req_valence"] == row["req_valence"]
        assert text["expression_affectnet8"] == record.expression_affectnet8
        assert text["landmarks5"] == row["landmarks5"]
        assert list(text) == sorted(text)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"expression_affectnet8": "joy"}, 'expression_affectnet8 is "joy"'),
        ({"qc_reject_reason": "ugly"}, "qc_reject_reason"),
        ({"width": 2**40}, "doesn't fit its column"),
        ({"sample_id": 7}, "doesn't fit its column"),
    ],
)
def test_a_value_that_does_not_fit_is_named(records, fields, reason):
    with pytest.raises(InputError, match=reason):
        table_from_records([dataclasses.replace(records[0], **fields)])


@pytest.mark.parametrize("fields", [{"obs_yaw": float("nan")}, {"bbox": (1.0, 2.0, float("inf"), 3.0)}])
def test_nan_is_no_measurement(records, fields):
    with pytest.raises(InputError, match="or None for what was not measured"):
        dataclasses.replace(records[0], **fields)


def test_lists_have_their_documented_length(records):
    with pytest.raises(InputError, match="bbox of sample 000000000000 has 2 numbers, expected 4"):
        dataclasses.replace(records[0], bbox=(1.0, 2.0))


def test_asked_fields_hold_the_classes_of_the_word():
    row = ManifestRow(
        slot=3, cell=1, identity_id="i", identity_index=0, expression="grief", intensity=0.5, scene_id="s", view=0, mode="all", split="train"
    )
    asked = asked_fields(row, WORDS)
    assert (asked["expression_primary6"], asked["expression_affectnet8"], asked["expression_rafdb7"]) == ("sadness", "sadness", 5)
    assert asked["req_valence"] == 0.5 * find_word("grief").valence
    assert asked["sample_id"] == "000000000003"


def test_a_row_that_keeps_the_background_s_expression_has_no_expression_labels():
    row = Plan(changed(mode="swap", expressions=())).row_list(0, 1)[0]
    assert row.expression == AS_BACKGROUND
    asked = asked_fields(row, WORDS)
    assert {name for name, value in asked.items() if value is None} == {
        "req_pose_bin",
        "req_expression_word",
        "req_intensity",
        "expression_primary6",
        "expression_affectnet8",
        "expression_rafdb7",
        "req_valence",
        "req_arousal",
    }


def attempt(number, **measurements):
    return AttemptRecord(
        slot=4, attempt=number, seed=9, cell=2, identity_id="i", expression="joy", accepted=False, reasons=("identity",), measurements=measurements
    )


def test_attempts_keep_every_measurement_of_every_try():
    table = attempts_table([attempt(0, yaw=1.0, sim=0.5), attempt(1, sim=0.25, pitch=float("nan"))])
    assert table.schema == ATTEMPT_SCHEMA
    frame = measurement_frame(table)
    assert frame["sim"].tolist() == [0.5, 0.25]
    assert frame["yaw"].tolist()[0] == 1 and np.isnan(frame["yaw"][1])
    assert "pitch" not in frame
    assert frame["reasons"][0].tolist() == ["identity"]


def test_attempts_without_measurements_make_a_frame():
    assert len(measurement_frame(attempts_table([attempt(0)]))) == 1
    assert len(measurement_frame(attempts_table([]))) == 0


def test_equal_records_give_equal_bytes(records):
    def parquet_bytes():
        sink = pa.BufferOutputStream()
        pq.write_table(table_from_records(records), sink)
        return sink.getvalue().to_pybytes()

    assert parquet_bytes() == parquet_bytes()


def test_a_run_record_reads_back():
    record = RunRecord(config_hash="c", weights={"gate": "0" * 64}, versions={"facemint": "0.1.0"}, counts={"accepted": 64})
    assert RunRecord.from_json(record.to_json()) == record
    with pytest.raises(InputError, match="run record"):
        RunRecord.from_json("{}")
