from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner

from jobs.check import check_run
from jobs.cli import main
from jobs.extend import GENERATIONS, read_growth
from jobs.pictures import read_labels
from jobs.recheck_state import read_checks
from jobs.shards import read_markers
from jobs.verify import find_problems
from manifests.errors import ConfigError, ResumeMismatch
from tests.jobs.coloured import tree
from tests.jobs.test_check import check_that_is_killed

QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1",
         "qc.rejecting=[identity]", "batch_size=2", "shard_size=2", "max_attempts=1", "expressions.words=[neutral]")  # fmt: skip
LARGER = ("identities.sampled.count=3",)
LENIENT = ("qc.rejecting=[single_face]",)
STRICT = ("qc.rejecting=[identity,pose]", "qc.limits.pose_max_angle_deg=0.001")
REPORT = ("qc_report", "report.html", "contact_sheet", "README", "croissant", "licences", "stages/summarize", "checks.json", "spare/")


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def problems(folder):
    return [problem for problem in find_problems(folder) if "summarize" not in problem]


def stable(folder):
    """Files without the markers, which name the run by its hash, and what follows from them."""
    hashed = ("data/train-000000.json", "data/train-000001.json", GENERATIONS, "stages/")
    return {name: content for name, content in tree(folder).items() if not name.startswith((*REPORT, *hashed))}


@pytest.fixture(scope="module")
def extended(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("extended") / "out"
    for words in ((), (*LARGER, "--extend")):
        result = facemint("make", "smallest", "--out", folder, "--local", *QUICK, *words)
        assert result.exit_code in (0, 4), result.output
    assert len(read_growth(folder).earlier) == 1
    return folder


@pytest.fixture
def folder(extended, tmp_path):
    return shutil.copytree(extended, tmp_path / "out")


def test_slots_of_both_generations_are_judged_by_the_new_limits(extended, folder):
    assert check_run(folder, STRICT, say=str)
    markers = read_markers(folder)
    assert sum(marker["counts"]["accepted"] for marker in markers.values()) == 0
    assert {marker["start"] for marker in markers.values()} == {marker["start"] for marker in read_markers(extended).values()}
    assert {marker["run_hash"] for marker in markers.values()} == {each.run_hash for each in read_growth(folder).earlier}
    assert problems(folder) == []


def test_labels_keep_the_plan_that_they_were_made_from_and_the_old_limits_bring_the_old_files_back(extended, folder):
    assert check_run(folder, LENIENT, say=str)
    asked = {place: read_labels(place, "data", ["sample_id", "manifest_sha256"]).set_index("sample_id")["manifest_sha256"] for place in (folder, extended)}
    assert len(asked[folder]) == 3 and len(set(asked[folder])) == 2
    assert all(asked[folder][key] == plan for key, plan in asked[extended].items())
    assert check_run(folder, ("qc.rejecting=[identity]",), say=str)
    assert stable(folder) == stable(extended)
    assert problems(folder) == [] and len(read_checks(folder).history) == 2


def test_the_larger_recipe_goes_on_with_the_new_limits_and_grows_further(folder):
    assert check_run(folder, LENIENT, say=str)
    before = stable(folder)
    again = facemint("make", "smallest", "--out", folder, "--local", *QUICK, *LENIENT, *LARGER)
    assert again.exit_code == 0 and stable(folder) == before
    assert "was ['single_face'], now ['identity']" in facemint("make", "smallest", "--out", folder, "--local", *QUICK, *LARGER).output
    assert facemint("make", "smallest", "--out", folder, "--local", "--extend", *QUICK, *LENIENT, "identities.sampled.count=4").exit_code in (0, 4)
    assert len(read_growth(folder).earlier) == 2 and problems(folder) == []


def test_a_check_that_was_interrupted_between_generations_goes_on(folder, tmp_path, monkeypatch):
    whole = shutil.copytree(folder, tmp_path / "whole")
    check_run(whole, LENIENT, say=str)
    check_that_is_killed(folder, LENIENT, monkeypatch)
    assert check_run(folder, say=str)
    assert tree(folder) == tree(whole)


def test_an_extension_that_was_interrupted_and_another_pack_are_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="was extended|sampled"):
        check_run(folder, (f"models.pack={tmp_path}",), measure=True, say=str)
    assert facemint("plan", "smallest", "--out", folder, "--extend", *QUICK, "identities.sampled.count=4").exit_code == 0
    with pytest.raises(ResumeMismatch, match="isn't finished"):
        check_run(folder, LENIENT, say=str)
