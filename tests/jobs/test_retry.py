from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest

from jobs.pictures import read_labels
from jobs.retry import RETRIES, ask_again, close_retries, read_retries, reopen_shards
from jobs.shards import read_markers
from tests.jobs.coloured import ColouredSpec, fill, provenance, tree

FEW, MORE = 2, 3  # attempts of a slot at first, and further ones
HEALTHY = ColouredSpec(acceptance=0.6)
POISONED = ColouredSpec(acceptance=0.6, raising_slots=(1, 14))


class Killed(BaseException):
    pass


def finish(folder, spec=HEALTHY):
    """What make does with a folder whose retry was asked for, or interrupted."""
    reopened = reopen_shards(folder, provenance().run_hash).max_attempts
    assert fill(folder, spec=spec, max_attempts=FEW, reopened=reopened)
    close_retries(folder)


def retry(folder, *, unfilled=False, quarantined=False, attempts=MORE, spec=HEALTHY):
    ask_again(folder, FEW, unfilled=unfilled, quarantined=quarantined, attempts=attempts)
    finish(folder, spec)


def data(folder):
    return {name: content for name, content in tree(folder).items() if name != RETRIES}


def counts(folder, name):
    return sum(marker["counts"][name] for marker in read_markers(folder).values())


@pytest.fixture(scope="module")
def unfilled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unfilled")
    assert fill(folder, spec=HEALTHY, max_attempts=FEW)
    assert counts(folder, "unfilled") > 1
    return folder


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("poisoned")
    assert fill(folder, spec=POISONED, max_attempts=FEW)
    assert counts(folder, "quarantined") == 2
    return folder


@pytest.fixture
def folder(unfilled, tmp_path):
    return shutil.copytree(unfilled, tmp_path / "out")


def test_a_retry_leads_to_what_more_attempts_at_once_would_have(folder, tmp_path):
    retry(folder, unfilled=True)
    assert fill(tmp_path / "at once", spec=HEALTHY, max_attempts=FEW + MORE)
    assert data(folder) == data(tmp_path / "at once")
    assert counts(folder, "unfilled") < counts(tmp_path / "out", "slots")


def test_a_filled_slot_never_changes(unfilled, folder):
    retry(folder, unfilled=True)
    before = read_labels(unfilled, "data", ["sample_id", "attempt", "seed", "file_sha256"])
    after = read_labels(folder, "data", ["sample_id", "attempt", "seed", "file_sha256"])
    assert after.merge(before).equals(before)
    assert len(after) > len(before)


def test_only_shards_with_unfilled_slots_are_written_again(folder):
    open_shards = {name for name, marker in read_markers(folder).items() if marker["counts"]["unfilled"]}
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*-0*") if path.is_file()}
    retry(folder, unfilled=True)
    changed = {path.stem for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == open_shards != set(read_markers(folder))
    retries = read_retries(folder)
    assert set(retries.shards) == open_shards and not retries.pending
    assert {(shard.max_attempts, shard.epoch) for shard in retries.shards.values()} == {(FEW + MORE, 1)}


def test_a_second_retry_goes_on_after_the_attempts_of_the_first(folder, tmp_path):
    retry(folder, unfilled=True, attempts=1)
    retry(folder, unfilled=True, attempts=2)
    assert fill(tmp_path / "at once", spec=HEALTHY, max_attempts=FEW + MORE)
    assert data(folder) == data(tmp_path / "at once")


def test_without_open_slots_nothing_is_done(tmp_path):
    assert fill(tmp_path, spec=ColouredSpec(acceptance=1.0))
    before = tree(tmp_path)
    assert not ask_again(tmp_path, FEW, unfilled=True, quarantined=True, attempts=MORE).pending
    assert tree(tmp_path) == before


def test_quarantined_slots_that_are_well_again_leave_no_trace(poisoned, tmp_path):
    folder = shutil.copytree(poisoned, tmp_path / "out")
    retry(folder, quarantined=True)
    assert fill(tmp_path / "healthy", spec=HEALTHY, max_attempts=FEW)
    assert data(folder) == data(tmp_path / "healthy")


def test_quarantined_slots_that_fail_again_stay_as_they_were(poisoned, tmp_path):
    folder = shutil.copytree(poisoned, tmp_path / "out")
    retry(folder, quarantined=True, spec=POISONED)
    assert data(folder) == data(poisoned)


def test_with_unfilled_alone_slots_that_were_set_aside_are_not_touched(poisoned, tmp_path):
    folder = shutil.copytree(poisoned, tmp_path / "out")
    retry(folder, unfilled=True)
    assert fill(tmp_path / "at once", spec=POISONED, max_attempts=FEW + MORE)
    assert data(folder) == data(tmp_path / "at once")


def test_a_retry_killed_at_any_change_of_a_file_ends_the_same(unfilled, tmp_path, monkeypatch):
    whole = shutil.copytree(unfilled, tmp_path / "whole")
    retry(whole, unfilled=True)
    for step in itertools.count():
        folder = shutil.copytree(unfilled, tmp_path / f"killed-{step}")
        with monkeypatch.context() as patch:
            left = itertools.count(step, -1)
            for owner, name in ((Path, "unlink"), (os, "replace")):
                patch.setattr(owner, name, killing(getattr(owner, name), left))
            try:
                ask_again(folder, FEW, unfilled=True, quarantined=False, attempts=MORE)
                reopen_shards(folder, provenance().run_hash)
                break
            except Killed:
                pass
        retry(folder, unfilled=True) if not read_retries(folder).pending else finish(folder)
        assert tree(folder) == tree(whole), f"killed at step {step}"
    assert step > 4


def killing(function, left):
    """The function, which ends the command when its turn has come; files of leases don't count, a kill leaves them and they are taken over."""

    def counted(*words, **options):
        if "lease" not in str(words[0]) and next(left) == 0:
            raise Killed
        return function(*words, **options)

    return counted


def test_a_run_in_an_object_store_is_retried(run_folder, tmp_path):
    assert fill(run_folder, spec=HEALTHY, max_attempts=FEW)
    retry(run_folder, unfilled=True)
    assert fill(tmp_path, spec=HEALTHY, max_attempts=FEW + MORE)
    assert read_markers(run_folder) == read_markers(tmp_path)
