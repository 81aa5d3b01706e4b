from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.compare import run_samples
from jobs.files import write_json
from tests.jobs.coloured import ColouredSpec, fill, small_plan
from tests.qc.compare.simulated import report


def compared(*words):
    return CliRunner().invoke(main, ["compare", *map(str, words)], catch_exceptions=False)


def run(folder, acceptance):
    assert fill(folder, plan=small_plan(identities=20, shard_size=60), spec=ColouredSpec(acceptance=acceptance), max_attempts=2)
    write_json(folder / "qc_report.json", report(run={"manifest_sha256": "m"}, counts={"accepted": 1}))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return run(folder / "a", 0.9), run(folder / "b", 0.4)


def test_samples_of_a_run_are_its_attempts_and_slots(runs):
    samples = run_samples(runs[0])
    assert set(samples) == {"acceptance", "filled"}
    assert len(samples["filled"].values) == 120 <= len(samples["acceptance"].values)


def test_a_run_equals_itself(runs):
    assert compared(runs[0], runs[0]).exit_code == 0


def test_a_worse_run_is_a_regression_with_exit_code_1(runs, tmp_path):
    result = compared(*runs, "--out", tmp_path / "delta")
    assert result.exit_code == 1
    assert "B is worse than A in Attempts accepted" in result.output
    written = json.loads((tmp_path / "delta" / "compare.json").read_text())
    assert written["exit_code"] == 1 and "same slots" in written["paired"]
    assert (tmp_path / "delta" / "compare.html").read_text().startswith("<!doctype html>")


def test_the_same_comparison_has_the_same_bytes(runs, tmp_path):
    for name in ("one", "two"):
        compared(*runs, "--out", tmp_path / name)
    for file in ("compare.json", "compare.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_margin_is_taken_and_a_wrong_one_said(runs):
    assert compared(*runs, "--margin", "acceptance=0.9", "--margin", "filled=0.9", "--json").exit_code == 0
    assert compared(*runs, "--margin", "acceptance").exit_code == 2


@pytest.mark.parametrize("content", ["[]", "{", '{"schema_version": "1.0"}'])
def test_what_is_no_report_is_said(runs, tmp_path, content):
    path = tmp_path / "qc_report.json"
    path.write_text(content)
    result = compared(runs[0], path)
    assert result.exit_code == 2 and result.output.startswith("facemint: compare: ")


def test_a_folder_without_a_report_is_said(tmp_path):
    result = compared(tmp_path, tmp_path)
    assert result.exit_code == 2 and "facemint report" in result.output
