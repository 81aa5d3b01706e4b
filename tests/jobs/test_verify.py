from __future__ import annotations

import shutil

import pytest

from jobs.files import read_json, write_json
from jobs.shards import read_markers
from jobs.verify import find_problems
from manifests.errors import InputError
from manifests.planner import write_manifest
from tests.jobs.coloured import fill, small_plan


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert fill(folder)
    write_manifest(small_plan(), folder / "manifest")
    return folder


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


def test_a_whole_run_has_no_problem(whole):
    assert list(find_problems(whole)) == []


def test_every_flipped_byte_of_a_promised_file_is_found(run):
    for name, marker in read_markers(run).items():
        for file in marker["files"]:
            content = (run / file).read_bytes()
            place = len(content) // 2
            (run / file).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert any(file in problem for problem in find_problems(run)), name
            (run / file).write_bytes(content)
    assert list(find_problems(run)) == []


def test_truncated_and_missing_files_are_found(run):
    tar, parquet = sorted((run / "data").glob("*.tar"))[0], sorted((run / "rejected").glob("*.parquet"))[0]
    tar.write_bytes(tar.read_bytes()[:-512])
    parquet.unlink()
    problems = list(find_problems(run))
    assert any("bytes that are not" in problem for problem in problems)
    assert any(problem == f"rejected/{parquet.name} is missing" for problem in problems)


def test_slots_without_a_shard_are_counted(run):
    marker = sorted((run / "data").glob("*.json"))[0]
    marker.unlink()
    problems = list(find_problems(run))
    assert any("slots are in no committed shard" in problem for problem in problems)
    assert any("not promised by any marker" in problem for problem in problems)


def test_a_label_of_another_sample_is_found(run):
    """A tar and a Parquet file that belong to different shards, with hashes to match."""
    first, second = (path.stem for path in sorted((run / "data").glob("train-*.tar"))[:2])
    marker_path = run / "data" / f"{first}.json"
    marker, other = read_json(marker_path), read_json(run / "data" / f"{second}.json")
    shutil.copy(run / "data" / f"{second}.tar", run / "data" / f"{first}.tar")
    marker["files"][f"data/{first}.tar"] = other["files"][f"data/{second}.tar"]
    write_json(marker_path, marker)
    assert any(f"data/{first}.tar" in problem and "names differ" in problem for problem in find_problems(run))


def test_counts_that_do_not_add_up_are_found(run):
    path = sorted((run / "data").glob("*.json"))[0]
    marker = read_json(path)
    marker["counts"]["unfilled"] += 1
    write_json(path, marker)
    assert any("don't add up" in problem for problem in find_problems(run))


def test_a_folder_without_a_manifest_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        list(find_problems(tmp_path))
