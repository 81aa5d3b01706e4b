from __future__ import annotations

import json
import math

import numpy as np
import pytest

from jobs.attempts import Attempt
from jobs.label_rows import json_label, label_row, label_table
from manifests.errors import InputError
from manifests.records import SampleRecord, asked_fields, record_json, records_from_table, table_from_records
from manifests.vocabulary import vocabulary
from tests.jobs.coloured import ColouredSpec, small_plan

WORDS = {word.word: word for word in vocabulary()}
SHARED = {
    **dict.fromkeys(("file_sha256", "format", "sampler", "model_bundle_id", "manifest_sha256", "generator_version", "pixel_sha256"), "x"),
    **dict.fromkeys(("steps", "width", "height"), 16),
    **dict.fromkeys(("marking", "qc_gates_failed"), ()),
    "guidance": 2.1,
    "qc_accepted": True,
}


def rows():
    worker = ColouredSpec(acceptance=1.0).build()
    made = []
    for row in small_plan().row_list(0, 9):
        answer = worker.answer(Attempt(row=row, attempt=0, seed=row.slot))
        more = {"obs_yaw": 0.1 * row.slot, "landmarks5": (0.1,) * 10} if row.slot % 2 else {}
        made.append(label_row(asked_fields(row, WORDS), answer.labels, {"attempt": 0, "seed": answer.seed, **more}, SHARED))
    return made


def test_a_table_of_columns_equals_the_one_of_records():
    expected = table_from_records([SampleRecord(**row) for row in rows()])
    table = label_table(rows())
    assert table.equals(expected) and table.schema.equals(expected.schema, check_metadata=True)


def test_the_json_of_a_row_has_the_numbers_of_its_table():
    labels = rows()
    records = records_from_table(label_table(labels))
    for label, record in zip(labels, records, strict=True):
        expected = {**json.loads(record_json(record))}
        got = json.loads(json_label(label, measured=True))
        assert list(got) == sorted(expected)
        assert {name: value for name, value in got.items() if expected[name] is not None} == {
            name: value for name, value in expected.items() if value is not None
        }
        assert got["sim_gate_ref"] == float(np.float32(got["sim_gate_ref"]))


def test_the_json_without_measurements_has_none_of_their_keys():
    label = rows()[0]
    label_table([label])
    fields = json.loads(json_label(label, measured=False))
    assert "req_yaw" in fields and not {"obs_yaw", "sim_gate_ref", "bbox", "landmarks5"} & set(fields)
    assert fields["identity_group"] == "" and fields["expression_primary6"] in ("", "joy", "anger")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("obs_yaw", math.nan, "obs_yaw of sample 000000000003 is nan"),
        ("landmarks5", (1.0,) * 9, "landmarks5 of sample 000000000003 has 9 numbers, expected 10"),
        ("bbox", (1.0, 2.0, math.inf, 4.0), "bbox of sample 000000000003"),
        ("expression_primary6", "glee", 'expression_primary6 is "glee"'),
        ("q_sharpness", 500, "doesn't fit its column"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name, value, text):
    labels = rows()
    labels[3][name] = value
    with pytest.raises(InputError, match=text):
        label_table(labels)


def test_a_field_that_is_no_label_is_refused():
    with pytest.raises(InputError, match="measured n_mood, which is no label"):
        label_row({"n_mood": 1.0})
