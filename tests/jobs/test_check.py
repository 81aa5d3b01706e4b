from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner

from jobs.check import check_run
from jobs.cli import main
from jobs.config import load_config
from jobs.files import read_json
from jobs.recheck_shards import SPARE, ShardRewriter
from jobs.recheck_state import CHECKS, read_checks
from jobs.shards import read_markers
from jobs.summarize import summarize
from jobs.verify import find_problems
from manifests.errors import ConfigError, ResumeMismatch
from tests.jobs.coloured import tree

QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1",
         "batch_size=2", "max_attempts=2", "shard_size=2", "qc.rejecting=[single_face,identity,pose]")  # fmt: skip
STRICT = ("qc.limits.pose_max_angle_deg=0.001",)
LENIENT = ("qc.rejecting=[single_face]",)


class Killed(BaseException):
    pass


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def data(folder):
    """Everything but the report, the history of checks and what was kept aside."""
    apart = (CHECKS, f"{SPARE}/", "qc_report", "report.html", "contact_sheet", "README", "croissant", "stages/summarize")
    return {name: content for name, content in tree(folder).items() if not name.startswith(apart)}


def counts(folder, name):
    return sum(marker["counts"][name] for marker in read_markers(folder).values())


@pytest.fixture(scope="module")
def made(bundled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "out"
    result = facemint("make", "smallest", "--out", folder, "--local", *QUICK)
    assert result.exit_code in (0, 4), result.output
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "out")


@pytest.mark.parametrize("limits", [STRICT, LENIENT, ("qc.gate_fmr=0.01",)])
def test_other_limits_and_back_give_the_same_files(made, folder, limits):
    old = load_config(made / "config.yaml")
    assert check_run(folder, limits, say=str)
    assert not [problem for problem in find_problems(folder) if "summarize" not in problem]
    assert data(folder) != data(made)
    back = ["qc.limits.pose_max_angle_deg=null", f"qc.gate_fmr={old.qc.gate_fmr}", f"qc.rejecting=[{','.join(old.qc.rejecting)}]"]
    assert check_run(folder, back, say=str)
    assert data(folder) == data(made)
    assert len(read_checks(folder).history) == 2


def test_stricter_limits_empty_slots_and_say_how_to_fill_them(made, folder):
    told = []
    check_run(folder, STRICT, say=told.append)
    assert counts(folder, "accepted") == 0 < counts(made, "attempts")
    assert {reason for marker in read_markers(folder).values() for reason in (entry["reason"] for entry in marker["unfilled"])} <= {"recheck", "attempts"}
    assert "pose" in "\n".join(told)
    if any(entry["reason"] == "recheck" for marker in read_markers(folder).values() for entry in marker["unfilled"]):
        assert f"facemint retry {folder} --unfilled" in told[-1]


def test_a_dry_run_tells_the_same_and_writes_nothing(made, folder):
    told, done = [], []
    assert not check_run(folder, STRICT, dry_run=True, say=told.append)
    assert tree(folder) == tree(made)
    check_run(folder, STRICT, say=done.append)
    assert told == done[: len(told)]


def test_pictures_that_are_measured_again_have_the_same_files(made, folder):
    assert check_run(folder, measure=True, say=str)
    assert data(folder) == data(made)


def test_the_same_limits_change_nothing(made, folder):
    assert not check_run(folder, ("qc.gate_fmr=0.05",), say=str)
    assert tree(folder) == tree(made)


def test_the_recipe_with_the_new_limits_goes_on_and_the_old_one_is_refused(folder):
    check_run(folder, STRICT, say=str)
    before = {path: path.read_bytes() for path in (folder / "data").iterdir()}
    assert facemint("make", "smallest", "--out", folder, "--local", *QUICK, *STRICT).exit_code == 4
    assert {path: path.read_bytes() for path in (folder / "data").iterdir()} == before
    refused = facemint("make", "smallest", "--out", folder, "--local", *QUICK)
    assert refused.exit_code == 2 and "qc.limits.pose_max_angle_deg: was 0.001, now None" in refused.output


def check_that_is_killed(folder, words, monkeypatch):
    """Ends a check after its first shard, as a kill does."""
    rewrite = ShardRewriter.rewrite

    def once(self, shard, marker):
        rewrite(self, shard, marker)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ShardRewriter, "rewrite", once)
        check_run(folder, words, say=str)


def test_a_check_that_was_interrupted_goes_on_and_nothing_else_does(folder, tmp_path, monkeypatch):
    whole = shutil.copytree(folder, tmp_path / "whole")
    check_run(whole, STRICT, say=str)
    check_that_is_killed(folder, STRICT, monkeypatch)
    refused = facemint("make", "smallest", "--out", folder, "--local", *QUICK)
    assert refused.exit_code == 2 and "facemint check" in refused.output
    with pytest.raises(ResumeMismatch, match="without keys"):
        check_run(folder, LENIENT, say=str)
    assert check_run(folder, say=str)
    assert data(folder) == data(whole)
    assert read_json(folder / CHECKS) == read_json(whole / CHECKS)


def test_another_pack_measures_the_pictures_again(bundled, shared, tmp_path):
    people, out = tmp_path / "people", tmp_path / "out"
    people.mkdir()
    for path in sorted((shared / "photos").glob("*.jpg"))[:3]:
        shutil.copy(path, people)
    words = (*QUICK, "max_attempts=1", "expressions.affectnet8=[neutral]", f"identities.path={people}")
    assert facemint("make", "photos", "--out", out, "--local", *words).exit_code in (0, 4)
    before, gate = counts(out, "attempts"), read_json(out / "conditions" / "gate.json")["model_sha256"]
    pack = f"models.pack={shared / 'models' / 'insightface' / 'buffalo_mini'}"
    with pytest.raises(ConfigError, match="--measure"):
        check_run(out, (pack,))
    assert check_run(out, (pack,), measure=True, say=str)
    assert counts(out, "attempts") == before
    assert read_json(out / "conditions" / "gate.json")["model_sha256"] != gate
    assert not [problem for problem in find_problems(out) if "summarize" not in problem]


def test_what_is_no_limit_is_refused_by_name(folder):
    for word in ("seed=2", "sampler.steps=3", "models.core=x"):
        with pytest.raises(ConfigError, match=f'"{word.partition("=")[0]}" changes how pictures are made'):
            check_run(folder, (word,))


def test_the_command_writes_the_report_again(folder):
    summarize(folder)
    before = (folder / "qc_report.json").read_bytes()
    result = facemint("check", folder, *LENIENT)
    assert result.exit_code == 0 and "before" in result.output and "wrote" in result.output
    assert (folder / "qc_report.json").read_bytes() != before
    assert facemint("verify", folder).exit_code == 0
