from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.shards import read_markers
from manifests.errors import BudgetError, ResumeMismatch
from tests.jobs.coloured import ColouredSpec, fill, small_plan, tree

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert fill(folder)
    return tree(folder)


def start(folder, *words):
    command = [sys.executable, "-m", "tests.jobs.coloured", str(folder), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_every_slot_has_an_accepted_sample_or_a_reason(whole, tmp_path):
    assert fill(tmp_path)
    markers = read_markers(tmp_path)
    assert sorted(markers) == sorted(shard.name for shard in small_plan().shards())
    for marker in markers.values():
        counts = marker["counts"]
        assert counts["accepted"] + counts["unfilled"] == counts["slots"] == marker["stop"] - marker["start"]
        assert counts["accepted"] + counts["rejected"] == counts["attempts"]
        assert all(sum(slot["reasons"].values()) == slot["attempts"] == 5 for slot in marker["unfilled"])
    assert not list((tmp_path / "staging").iterdir())


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_bytes_are_independent_of_the_batch_size(whole, tmp_path, batch_size):
    assert fill(tmp_path, batch_size=batch_size)
    assert tree(tmp_path) == whole


def test_two_ray_workers_give_the_same_bytes_as_this_process(whole, tmp_path):
    assert fill(tmp_path, workers=2)
    assert tree(tmp_path) == whole


def test_a_killed_run_goes_on_to_the_same_bytes(whole, tmp_path):
    for kill in range(4):
        process = start(tmp_path, "--seconds", "0.05")
        logs = len(list(tmp_path.rglob("*.log")))
        wait_for(lambda count=kill, before=logs: len(list(tmp_path.rglob("*.*"))) > count * 4 and (len(list(tmp_path.rglob("*.log"))) > 0 or before > 0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert fill(tmp_path)
    assert tree(tmp_path) == whole


def test_a_killed_run_of_two_ray_workers_goes_on_with_one_to_the_same_bytes(whole, tmp_path):
    process = start(tmp_path, "--seconds", "0.2", "--workers", "2")
    wait_for(lambda: list(tmp_path.rglob("*.log")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert fill(tmp_path, workers=1)
    assert tree(tmp_path) == whole


def test_sigterm_saves_and_says_so(whole, tmp_path):
    process = start(tmp_path, "--seconds", "0.2")
    wait_for(lambda: list(tmp_path.rglob("*.log")))
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75
    assert list((tmp_path / "staging").iterdir())
    assert fill(tmp_path)
    assert tree(tmp_path) == whole


def test_a_finished_run_starts_no_worker(whole, tmp_path):
    assert fill(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()}
    assert fill(tmp_path, spec=ColouredSpec(acceptance=0.6, fatal_slot=0))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").iterdir()} == before


def test_a_shard_that_lost_a_file_is_made_again(whole, tmp_path):
    assert fill(tmp_path)
    next((tmp_path / "data").glob("*.tar")).unlink()
    assert fill(tmp_path)
    assert tree(tmp_path) == whole


def test_a_torn_log_record_is_made_again(whole, tmp_path):
    process = start(tmp_path, "--seconds", "0.2")
    wait_for(lambda: list(tmp_path.rglob("*.log")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    for log in tmp_path.rglob("*.log"):
        content = log.read_bytes()
        log.write_bytes(content[: len(content) - 7])
    assert fill(tmp_path)
    assert tree(tmp_path) == whole


def test_slots_that_never_pass_are_unfilled_with_their_reasons(tmp_path):
    assert fill(tmp_path, spec=ColouredSpec(acceptance=0.0), max_attempts=2)
    markers = read_markers(tmp_path)
    assert sum(marker["counts"]["unfilled"] for marker in markers.values()) == small_plan().num_slots
    assert all(slot["reasons"] == {"identity": 2} for marker in markers.values() for slot in marker["unfilled"])
    assert not list((tmp_path / "data").glob("*.tar"))


def test_shards_of_another_run_are_refused(tmp_path):
    from jobs.shards import committed_shards

    assert fill(tmp_path)
    with pytest.raises(ResumeMismatch, match="use another --out"):
        committed_shards(tmp_path, "f" * 64)


def test_a_worker_that_dies_is_said_in_one_sentence(tmp_path):
    with pytest.raises(BudgetError, match="run the same command again"):
        fill(tmp_path, spec=ColouredSpec(acceptance=1.0, fatal_slot=7), workers=1)
