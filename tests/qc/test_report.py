from __future__ import annotations

import html.parser
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manifests.errors import InputError
from manifests.ledger import Weight
from manifests.vocabulary import AFFECTNET8
from qc.report.contact_sheet import contact_sheet, png_bytes, tile_uri
from qc.report.page import render_page
from qc.report.summary import ReportInputs, build_summary, wanted_tiles
from qc.report.svg import drawing, element, number, percent, ticks
from qc.statistics import ScoreSet, reference_scores
from tests.qc.nets import pictures

PEOPLE = ("ann", '<script>alert("x")</script>', "eve")


def run_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three people, eight expressions; the first attempt at slot 0 shows another person, slot 23 stays empty."""
    generator = np.random.default_rng(0)
    rows = []
    for slot in range(24):
        word = AFFECTNET8[slot % 8]
        for attempt in range(2 if slot in (0, 23) else 1):
            failed = ["identity", "pose"] if (slot, attempt) == (0, 0) else ["expression"] if slot == 23 else []
            row: dict[str, Any] = {"slot": slot, "attempt": attempt, "identity_id": PEOPLE[slot // 8], "expression": word, "accepted": not failed}
            row |= {"reasons": failed, "sim_gate_ref": generator.uniform(0.3, 0.8), "sim_audit_ref": generator.uniform(0.2, 0.7)}
            row |= {f"obs_prob_{name}": float(name == word) for name in AFFECTNET8}
            rows.append({**row, "expression_error": 0.1, "pose_error": 4.0, "sharpness_ratio": 0.9})
    cells = pd.DataFrame([{"identity_id": person, "expression": word, "requested": 1} for person in PEOPLE for word in AFFECTNET8])
    return pd.DataFrame(rows), cells


def scores(count: int) -> ScoreSet:
    generator = np.random.default_rng(1)
    references = np.eye(3)
    own = np.arange(count) % 3
    raw = references[own] + 0.3 * generator.standard_normal((count, 3))
    return reference_scores(raw / np.linalg.norm(raw, axis=1, keepdims=True), own, references)


def inputs(**changed: Any) -> ReportInputs:
    attempts, cells = run_tables()
    tiles = {pair: tile_uri(pictures(1, pair[0])[0]) for pair in wanted_tiles(attempts)}
    values: dict[str, Any] = {
        "title": "A run & its <report>",
        "command": "facemint run demo.yaml --out runs/demo",
        "config_hash": "c" * 64,
        "created": "2025-01-31",
        "attempts": attempts,
        "cells": cells,
        "classes": {name: name for name in AFFECTNET8},
        "calibration": None,
        "models": [Weight(name="gate", file="gate.onnx", sha256="b" * 64, role="gate", licence="Apache-2.0", source="ours", bytes=1)],
        "versions": {"numpy": "2"},
        "audit_accepted": scores(22),
        "audit_unfiltered": None,
        "gate_accepted": None,
        "seconds": 12.0,
        "tiles": tiles,
    }
    return ReportInputs(**{**values, **changed})


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return json.loads(json.dumps(build_summary(inputs()), allow_nan=False))


def test_counts_add_up(report):
    assert report["counts"] == {"requested": 24, "attempts": 26, "accepted": 23, "rejected": 3, "unfilled": 1}
    lost = [row for row in report["waterfall"] if row["kind"] == "lost"]
    assert {row["id"]: row["count"] for row in lost} == {"identity": 1, "expression": 2}
    assert report["waterfall"][0]["count"] - sum(row["count"] for row in lost) == report["waterfall"][-1]["count"]
    by_reason = {row["id"]: row for row in report["reasons"]}
    assert by_reason["pose"] == {"id": "pose", "label": "other pose", "first": 0, "any": 1, "only": 0}
    assert by_reason["expression"]["only"] == 2


def test_every_cell_is_in_the_coverage(report):
    cover = report["coverage"]
    assert cover["rows"] == list(PEOPLE) and cover["columns"] == list(AFFECTNET8)
    assert np.sum(cover["requested"]) == 24 and np.sum(cover["accepted"]) == 23 and np.sum(cover["attempts"]) == 26
    assert cover["accepted"][2][7] == 0


def test_figures_carry_their_interval_number_and_status(report):
    found = {(m["id"], m["stage"]): m for m in report["metrics"]}
    assert found["acceptance", "unfiltered"]["value"] == pytest.approx(23 / 26)
    assert found["acceptance", "unfiltered"]["ci"]["method"] == "Wilson"
    assert found["expression_agreement", "accepted"]["value"] == 1.0
    assert found["audit_eer", "unfiltered"] == {**found["audit_eer", "unfiltered"], "value": None, "status": "not measured"}
    assert found["audit_tar_0.001", "accepted"]["status"] == "not estimable"
    assert found["sim_audit", "accepted"]["ci"]["method"] == "identity bootstrap"
    for m in report["metrics"]:
        assert set(m) == {"id", "label", "value", "ci", "n", "unit", "role", "encoder", "stage", "status", "threshold", "source"}


def test_contract_lines_pass_warn_or_say_that_nothing_was_measured(report):
    status = {line["id"]: line["status"] for line in report["contract"]}
    assert status["filled"] == "warn" and status["expression_agreement"] == "pass" and status["leakage"] == "not measured"
    assert any("leakage" in text for text in report["not_measured"])


def test_equal_runs_give_equal_reports():
    assert build_summary(inputs()) == build_summary(inputs())


class Page(html.parser.HTMLParser):
    """Collects what a page would fetch, its headings, and whether its elements close."""

    VOID = ("meta", "img", "br", "line", "rect", "circle", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_fetches_nothing_and_runs_nothing(report):
    text = render_page(report)
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags and "link" not in tags and "iframe" not in tags
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'") and "script" not in policy
    assert "alert(&quot;x&quot;)" in text and "<script>" not in text
    assert "url(" not in text and "@import" not in text


def test_every_chart_has_a_name_and_a_table_behind_it(report):
    page = Page(render_page(report))
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    tables = [tag for tag, _ in page.tags if tag == "details"]
    assert len(charts) >= 6 and len(tables) == len(charts)
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for chart in charts:
        assert chart["role"] == "img"
        assert all(name in identifiers for name in (chart["aria-labelledby"] or "").split())
    assert dict(page.tags)["html"] == {"lang": "en"}
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")


def test_a_run_without_anything_still_has_a_page():
    attempts, cells = run_tables()
    empty = build_summary(inputs(attempts=attempts.iloc[:0], cells=cells, audit_accepted=None, tiles={}))
    text = render_page(json.loads(json.dumps(empty, allow_nan=False)))
    assert "No picture was accepted." in text
    assert empty["counts"]["unfilled"] == 24


def test_a_tile_that_is_no_picture_is_not_shown(report):
    hostile = json.loads(json.dumps(report))
    hostile["tiles"] = dict.fromkeys(hostile["tiles"], "https://example.org/spy.png")
    assert "example.org" not in render_page(hostile)


def test_other_schemas_and_missing_columns_are_refused(report):
    with pytest.raises(InputError, match="schema_version"):
        render_page({**report, "schema_version": "0"})
    with pytest.raises(InputError, match="no column reasons"):
        inputs(attempts=run_tables()[0].drop(columns=["reasons"]))


def test_the_contact_sheet_has_a_tile_for_each_cell_and_grey_where_there_is_none():
    images = {("ann", "joy"): np.full((64, 64, 3), 200, np.uint8)}
    sheet = contact_sheet(images, ["ann", "eve"], ["joy", "a very long expression name that does not fit"], side_px=64)
    assert sheet[-10, -10].tolist() == [232, 235, 239]
    assert (sheet == 200).all(axis=2).sum() == 64 * 64
    assert png_bytes(sheet).startswith(b"\x89PNG")
    with pytest.raises(InputError, match="no identities"):
        contact_sheet({}, [], [])


def test_text_in_drawings_is_escaped():
    assert element("text", {"x": 1.50, "a": '"<&'}, "ok") == '<text x="1.5" a="&quot;&lt;&amp;">ok</text>'
    assert "<b>" not in drawing(10, 10, "<b>", "<b>", [], identifier="one")


def test_ticks_are_round_and_numbers_short():
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.3, 0.4, 4) == [-0.2, 0.0, 0.2, 0.4]
    assert (number(None), number(1234.0), number(0.12345), number(5.163)) == ("–", "1,234", "0.12", "5.16")
    assert percent(0.123, 1) == "12.3\u00a0%" and percent(None) == "–"
