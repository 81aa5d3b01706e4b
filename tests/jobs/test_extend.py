from __future__ import annotations

import dataclasses
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.conditions import read_tables
from jobs.config import find_recipe, load_config
from jobs.executors import InlineExecutor
from jobs.extend import GENERATIONS, earlier_runs, read_growth
from jobs.graph import Run
from jobs.make import MakeLimits, make_shards
from jobs.pictures import read_labels
from jobs.progress import ProgressLine
from jobs.retry import read_retries
from jobs.shards import EarlierRun, committed_shards, read_markers
from manifests.errors import ResumeMismatch
from manifests.extension import extended_plan
from manifests.planner import read_manifest
from manifests.spec import Identity
from tests.jobs.coloured import ColouredSpec, fill, provenance, small_plan, tree

QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1",
         "qc.rejecting=[identity]", "batch_size=2", "shard_size=2", "max_attempts=1", "expressions.words=[neutral]")  # fmt: skip
LARGER = ("identities.sampled.count=3", "expressions.words=[neutral,happiness]")


class Killed(BaseException):
    pass


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def recipe(*words):
    return load_config(find_recipe("smallest"), [*QUICK, *words])


# With a worker without a model: what make does.


def grown_plan():
    spec = small_plan().spec
    people = (Identity(identity_id="a new one"), *spec.identities)
    return extended_plan([spec, dataclasses.replace(spec, views_per_cell=3, identities=people)])


def fill_grown(folder):
    base = provenance()
    before = EarlierRun(stop=small_plan().num_slots, run_hash=base.run_hash, manifest_sha256=base.manifest_sha256)
    now = dataclasses.replace(base, run_hash="1" * 64, manifest_sha256=grown_plan().fingerprint(), earlier=(before,))
    limits = MakeLimits(max_attempts=5, batch_size=4)
    return make_shards(folder, grown_plan(), limits, now, lambda: InlineExecutor(ColouredSpec(acceptance=0.6)), ProgressLine(folder))


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grown")
    assert fill(folder)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*-0*") if path.is_file()}
    assert fill_grown(folder)
    return folder, before


def test_old_shards_stay_as_they_are_and_new_ones_follow(grown):
    folder, before = grown
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    markers = read_markers(folder)
    assert sorted(markers) == sorted(shard.name for shard in grown_plan().shards())
    old = {shard.name for shard in small_plan().shards()}
    assert {marker["run_hash"][0] for name, marker in markers.items() if name in old} == {"0"}
    assert {marker["run_hash"][0] for name, marker in markers.items() if name not in old} == {"1"}


def test_an_old_shard_that_was_lost_is_made_again_with_the_same_bytes(grown, tmp_path):
    folder = shutil.copytree(grown[0], tmp_path / "out")
    (folder / "data" / "train-000001.tar").unlink()
    (folder / "data" / "train-000001.parquet").write_bytes(b"")
    assert fill_grown(folder)
    assert tree(folder) == tree(grown[0])


def test_shards_of_an_unknown_run_are_still_refused(grown):
    with pytest.raises(ResumeMismatch, match="was made from run 0000"):
        committed_shards(grown[0], "1" * 64)


# With the bundled model: the commands.


@pytest.fixture(scope="module")
def finished(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "out"
    result = facemint("run", "smallest", "--out", folder, "--local", *QUICK)
    assert result.exit_code in (0, 4), result.output
    return folder


@pytest.fixture(scope="module")
def extended(finished, tmp_path_factory):
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("extended") / "out")
    result = facemint("run", "smallest", "--out", folder, "--local", "--extend", *QUICK, *LARGER)
    assert result.exit_code == 4, result.output  # some are rejected, for the retry
    return folder


def test_an_extension_keeps_files_rows_people_and_pictures(finished, extended):
    for path in sorted((finished / "data").iterdir()):
        assert (extended / "data" / path.name).read_bytes() == path.read_bytes()
    old, new = read_manifest(finished / "manifest"), read_manifest(extended / "manifest")
    assert (old.num_rows, new.num_rows) == (2, 6)
    assert new.slice(0, 2).equals(old)
    before, after = read_tables(finished / "conditions"), read_tables(extended / "conditions")
    for name, person in before.people.items():
        assert all(np.array_equal(person.embeddings[key], after.people[name].embeddings[key]) for key in person.embeddings)
    assert len(after.people) == 3 and set(after.expressions) == {"neutral", "happiness"}


def test_an_extended_folder_is_finished_and_whole(extended):
    rows = read_slots(extended)
    assert [row["slot"] for row in rows] == list(range(6))
    counts = json.loads((extended / "run.json").read_text())["counts"]
    assert counts["slots"] == counts["accepted"] + counts["unfilled"] == 6
    assert counts["accepted"] and counts["unfilled"]
    assert json.loads((extended / "qc_report.json").read_text())["counts"]["requested"] == 6
    assert recipe(*LARGER).to_yaml() == (extended / "config.yaml").read_text()


