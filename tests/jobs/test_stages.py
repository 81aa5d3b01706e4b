from __future__ import annotations

import pytest

from jobs.files import UNFINISHED, drop_unfinished, write_whole
from jobs.stages import run_stage
from manifests.errors import ResumeMismatch, StorageError


def test_a_stage_runs_once_for_its_inputs(tmp_path):
    calls = []

    def work():
        calls.append(1)
        write_whole(tmp_path / "out.txt", "x")
        return [tmp_path / "out.txt"]

    first = run_stage(tmp_path, "plan", {"recipe": "a"}, work)
    assert run_stage(tmp_path, "plan", {"recipe": "a"}, work) == first and len(calls) == 1
    (tmp_path / "out.txt").write_text("damaged")
    assert run_stage(tmp_path, "plan", {"recipe": "a"}, work) == first and len(calls) == 2
    with pytest.raises(ResumeMismatch, match=r"\(recipe, weight core differ\)"):
        run_stage(tmp_path, "plan", {"recipe": "b", "weight core": "c"}, work)


def test_a_changed_file_of_a_strict_stage_is_refused_and_a_missing_one_is_made_again(tmp_path):
    def work():
        write_whole(tmp_path / "out.txt", "x")
        return [tmp_path / "out.txt"]

    run_stage(tmp_path, "plan", {}, work, strict=True)
    (tmp_path / "out.txt").write_text("edited")
    with pytest.raises(ResumeMismatch, match=r"out\.txt changed since stage plan wrote it\. Bring the old content back"):
        run_stage(tmp_path, "plan", {}, work, strict=True)
    assert (tmp_path / "out.txt").read_text() == "edited"
    (tmp_path / "out.txt").unlink()
    run_stage(tmp_path, "plan", {}, work, strict=True)
    assert (tmp_path / "out.txt").read_text() == "x"


def test_a_file_appears_whole_and_leftovers_are_dropped(tmp_path):
    write_whole(tmp_path / "a" / "b.txt", "text")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]
    (tmp_path / "a" / f".b.txt.1{UNFINISHED}").write_text("torn")
    assert drop_unfinished(tmp_path) == 1
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        write_whole(tmp_path / "file" / "below.txt", "x")
