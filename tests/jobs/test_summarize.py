from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

import qc.report
from jobs.cli import main
from jobs.summarize import _command, summarize
from manifests.errors import InputError
from tests.jobs.coloured import fill

# Few steps and a judge that only asks for a face: the report is about what there is, however good it is.
QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1", "qc.rejecting=[single_face]", "batch_size=4", "max_attempts=2")


@pytest.fixture(scope="module")
def run(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    result = CliRunner().invoke(main, ["run", "smallest", "--out", str(folder), "--local", *QUICK], catch_exceptions=False)
    assert result.exit_code in (0, 4), result.output
    return folder


def test_the_report_of_a_run_fits_the_schema_and_has_its_pictures(run):
    report = json.loads((run / "qc_report.json").read_text())
    schema = json.loads((Path(qc.report.__file__).parent / "schema" / "qc_report-2.0.json").read_text())
    assert [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(report)] == []
    assert report["counts"]["requested"] == 4 and report["run"]["num_embedded"] == report["identity"]["auditor_unfiltered"]["num_mated"] > 0
    assert set(report["tiles"]) >= {sample["key"] for sample in report["samples"]["worst_accepted"]}
    assert report["leakage"]["gallery"]["people"] > 1000 and report["thresholds"][3]["achieved"]["n"] > 0


def test_two_reports_of_one_run_are_equal_to_the_byte(run):
    before = {name: (run / name).read_bytes() for name in ("qc_report.json", "report.html", "contact_sheet.png", "README.md")}
    summarize(run)
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_report_that_is_there_is_not_made_again(run):
    before = (run / "report.html").stat().st_mtime_ns
    assert run / "report.html" in summarize(run, again=False)
    assert (run / "report.html").stat().st_mtime_ns == before


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    assert fill(tmp_path, part=(0, 2))
    with pytest.raises(InputError, match="isn't finished, it has no run.json yet"):
        summarize(tmp_path)


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(InputError, match='Run "facemint run" first'):
        summarize(tmp_path)


def test_what_was_done_to_a_run_afterwards_is_part_of_how_it_is_reproduced(tmp_path):
    assert _command(tmp_path) == "facemint run config.yaml --out FOLDER"
    for name in ("retries.json", "generations.json"):
        (tmp_path / name).write_text("{}")
    assert _command(tmp_path) == "facemint run config.yaml --out FOLDER, then as generations.json and retries.json of the run folder say"
