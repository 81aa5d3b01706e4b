from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.sections import IsolationSection
from jobs.shards import read_markers
from manifests.errors import BudgetError, WorkersLost
from tests.jobs.coloured import ColouredSpec, fill, small_plan, tree
from tests.jobs.frail import FrailExecutor, dies_at

SPEC = ColouredSpec(acceptance=0.6)


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


def filled_by(executor, folder, **words):
    assert fill(folder, executor=lambda: executor, **words)
    return executor


def quarantined(folder):
    return {entry["slot"]: entry["reason"] for marker in read_markers(folder).values() for entry in marker["quarantined"]}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_slot_that_kills_its_process_is_set_aside_after_three_solo_deaths(tmp_path, workers):
    executor = filled_by(FrailExecutor(SPEC, workers=workers, fate=dies_at(7)), tmp_path)
    assert quarantined(tmp_path) == {7: "died"}
    assert executor.deaths == 4
    solo = [alone for batch, alone in zip(executor.batches, executor.alone, strict=True) if 7 in [attempt.row.slot for attempt in batch]]
    assert solo[1:] == [True] * 3


def test_no_neighbour_of_a_slot_that_kills_is_hurt(tmp_path_factory, whole):
    folder = tmp_path_factory.mktemp("run")
    filled_by(FrailExecutor(SPEC, workers=2, fate=dies_at(7)), folder)
    here = tree(folder)
    assert {name for name in whole if here[name] != whole[name]} <= {f"{place}/train-000001.{kind}" for place in PLACES for kind in KINDS}
    text = json.loads(here["quarantine/000000000007.json"])
    assert (text["slot"], text["attempt"], text["kind"]) == (7, 0, "died")


PLACES, KINDS = ("data", "rejected", "attempts", "slots"), ("tar", "parquet", "json")


def test_several_slots_that_kill_are_found_in_one_batch(tmp_path):
    filled_by(FrailExecutor(SPEC, workers=2, fate=dies_at(4, 6, 21)), tmp_path)
    assert quarantined(tmp_path) == {4: "died", 6: "died", 21: "died"}


def test_a_slot_that_always_raises_is_tried_three_times_alone(tmp_path):
    journal = tmp_path / "journal"
    assert fill(tmp_path / "run", spec=ColouredSpec(acceptance=0.6, raising_slots=(5,), journal=str(journal)))
    assert quarantined(tmp_path / "run") == {5: "raised"}
    tries = [line for line in journal.read_text().splitlines() if line.startswith("5 ")]
    assert tries == ["5 0"] * (3 + 2)  # in batches of 4 and 2, then alone
    message = json.loads((tmp_path / "run" / "quarantine" / "000000000005.json").read_text())["message"]
    assert "ArithmeticError: slot 5 can't be made" in message


def test_a_batch_that_raises_only_in_company_is_made_one_by_one(tmp_path, whole):
    assert fill(tmp_path, spec=ColouredSpec(acceptance=0.6, shy_slots=(2, 9)))
    assert tree(tmp_path) == whole


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), workers=st.sampled_from([1, 2, 4]), batch_size=st.integers(1, 9), depth=st.integers(1, 3))
def test_deaths_that_are_nobodys_fault_change_nothing(tmp_path_factory, whole, seed, workers, batch_size, depth):
    draw = np.random.default_rng(seed)

    def fate(attempts):
        return (None, None, None, None, None, None, "preempted", "preempted", "died")[draw.integers(9)]

    folder = tmp_path_factory.mktemp("run")
    limits = IsolationSection(solo_deaths=50, worker_deaths=50, max_consecutive_errors=1000)
    executor = FrailExecutor(SPEC, workers=workers, depth=depth, fate=fate, order_seed=seed)
    filled_by(executor, folder, batch_size=batch_size, isolation=limits)
    assert tree(folder) == whole
    assert set(executor.made.values()) == {1}  # nothing is made twice


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32), workers=st.sampled_from([1, 2, 4]), batch_size=st.integers(1, 9))
def test_set_aside_slots_are_independent_of_order_and_speculation(tmp_path_factory, quarantine_tree, seed, workers, batch_size):
    folder = tmp_path_factory.mktemp("run")
    executor = FrailExecutor(FAILING, workers=workers, fate=dies_at(7, 19), order_seed=seed)
    filled_by(executor, folder, batch_size=batch_size, cell_attempts=5)
    assert tree(folder) == quarantine_tree


FAILING = ColouredSpec(acceptance=0.5, raising_slots=(3, 12), shy_slots=(16,))


@pytest.fixture(scope="module")
def quarantine_tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quarantine")
    filled_by(FrailExecutor(FAILING, fate=dies_at(7, 19)), folder, cell_attempts=5)
    assert quarantined(folder) == {3: "raised", 12: "raised", 7: "died", 19: "died"}
    return tree(folder)


def test_a_run_whose_slots_all_raise_ends_with_all_of_them_set_aside(tmp_path):
    every = tuple(range(small_plan().num_slots))
    assert fill(tmp_path, spec=ColouredSpec(acceptance=1.0, raising_slots=every), isolation=IsolationSection(max_consecutive_errors=1000))
    assert sorted(quarantined(tmp_path)) == list(every)


def test_workers_that_die_at_everything_stop_the_run_and_no_slot_is_blamed(tmp_path):
    executor = FrailExecutor(SPEC, workers=3, fate=lambda attempts: "died")
    with pytest.raises(WorkersLost, match="run the same command again") as caught:
        filled_by(executor, tmp_path)
    assert caught.value.exit_code == 75
    assert executor.deaths == 3 + 3  # those at the same moment count once
    assert not (tmp_path / "quarantine").exists()


def test_failures_of_everything_stop_the_run_and_no_slot_is_blamed(tmp_path):
    every = tuple(range(small_plan().num_slots))
    with pytest.raises(BudgetError, match="max_consecutive_errors allows 20 .ArithmeticError") as caught:
        fill(tmp_path, spec=ColouredSpec(acceptance=1.0, raising_slots=every), isolation=IsolationSection(max_consecutive_errors=20))
    assert caught.value.exit_code == 3
    assert not (tmp_path / "quarantine").exists()


def test_more_set_aside_slots_than_allowed_stop_the_run(tmp_path):
    spec = ColouredSpec(acceptance=1.0, raising_slots=(1, 9, 17))
    with pytest.raises(BudgetError, match="3 slots of .*max_quarantined allows 2"):
        fill(tmp_path, spec=spec, isolation=IsolationSection(max_quarantined=2))
    assert fill(tmp_path, spec=spec, isolation=IsolationSection(max_quarantined=3))
    assert sorted(quarantined(tmp_path)) == [1, 9, 17]


def test_a_slot_set_aside_before_a_stop_is_not_tried_again(tmp_path):
    spec = ColouredSpec(acceptance=1.0, raising_slots=(1, 9))
    with pytest.raises(BudgetError):
        fill(tmp_path / "run", spec=spec, isolation=IsolationSection(max_quarantined=0))
    journal = tmp_path / "journal"
    assert fill(tmp_path / "run", spec=ColouredSpec(acceptance=1.0, raising_slots=(1, 9), journal=str(journal)))
    assert "1 0" not in journal.read_text().splitlines()
    assert sorted(quarantined(tmp_path / "run")) == [1, 9]


def test_no_worker_left_stops_the_run(tmp_path):
    with pytest.raises(WorkersLost, match="none is left"):
        filled_by(FrailExecutor(SPEC, workers=0), tmp_path)
