from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jobs.cli import main
from jobs.conditions import read_tables
from jobs.config import config_from_words
from jobs.images import decode_rgb
from jobs.judging import calibrate_gate, open_pack
from jobs.shards import read_markers

# Few steps and a judge that only asks for a face: these tests are about the graph, not about how good the pictures are.
QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1", "qc.rejecting=[single_face]", "batch_size=2", "max_attempts=2")
SAME = (
    *("data", "rejected", "attempts", "slots", "manifest", "conditions", "run.json"),
    *("qc_report.json", "report.html", "contact_sheet.png", "README.md", "croissant.json", "licences.json"),
)


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def tree(folder):
    """Contents of everything that doesn't depend on how the run was made."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items()) if name.split("/")[0] in SAME}


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name not in ("progress.json", "metrics.prom")}


@pytest.fixture(scope="module")
def run(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    result = facemint("run", "smallest", "--out", folder, "--local", *QUICK, "expressions.words=[neutral]")
    assert result.exit_code in (0, 4), result.output
    return folder


def test_a_run_leaves_a_whole_folder(run):
    assert facemint("verify", run).exit_code == 0
    names = {path.name for path in run.iterdir()}
    assert {"config.yaml", "run.json", "manifest", "conditions", "data", "attempts", "qc_report.json", "report.html", "README.md"} <= names
    status = facemint("status", run).output
    assert "plan, prepare, make, summarize" in status and "2 of 2" in status
    assert json.loads((run / "qc_report.json").read_text())["counts"]["requested"] == 2


def test_ray_gives_the_same_tree(run, tmp_path):
    result = facemint("run", "smallest", "--out", tmp_path / "out", *QUICK, "expressions.words=[neutral]", "workers=2")
    assert result.exit_code in (0, 4), result.output
    assert tree(tmp_path / "out") == tree(run)


def test_the_same_command_again_makes_nothing(run):
    before = times(run)
    assert facemint("run", "smallest", "--out", run, *QUICK, "expressions.words=[neutral]", "workers=7").exit_code in (0, 4)
    assert times(run) == before


def test_another_recipe_for_the_same_folder_is_refused_by_name(run):
    result = facemint("run", "smallest", "--out", run, *QUICK, "expressions.words=[neutral]", "seed=2")
    assert result.exit_code == 2
    assert "seed: was 1, now 2" in result.output


def test_conditions_that_were_altered_are_made_again(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "out")
    path = folder / "conditions" / "identities.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-8])
    facemint("prepare", "smallest", "--out", folder, *QUICK, "expressions.words=[neutral]")
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mode=swap"], 'mode is "swap", which keeps the expression of each scene'),
        (["mode=reenact"], 'mode is "reenact", which keeps the person of each scene'),
        (["identities.sampled.count=0"], "there are no identities"),
        (["expressions.words=[]"], "there are no expressions"),
        (["expressions.words=[hapiness]"], 'Did you mean "happiness"'),
        (["expressions.affectnet8=[happy]"], 'expressions.affectnet8 has "happy"'),
        (["scenes.bundled=100000"], "but the bank has"),
        (["scenes.from_identities=true"], "goes with identities.path"),
        (["scenes.path=nowhere"], 'scenes.path is "nowhere", which is not a folder'),
        (["models.core=nowhere"], 'models.core: "nowhere" is not a folder'),
        (["split.train=0.5"], "sum to 1"),
    ],
)
def test_axes_that_do_not_go_together_are_said(bundled, tmp_path, words, sentence):
    result = facemint("plan", "smallest", "--out", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert sentence in result.output
    assert not (tmp_path / "out" / "config.yaml").exists()  # so that a corrected command isn't refused


@pytest.mark.parametrize(("mode", "words"), [("swap", ["expressions.words=[]"]), ("reenact", ["identities.sampled.count=0"])])
def test_other_modes_are_planned_and_prepared(bundled, tmp_path, mode, words):
    result = facemint("prepare", "smallest", "--out", tmp_path, f"mode={mode}", "scenes.bundled=3", *words)
    assert result.exit_code == 0, result.output
    tables = read_tables(tmp_path / "conditions")
    assert len(tables.scenes) == 3
    assert set(tables.people) == (set(tables.scenes) if mode == "reenact" else {"sampled-000000", "sampled-000001"})


def test_photographs_are_identities_and_backgrounds(bundled, shared, tmp_path):
    folder = tmp_path / "people"
    folder.mkdir()
    for path in (shared / "photos").glob("*.jpg"):
        shutil.copy(path, folder)
    (folder / "note.txt").write_text("not a picture")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)).save(folder / "noise.png")
    out = tmp_path / "out"
    quick = (*QUICK, "max_attempts=1", "expressions.affectnet8=[neutral]", f"identities.path={folder}")
    result = facemint("run", "photos", "--out", out, "--local", *quick)
    assert result.exit_code in (0, 4), result.output
    for file in ("note.txt", "dot.png", "noise.png"):
        assert f"left out: identities {file}: it has" in result.output or f"left out: identities {file}: it is" in result.output
    tables = read_tables(out / "conditions")
    assert set(tables.people) == {path.stem for path in (shared / "photos").glob("*.jpg")}
    assert {person.source for person in tables.people.values()} == {"licensed-reference"}
    assert sum(marker["counts"]["attempts"] for marker in read_markers(out).values()) == len(tables.people)


def test_three_pictures_make_one(bundled, shared, tmp_path):
    photos = shared / "photos"
    words = ["--identity", photos / "obama_1.jpg", "--expression", photos / "astronaut.jpg", "--background", photos / "biden_1.jpg"]
    result = facemint("swap", *words, "--out", tmp_path / "swap.png", "sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1")
    assert result.exit_code == 0, result.output
    assert "sim_gate_ref" in result.output and "pose_error" in result.output
    assert decode_rgb((tmp_path / "swap.png").read_bytes()).shape == (128, 128, 3)


def test_a_picture_without_a_face_cannot_be_swapped(bundled, tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "black.png")
    words = ["--identity", tmp_path / "black.png", "--expression", tmp_path / "black.png", "--background", tmp_path / "black.png"]
    result = facemint("swap", *words, "--out", tmp_path / "swap.png")
    assert result.exit_code == 2
    assert "has 0 faces, expected exactly one" in result.output


def test_the_bundled_weights_are_listed_and_whole(bundled):
    assert "gate" in facemint("weights", "list").output
    assert "no model holds two roles" in facemint("weights", "verify").output


def test_a_pack_of_the_users_is_calibrated_on_the_bundled_scenes(bundled, shared):
    config = config_from_words([f"models.pack={shared / 'models' / 'insightface' / 'buffalo_mini'}", "qc.gate_fmr=0.05"])
    calibration = calibrate_gate(config, open_pack(config))
    assert calibration.num_identities == 72
    assert 0.012 < calibration.achieved_fmr <= 0.05