def test_the_plain_command_goes_on_with_the_larger_recipe_and_refuses_the_old_one(extended):
    before = {path: path.stat().st_mtime_ns for path in extended.rglob("*") if path.is_file() and path.parent != extended}
    for words in (LARGER, ("--extend", *LARGER)):
        assert facemint("run", "smallest", "--out", extended, "--local", *QUICK, *words).exit_code == 4
        assert {path: path.stat().st_mtime_ns for path in before} == before
    refused = facemint("run", "smallest", "--out", extended, "--local", *QUICK)
    assert refused.exit_code == 2 and "was extended to another configuration (identities.sampled.count: was 3, now 2" in refused.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("seed=2",), "other values of what can't grow (seed: was 1, now 2)"),
        (("sampler.steps=3",), "sampler.steps: was 2, now 3"),
        (("identities.sampled.count=1",), 'identity "sampled-000001" is missing'),
        (("expressions.words=[happiness]",), 'expression "neutral at 1" is missing'),
        (("scenes.bundled=5",), 'scene "bundled-'),
    ],
)
def test_what_is_no_growth_is_refused_by_name_and_changes_nothing(finished, words, reason):
    before = tree(finished)
    result = facemint("plan", "smallest", "--out", finished, "--extend", *QUICK, *words)
    assert result.exit_code == 2
    assert reason in result.output
    assert tree(finished) == before


def test_a_folder_that_is_not_finished_is_refused(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "out")
    (folder / "data" / "train-000000.json").unlink()
    result = facemint("plan", "smallest", "--out", folder, "--extend", *QUICK, *LARGER)
    assert result.exit_code == 2 and "isn't finished (1 of 1 shards are missing)" in result.output
    assert "is not the folder of a run" in facemint("plan", "smallest", "--out", tmp_path / "none", "--extend", *QUICK).output


def test_an_extension_killed_at_any_change_of_a_file_goes_on_by_itself(finished, extended, tmp_path, monkeypatch):
    for step in itertools.count():
        folder = shutil.copytree(finished, tmp_path / f"killed-{step}")
        with monkeypatch.context() as patch:
            left = itertools.count(step, -1)
            for owner, name in ((Path, "unlink"), (os, "replace")):
                patch.setattr(owner, name, killing(getattr(owner, name), left))
            try:
                Run(folder, recipe(*LARGER), extend=True).plan()
                break
            except Killed:
                pass
        Run(folder, recipe(*LARGER), extend=not (folder / GENERATIONS).is_file()).plan()
        for file in ("config.yaml", "generations.json", "stages/plan.json", "manifest/part-00001.parquet"):
            assert (folder / file).read_bytes() == (extended / file).read_bytes(), f"{file} after a kill at step {step}"
    assert step > 5


def test_a_second_extension_goes_on_from_the_first(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "out")
    run = Run(folder, recipe(*LARGER[1:], "identities.sampled.count=4", "views=2"), extend=True)
    planned = run.plan()
    assert planned.plan.num_slots == 16
    assert [each.stop for each in earlier_runs(run.growth, planned.plan)] == [2, 6]
    assert read_growth(folder).sampled_before == (2, 3)
    earlier = earlier_runs(run.growth, planned.plan)
    assert {each.run_hash for each in earlier} == {marker["run_hash"] for marker in read_markers(folder).values()}
    metadata = pq.read_schema(folder / "manifest" / "part-00000.parquet").metadata
    assert metadata[b"plan_sha256"].decode() == earlier[0].manifest_sha256


def test_unfilled_slots_of_both_generations_are_retried(extended, tmp_path):
    folder = shutil.copytree(extended, tmp_path / "out")
    result = facemint("retry", folder, "--attempts", "1", "--local")
    assert result.exit_code in (0, 4), result.output
    before, after = read_slots(extended), read_slots(folder)
    filled = [row for row in before if row["status"] == "filled"]
    assert [row for row in after if row["slot"] in {row["slot"] for row in filled}] == filled
    assert {row["attempts"] for row in after if row["slot"] not in {row["slot"] for row in filled}} == {2}
    assert {name: marker["run_hash"] for name, marker in read_markers(folder).items()} == {
        name: marker["run_hash"] for name, marker in read_markers(extended).items()
    }
    labels = [read_labels(place, "data", ["sample_id", "file_sha256", "manifest_sha256"]) for place in (extended, folder)]
    assert labels[1].merge(labels[0]).shape == labels[0].shape
    assert json.loads((folder / "run.json").read_text())["counts"]["attempts"] == sum(row["attempts"] for row in after)
    assert set(read_retries(folder).max_attempts.values()) == {2}


def read_slots(folder):
    return sorted((row for path in (folder / "slots").iterdir() for row in pq.read_table(path).to_pylist()), key=lambda row: row["slot"])


def killing(function, left):
    """The function, which ends the command when its turn has come; files of leases don't count, a kill leaves them and they are taken over."""

    def counted(*words, **options):
        if "lease" not in str(words[0]) and next(left) == 0:
            raise Killed
        return function(*words, **options)

    return counted
