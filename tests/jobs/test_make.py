from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.lease import Lease
from jobs.patience import patiently
from jobs.reopen import answers_of_shard
from jobs.shards import read_markers
from jobs.staging import StagingLog
from manifests.errors import BusyError, ResumeMismatch, StorageError
from tests.jobs.coloured import ColouredSpec, fill, provenance, small_plan, tree
from tests.jobs.frail import FrailExecutor

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module", autouse=True)
def without_sync():
    """A killed process loses nothing that it wrote; only a power cut does, and a busy disk makes tests slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


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
        assert counts["accepted"] + counts["unfilled"] + counts["quarantined"] == counts["slots"] == marker["stop"] - marker["start"]
        assert counts["accepted"] + counts["rejected"] == counts["attempts"]
        assert all(sum(slot["reasons"].values()) == slot["attempts"] == 5 for slot in marker["unfilled"])
    assert not list((tmp_path / "staging").iterdir())


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_bytes_are_independent_of_the_batch_size(whole, tmp_path, batch_size):
    assert fill(tmp_path, batch_size=batch_size)
    assert tree(tmp_path) == whole


def test_four_ray_workers_give_the_same_bytes_as_this_process(whole, tmp_path):
    assert fill(tmp_path, workers=4)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_within_a_batch_and_no_attempt_is_made_twice(whole, tmp_path, number):
    journal = tmp_path / "journal"
    process = start(tmp_path / "run", "--seconds", "0.5", "--journal", str(journal))
    wait_for(lambda: list(tmp_path.rglob("*.log")))
    process.send_signal(number)
    begin = time.monotonic()
    assert process.wait() == 75
    assert time.monotonic() - begin < 0.5 + 8
    assert list((tmp_path / "run" / "staging").iterdir()) and (tmp_path / "run" / "progress.json").is_file()
    assert fill(tmp_path / "run", spec=ColouredSpec(acceptance=0.6, journal=str(journal)))
    assert tree(tmp_path / "run") == whole
    begun = journal.read_text().splitlines()
    assert len(set(begun)) == len(begun)


def test_a_second_signal_ends_the_process_at_once(tmp_path):
    process = start(tmp_path / "run", "--seconds", "30", "--journal", str(tmp_path / "journal"))
    wait_for(lambda: (tmp_path / "journal").is_file())  # the first batch is begun
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == -signal.SIGTERM


def test_a_signal_that_ray_takes_while_it_starts_ends_the_run_as_any_other(tmp_path):
    class Starting(FrailExecutor):
        def __enter__(self):
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as ray.init does at its beginning
            os.kill(os.getpid(), signal.SIGTERM)
            return super().__enter__()

    before = signal.getsignal(signal.SIGTERM)
    assert not fill(tmp_path, executor=lambda: Starting(ColouredSpec(acceptance=1.0)))
    assert signal.getsignal(signal.SIGTERM) is before and not (tmp_path / "lease.json").exists()


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


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**32),
    workers=st.sampled_from([1, 2, 4]),
    batch_size=st.integers(1, 20),
    stops=st.lists(st.integers(0, 12), max_size=3),
    limited=st.booleans(),
)
def test_one_tree_for_all_workers_batches_orders_and_stops(tmp_path_factory, whole, whole_limited, seed, workers, batch_size, stops, limited):
    folder = tmp_path_factory.mktemp("run")
    words = LIMITS if limited else {}
    for number in stops:  # batches after which the executor breaks down
        executor = FrailExecutor(ColouredSpec(acceptance=0.6), workers=workers, fate=breaks_after(number), order_seed=seed)
        with contextlib.suppress(ConnectionError):
            fill(folder, executor=lambda executor=executor: executor, batch_size=batch_size, **words)
    executor = FrailExecutor(ColouredSpec(acceptance=0.6), workers=workers, order_seed=seed)
    assert fill(folder, executor=lambda: executor, batch_size=batch_size, **words)
    assert tree(folder) == (whole_limited if limited else whole)


LIMITS = {"cell_attempts": 3, "min_acceptance": 0.01, "max_attempts": 6}


@pytest.fixture(scope="module")
def whole_limited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limited")
    assert fill(folder, **LIMITS)
    reasons = {entry["reason"] for marker in read_markers(folder).values() for entry in marker["unfilled"]}
    assert reasons == {"cell_attempts"}
    return tree(folder)


def breaks_after(number):
    left = [number]

    def fate(attempts):
        left[0] -= 1
        if left[0] < 0:
            raise ConnectionError("the cluster is gone")

    return fate


def test_parts_that_know_nothing_of_each_other_make_the_whole(whole, tmp_path):
    for number in (2, 0, 1):
        assert fill(tmp_path, part=(number, 3))
    assert tree(tmp_path) == whole


def test_a_part_leaves_the_log_of_another_alone(whole, tmp_path):
    with pytest.raises(ConnectionError):
        fill(tmp_path, part=(0, 2), executor=lambda: FrailExecutor(ColouredSpec(acceptance=0.6), fate=breaks_after(2)))
    logs = list((tmp_path / "staging").iterdir())
    assert logs and fill(tmp_path, part=(1, 2))
    assert list((tmp_path / "staging").iterdir()) == logs
    assert fill(tmp_path, part=(0, 2))
    assert tree(tmp_path) == whole


def test_a_second_driver_is_refused(tmp_path):
    with Lease(tmp_path), pytest.raises(BusyError, match="is in use"):
        fill(tmp_path)


def test_a_reopened_shard_goes_on_where_it_ended(tmp_path):
    """As `retry` does: the answers of a committed shard go back into the log, its marker goes, and its slots get more attempts."""
    spec = ColouredSpec(acceptance=0.2)
    assert fill(tmp_path / "at_once", spec=spec, max_attempts=9)
    assert fill(tmp_path / "again", spec=spec, max_attempts=2)
    log = StagingLog(tmp_path / "again", provenance().run_hash)
    for name, marker in read_markers(tmp_path / "again").items():
        log.append(name, answers_of_shard(tmp_path / "again", marker)[0])
        (tmp_path / "again" / "data" / f"{name}.json").unlink()
    log.close()
    journal = tmp_path / "journal"
    reopened = {shard.name: 9 for shard in small_plan().shards()}
    spec = ColouredSpec(acceptance=0.2, journal=str(journal))
    assert fill(tmp_path / "again", spec=spec, max_attempts=2, cell_attempts=1, reopened=reopened)
    assert tree(tmp_path / "again") == tree(tmp_path / "at_once")
    assert min(int(line.split()[1]) for line in journal.read_text().splitlines()) == 2


def test_storage_that_fails_for_a_moment_is_waited_for(whole, tmp_path, monkeypatch):
    turns = Failing(os.replace, every=4)
    monkeypatch.setattr(os, "replace", turns)
    monkeypatch.setattr("jobs.patience.FIRST_WAIT_SECONDS", 0.001)
    assert fill(tmp_path)
    assert turns.failed > 3
    monkeypatch.undo()
    assert tree(tmp_path) == whole


def test_storage_that_stays_full_stops_the_run_with_what_was_committed(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", Failing(os.replace, after=20))
    monkeypatch.setattr("jobs.patience.FIRST_WAIT_SECONDS", 0.001)
    with pytest.raises(StorageError, match="Make room on the disk, then run the same command again") as caught:
        fill(tmp_path)
    assert caught.value.exit_code == 75
    monkeypatch.undo()
    assert read_markers(tmp_path)
    assert fill(tmp_path)
    assert tree(tmp_path) == whole


class Failing:
    """A call that finds the disk full: now and then, or from some time on."""

    def __init__(self, call, *, every=0, after=None):
        self.call, self.every, self.after = call, every, after
        self.turns = self.failed = 0

    def __call__(self, *words, **more):
        self.turns += 1
        if (self.every and self.turns % self.every == 0) or (self.after is not None and self.turns > self.after):
            self.failed += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.call(*words, **more)


@pytest.mark.parametrize("turns", [0, 4, 5])
def test_storage_errors_are_borne_four_times(monkeypatch, turns):
    monkeypatch.setattr("jobs.patience.FIRST_WAIT_SECONDS", 0.0)
    left = [turns]

    def action():
        left[0] -= 1
        if left[0] >= 0:
            raise StorageError("storage: away")
        return "done"

    if turns < 5:
        assert patiently(action) == "done"
    else:
        with pytest.raises(StorageError, match="away"):
            patiently(action)
