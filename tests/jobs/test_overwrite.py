from __future__ import annotations

import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.config import config_from_words
from jobs.files import write_whole
from jobs.lease import Lease
from jobs.overwrite import overwrite_run
from manifests.errors import BusyError, ConfigError, InputError
from tests.jobs.coloured import fill

RECIPE = ("identities.sampled.count=2", "expressions.words=[neutral]")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def config(bundled):
    return config_from_words(RECIPE)


@pytest.fixture
def made(config, tmp_path):
    folder = tmp_path / "out"
    assert fill(folder)
    (folder / "config.yaml").write_text(config.to_yaml())
    for name in ("manifest/part-00000.parquet", "conditions/gate.json", "stages/plan.json", "staging/old.log", "metrics-0-of-4.prom", "report.html"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    return folder


def test_what_a_run_made_is_deleted_and_nothing_else(config, made):
    (made / "notes.txt").write_text("mine")
    (made / "data" / "mine.tar").write_text("mine")
    overwrite_run(made, config)
    assert files(made) == {"notes.txt", "data/mine.tar"}
    assert {path.name for path in made.iterdir()} == {"notes.txt", "data"}


def test_an_empty_or_missing_folder_has_nothing_to_delete(config, tmp_path):
    assert overwrite_run(tmp_path, config) == 0
    assert overwrite_run(tmp_path / "nowhere", config) == 0


@pytest.mark.parametrize("recipe", [None, "model: resnet\n"])
def test_a_folder_that_is_no_run_is_left_alone(config, made, recipe):
    (made / "config.yaml").unlink()
    if recipe:
        (made / "config.yaml").write_text(recipe)
    before = files(made)
    with pytest.raises(InputError, match="nothing was deleted"):
        overwrite_run(made, config)
    assert files(made) == before


def test_a_recipe_that_cannot_be_planned_deletes_nothing(made):
    before = files(made)
    with pytest.raises(ConfigError, match="there are no expressions"):
        overwrite_run(made, config_from_words(["identities.sampled.count=2"]))
    assert files(made) == before


def test_a_folder_that_another_command_drives_is_refused(config, made):
    with Lease(made), pytest.raises(BusyError):
        overwrite_run(made, config)
    assert "config.yaml" in files(made)


def test_an_overwritten_plan_is_the_new_recipe_s(config, tmp_path):
    out = str(tmp_path / "out")
    runner = CliRunner()
    assert runner.invoke(main, ["plan", "smallest", "--out", out]).exit_code == 0
    assert runner.invoke(main, ["plan", "smallest", "--out", out, "seed=2"]).exit_code == 2
    result = runner.invoke(main, ["plan", "smallest", "--out", out, "--overwrite", "seed=2", "views=3"])
    assert result.exit_code == 0, result.output
    assert "12 slots" in result.output
    refused = runner.invoke(main, ["plan", "smallest", "--out", out, "--overwrite", "--extend"])
    assert refused.exit_code == 2 and "Give one of them" in refused.output


def test_a_run_in_an_object_store_is_overwritten(config, run_folder):
    assert fill(run_folder)
    write_whole(run_folder / "config.yaml", config.to_yaml())
    write_whole(run_folder / "notes.txt", "mine")
    overwrite_run(run_folder, config)
    assert [path.name for path in run_folder.rglob("*") if path.is_file()] == ["notes.txt"]
