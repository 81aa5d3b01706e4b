from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import qc.report
from manifests.errors import InputError
from qc.report.contract import CONTRACT
from qc.report.inputs import reason_bits, reason_names, spread
from qc.report.sections.scores import Scored, spread_scores
from qc.report.summary import SCHEMA_VERSION, build_summary, wanted_tiles, with_tiles
from qc.statistics import reference_scores
from tests.qc.report.reports import PEOPLE, embedded, gallery, inputs, unit
from tests.qc.report.synthetic import SECTIONS, synthetic_report


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return json.loads(json.dumps(build_summary(inputs()), allow_nan=False))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    text = (Path(qc.report.__file__).parent / "schema" / f"qc_report-{SCHEMA_VERSION}.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def figure(report: dict[str, Any], name: str, stage: str = "accepted") -> dict[str, Any]:
    return next(metric for metric in report["metrics"] if metric["id"] == name and metric["stage"] == stage)


def line(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(line for line in report["contract"] if line["id"] == name)


def test_reports_fit_the_published_schema(report, validator):
    tile = "data:image/webp;base64,AAAA"
    for document in (report, with_tiles(report, {"000000000000": tile}), synthetic_report(), synthetic_report(without=SECTIONS)):
        assert [error.json_path for error in validator.iter_errors(document)] == []


def test_the_schema_refuses_a_figure_without_its_number_and_a_tile_that_is_no_picture(report, validator):
    broken = json.loads(json.dumps(report))
    del broken["metrics"][0]["n"]
    broken["tiles"] = {"000000000000": "https://example.org/spy.png"}
    assert len(list(validator.iter_errors(broken))) == 2


def test_counts_add_up(report):
    counts = {name: report["counts"][name] for name in ("requested", "attempts", "accepted", "rejected", "unfilled", "quarantined")}
    assert counts == {"requested": 64, "attempts": 65, "accepted": 62, "rejected": 3, "unfilled": 1, "quarantined": 1}
    lost = {row["id"]: row["count"] for row in report["waterfall"] if row["kind"] == "lost"}
    assert lost == {"identity": 1, "expression": 2} and report["waterfall"][-1]["count"] == 62
    by_reason = {row["id"]: row for row in report["reasons"]["rows"]}
    assert by_reason["pose"] == {"id": "pose", "label": "other pose", "first": 0, "any": 1, "only": 0}
    assert report["reasons"]["combinations"] == [{"reasons": ["expression"], "count": 2}, {"reasons": ["identity", "pose"], "count": 1}]
    assert report["coverage"]["accounting"]["exact"]


def test_every_value_of_an_axis_is_accounted_for(report):
    cover = report["coverage"]
    assert cover["rows"] == list(PEOPLE) and np.sum(cover["requested"]) == 64 and np.sum(cover["filled"]) == 62
    for axis in ("by_expression", "by_identity", "by_scene", "by_split"):
        assert sum(row["requested"] for row in cover[axis]) == 64
        assert all(row["requested"] == row["filled"] + row["unfilled"] + row["quarantined"] for row in cover[axis])
    assert cover["by_group"] == [] and cover["by_pose_bin"] == []


def test_planted_scores_give_the_identity_figures(report):
    assert report["identity"]["auditor"]["eer"]["value"] < 0.05 and report["identity"]["auditor"]["num_nonmated"] == 62 * 3
    assert figure(report, "rank_one")["value"] == 1.0
    assert figure(report, "rank_one", "unfiltered")["value"] == pytest.approx(64 / 65)
    assert "det" not in report["identity"]["auditor_unfiltered"]
    assert report["thresholds"][3]["achieved"]["n"] == 65 * 3


def test_each_line_of_the_contract_is_declared_and_has_its_figure(report):
    assert 8 <= len(CONTRACT) <= 12 and [row["id"] for row in report["contract"]] == [row.metric for row in CONTRACT]
    status = {row["id"]: row["status"] for row in report["contract"]}
    assert status["filled"] == "warn" and status["expression_agreement"] == "pass" and status["across_splits"] == "pass"
    assert status["pose_error"] == figure(report, "pose_error")["status"] == "pass"
    assert report["verdict"].count(";") >= 1 and report["verdict"].endswith(".")


def test_a_line_that_can_not_be_measured_says_so_and_is_null():
    report = build_summary(inputs(embedded=None, gallery=None, labels=None))
    for name in ("auditor_eer", "leakage", "duplicates", "rank_one"):
        assert (line(report, name)["value"], line(report, name)["status"]) == (None, "not_measured")
    assert any("no gallery" in text for text in report["not_measured"]) and report["leakage"] is None and report["shortcuts"] is None


def test_a_planted_copy_of_a_training_picture_is_found():
    plain = inputs()
    people = gallery()
    assert plain.embedded is not None
    assert people.phash256 is not None
    coarse, fine = plain.embedded.phash64.copy(), plain.embedded.phash256.copy()
    coarse[9:11], fine[9] = people.phash64[8:10], people.phash256[8]  # the picture after it is a chance candidate
    copied = dataclasses.replace(plain.embedded, phash64=coarse, phash256=fine)
    like = people.auditor.copy()
    like[4] = plain.embedded.auditor[9]
    report = build_summary(inputs(embedded=copied, gallery=gallery(auditor=like)))
    assert [(match["sample_key"], match["gallery_id"]) for match in report["leakage"]["hash_matches"]] == [("000000000008", "real-4")]
    assert report["leakage"]["pairs"][0]["gallery_id"] == "real-4" and figure(report, "copies")["value"] == 1


def test_a_gallery_without_fine_hashes_gives_matches_that_are_not_confirmed():
    plain, people = inputs(), gallery(phash256=None)
    assert plain.embedded is not None
    coarse = plain.embedded.phash64.copy()
    coarse[9] = people.phash64[8]
    report = build_summary(inputs(embedded=dataclasses.replace(plain.embedded, phash64=coarse), gallery=people))
    assert [(match["gallery_id"], match["confirmed"]) for match in report["leakage"]["hash_matches"]] == [("real-4", False)]


def test_planted_copies_across_splits_fail():
    plain = inputs()
    labels = plain.labels.copy()  # type: ignore[union-attr]
    labels.loc[61, "pixel_hash"] = labels.loc[0, "pixel_hash"]
    report = build_summary(inputs(labels=labels))
    assert line(report, "duplicates")["status"] == line(report, "across_splits")["status"] == "fail"
    assert report["duplicates"]["pairs"][0]["a"] == "000000000000" and report["duplicates"]["pairs"][0]["b"] == "000000000061"


def test_a_background_that_knows_the_expression_is_a_shortcut():
    frame = inputs().attempts
    background = np.random.default_rng(0).random((len(frame), 12)).astype(np.float32)
    background[np.arange(len(frame)), frame["slot"].to_numpy() % 8] += 3
    slots = inputs().slots.assign(scene_id=[f"scene-{slot // 8}" for slot in range(64)])
    found = build_summary(inputs(slots=slots, embedded=embedded(frame, background=background)))["shortcuts"]
    status = {(row["target"], row["features"][:4]): row["status"] for row in found}
    assert status["expression", "back"] == "warn" and status["expression", "byte"] == "pass"


def test_any_quality_column_is_taken_by_its_prefix(report):
    rows = {row["component"]: row for row in report["iso"]}
    assert rows["made_up"]["scalar"] is None and rows["made_up"]["native"]["median"] == 1.0 and rows["sharpness"]["role"] == "defect"


def test_equal_inputs_give_equal_reports(report):
    assert json.dumps(build_summary(inputs()), sort_keys=True) == json.dumps(report, sort_keys=True)


def test_a_run_without_anything_still_has_a_report(validator):
    plain = inputs()
    empty = build_summary(inputs(attempts=plain.attempts.iloc[:0], labels=plain.labels.iloc[:0], embedded=None))  # type: ignore[union-attr]
    assert [error.json_path for error in validator.iter_errors(json.loads(json.dumps(empty, allow_nan=False)))] == []
    assert empty["counts"]["attempts"] == 0 and empty["samples"]["random"] == [] and wanted_tiles(empty) == []


def test_tiles_are_keys_of_the_report_each_once(report):
    keys = wanted_tiles(report)
    assert len(keys) == len(set(keys)) <= 400
    assert {sample["key"] for sample in report["samples"]["best_rejected"]} <= set(keys) and "000000000000_000" in keys


def test_a_label_more_or_a_column_less_is_refused():
    with pytest.raises(InputError, match="expected one each"):
        inputs(labels=inputs().labels.iloc[1:])  # type: ignore[union-attr]
    with pytest.raises(InputError, match="no column reasons"):
        inputs(attempts=inputs().attempts.drop(columns=["reasons"]))


def test_reasons_as_bits_come_back_by_precedence():
    assert reason_names(reason_bits(["pose", "identity"])) == ["identity", "pose"] and reason_bits([]) == 0
    assert spread(3, 10).tolist() == [0, 1, 2] and spread(100, 3).tolist() == [0, 49, 99]


def test_spread_scores_are_all_scores_where_they_are_few():
    draw = np.random.default_rng(0)
    references, own = unit(draw.standard_normal((5, 8))), np.arange(20) % 5
    pictures = unit(draw.standard_normal((20, 8)))
    few, every = spread_scores(pictures, own, references), reference_scores(pictures, own, references)
    assert np.allclose(few.mated, every.mated) and np.allclose(np.sort(few.nonmated), np.sort(every.nonmated))
    assert (few.nonmated_identities[:, 0] != few.nonmated_identities[:, 1]).all()


def test_unfiltered_pictures_keep_the_proportion_of_the_attempts():
    plain = inputs()
    few = embedded(plain.attempts)
    chosen = np.sort(np.concatenate([np.flatnonzero(plain.accepted)[:31], np.flatnonzero(~plain.accepted)]))
    part = dataclasses.replace(few, **{field.name: getattr(few, field.name)[chosen] for field in dataclasses.fields(few)})
    scored = Scored(inputs=plain, embedded=part, people=plain.people)  # type: ignore[arg-type]
    assert len(scored.accepted) == 31 and 32 <= len(scored.unfiltered) <= 33
