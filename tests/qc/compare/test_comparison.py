from __future__ import annotations

import json
import re

import pytest

from manifests.errors import ConfigError, InputError
from qc.compare import compare, render_comparison
from tests.qc.compare.simulated import report, two_runs

OLD, NEW = "a" * 64, "b" * 64
HOSTILE = '"><script>alert(1)</script>'


def line(value, half=0.004, *, name="expression_agreement", label="Expression as asked", **more):
    ci = {"lo": value - half, "hi": value + half, "level": 0.95, "method": "identity bootstrap"}
    known = {"id": name, "label": label, "value": value, "ci": ci, "n": 5000, "unit": "share", "direction": "higher", "role": "estimator"}
    return {**known, "stage": "accepted", **more}


def with_line(value, *, sha256=OLD, **more):
    found = line(value, **more)
    models = [{"name": "expression_estimator", "role": "estimator", "sha256": sha256}]
    return report(contract=[{"metric": found["id"], **{key: found[key] for key in ("label", "value", "ci")}}], expression={"agreement": found}, models=models)


def statuses(found):
    return {row.id: row.status for row in found.rows}


def test_equal_recipes_stay_silent_in_twenty_of_twenty_seeds():
    codes = [compare(report(), report(), figures=two_runs(seed)).exit_code for seed in range(20)]
    assert codes == [0] * 20


def test_runs_of_other_people_stay_silent_too():
    codes = [compare(report(), report(), figures=two_runs(seed, of_slot=0.0, same_people=False)).exit_code for seed in range(20)]
    assert codes == [0] * 20


def test_two_points_less_expression_at_5000_pictures_of_the_same_slots_are_flagged():
    found = [compare(report(), report(), figures=two_runs(seed, drop=0.02)) for seed in range(20)]
    assert sum(statuses(each)["expression_agreement"] == "regression" for each in found) >= 19
    assert {row.id for each in found for row in each.rows if row.status == "regression"} == {"expression_agreement"}
    assert all(each.exit_code == 1 for each in found if statuses(each)["expression_agreement"] == "regression")


def test_reports_alone_are_compared_by_their_intervals():
    assert statuses(compare(with_line(0.8), with_line(0.78))) == {"expression_agreement": "regression"}
    assert statuses(compare(with_line(0.8), with_line(0.798))) == {"expression_agreement": "same"}
    assert statuses(compare(with_line(0.78), with_line(0.8))) == {"expression_agreement": "improvement"}
    assert statuses(compare(with_line(0.8, half=0.03), with_line(0.78, half=0.03))) == {"expression_agreement": "same"}


def test_worse_by_less_than_the_margin_is_no_regression():
    found = compare(with_line(0.8), with_line(0.78), margins={"expression_agreement": 0.03})
    assert statuses(found) == {"expression_agreement": "worse"} and found.exit_code == 0
    with pytest.raises(ConfigError, match="no figure of these reports"):
        compare(with_line(0.8), with_line(0.78), margins={"expression": 0.03})


def test_another_estimator_makes_its_figures_not_comparable_and_names_both_hashes():
    found = compare(with_line(0.8), with_line(0.5, sha256=NEW))
    assert found.exit_code == 2
    (row,) = found.rows
    assert row.status == "not comparable" and OLD[:12] in row.why and NEW[:12] in row.why
    assert found.models[0] == {"role": "estimator", "name": "expression_estimator", "a": OLD, "b": NEW}
    assert "can't be compared" in found.verdict


def test_another_auditor_leaves_the_estimators_figures_comparable():
    auditors = [[{"name": "auditor", "role": "auditor", "sha256": sha256}] for sha256 in (OLD, NEW)]
    reports = [report(contract=[{"metric": "e", "label": "E", "value": 0.8, "ci": None}, {"metric": "i", "label": "I", "value": 0.5, "ci": None}],
                      all=[line(0.8, name="e"), line(0.5, name="i", role="auditor")], models=models) for models in auditors]  # fmt: skip
    found = compare(*reports)
    assert statuses(found) == {"e": "same", "i": "not comparable"}


def test_changed_limits_and_pictures_of_the_same_key_are_shown():
    tile = "data:image/webp;base64,AAAA"
    a, b = (
        report(thresholds=[{"check": "pose", "limit": limit, "rejects": True}], tiles={"000000000001": tile, own: tile}, counts={"accepted": 3})
        for limit, own in (("at most 10", "x"), ("at most 12", "y"))
    )
    found = compare(a, b)
    assert found.limits == ({"check": "pose", "a": "at most 10", "b": "at most 12"},)
    assert [key for key, _, _ in found.tiles] == ["000000000001"]
    page = render_comparison(found)
    assert page.index("at most 12") < page.index("Differences") and page.count(tile) == 2


def test_the_page_loads_nothing_and_runs_nothing():
    found = compare(with_line(0.8, label=HOSTILE), with_line(0.7, label=HOSTILE), names=(HOSTILE, "b"))
    page = render_comparison(found)
    assert "<script" not in page and "default-src 'none'" in page and "unsafe" not in page and ' style="' not in page
    assert not re.findall(r'(?:src|href)="(?!data:image/)', page)
    assert "http" not in page.replace("http-equiv", "")


def test_a_comparison_is_plain_json():
    found = json.loads(json.dumps(compare(with_line(0.8), with_line(0.7)).to_json(), allow_nan=False))
    assert found["exit_code"] == 1 and found["metrics"][0]["status"] == "regression" and "normal" in found["metrics"][0]["method"]


def test_an_older_schema_is_refused():
    with pytest.raises(InputError, match="schema_version 1.0"):
        compare(report(schema_version="1.0"), report())
