from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaincinv

from jobs.scheduler import Scheduler
from jobs.waves import CellLimits
from manifests.rows import ShardPlan

ACCEPTED, REJECTED, POISON = range(3)  # what becomes of an attempt; poison raises or kills its process


def shards(sizes):
    plans, start = [], 0
    for index, size in enumerate(sizes):
        plans.append(ShardPlan(split="train", index=index, start=start, stop=start + size))
        start += size
    return plans


def run(plans, fates, *, max_attempts, window, batch, order_seed, speculate=False, limits=None, cells=None, reopened=None):
    """Outcomes of shards, and every (slot, attempt) that was handed out; answers come back in a random order."""
    order = np.random.default_rng(order_seed)
    cells_of = None if cells is None else (lambda shard: cells[shard.start : shard.stop])
    scheduler = Scheduler(plans, max_attempts=max_attempts, window=window, limits=limits, cells_of=cells_of, reopened=reopened)
    in_flight, handed_out, outcomes = [], [], []
    while not scheduler.done:
        taken = scheduler.take(batch, speculate=speculate and bool(order.integers(2)))
        assert len(taken) <= batch
        handed_out += taken
        in_flight += taken
        assert in_flight and scheduler.open_shards <= window
        for _ in range(order.integers(1, len(in_flight) + 1)):
            slot, attempt = in_flight.pop(order.integers(len(in_flight)))
            if scheduler.is_open(slot):
                if fates[slot][attempt] == POISON:
                    scheduler.quarantine(slot, attempt)
                else:
                    scheduler.answer(slot, attempt, accepted=bool(fates[slot][attempt] == ACCEPTED))
        outcomes += scheduler.finished()
    assert speculate or not in_flight
    assert scheduler.num_filled == sum(len(outcome.filled) for outcome in outcomes)
    assert scheduler.num_unfilled == sum(len(outcome.unfilled) for outcome in outcomes)
    assert scheduler.num_quarantined == sum(len(outcome.quarantined) for outcome in outcomes)
    return outcomes, handed_out


def reference(plans, fates, *, max_attempts, limits=None, cells=None, reopened=None):
    """(slot -> what became of it, every (slot, attempt) that decides), shard by shard, cell by cell, wave by wave."""
    became, needed = {}, []
    for plan in plans:
        slots = range(plan.start, plan.stop)
        bound = (reopened or {}).get(plan.name)
        limited = limits is not None and limits.used and bound is None
        for cell in sorted({int(cells[slot]) for slot in slots}) if limited else slots:
            left = [slot for slot in slots if cells[slot] == cell] if limited else [cell]
            tried = passed = wave = 0
            while left:
                needed += [(slot, wave) for slot in left]
                fate = {slot: fates[slot][wave] for slot in left}
                became |= {slot: ("filled", wave) for slot in left if fate[slot] == ACCEPTED}
                became |= {slot: ("quarantined", wave) for slot in left if fate[slot] == POISON}
                tried += sum(its != POISON for its in fate.values())
                passed += sum(its == ACCEPTED for its in fate.values())
                left = [slot for slot in left if fate[slot] == REJECTED]
                wave += 1
                reason = None
                if wave == (bound or max_attempts):
                    reason = "attempts"
                elif limited and limits.min_acceptance and betaincinv(1 + passed, 1 + tried - passed, 0.999) < limits.min_acceptance:
                    reason = "infeasible"
                elif limited and limits.cell_attempts and tried + len(left) > limits.cell_attempts:
                    reason = "cell_attempts"
                if reason:
                    became |= dict.fromkeys(left, (reason, wave))
                    left = []
    return became, needed


def what_became(outcomes):
    """As the reference says it; a slot that is resolved twice or not at all fails."""
    became = {}
    for outcome in outcomes:
        parts = [
            {slot: ("filled", attempt) for slot, attempt in outcome.filled.items()},
            {slot: (outcome.given_up.get(slot, "attempts"), outcome.tried[slot]) for slot in outcome.unfilled},
            {slot: ("quarantined", outcome.tried[slot]) for slot in outcome.quarantined},
        ]
        assert sorted(slot for part in parts for slot in part) == list(range(outcome.plan.start, outcome.plan.stop))
        for part in parts:
            became |= part
    return became


@settings(max_examples=300)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    acceptance=st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]),
    poison=st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    max_attempts=st.integers(1, 5),
    window=st.integers(1, 3),
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    speculate=st.booleans(),
    cell_attempts=st.sampled_from([0, 0, 1, 4, 9]),
    min_acceptance=st.sampled_from([0.0, 0.0, 0.2, 0.6, 1.0]),
    num_cells=st.integers(1, 4),
)
def test_every_slot_is_resolved_once_as_the_verdicts_say(
    sizes, acceptance, poison, max_attempts, window, batch, seed, speculate, cell_attempts, min_acceptance, num_cells
):
    draw = np.random.default_rng(seed)
    shape = (sum(sizes), max_attempts)
    fates = np.where(draw.random(shape) < poison, POISON, np.where(draw.random(shape) < acceptance, ACCEPTED, REJECTED))
    cells = draw.integers(0, num_cells, sum(sizes))
    limits = CellLimits(cell_attempts=cell_attempts, min_acceptance=min_acceptance)
    asked = {"max_attempts": max_attempts, "limits": limits, "cells": cells}
    outcomes, handed_out = run(shards(sizes), fates, **asked, window=window, batch=batch, order_seed=seed, speculate=speculate)
    became, needed = reference(shards(sizes), fates, **asked)
    assert what_became(outcomes) == became
    # nothing is made twice, and, without speculation, nothing that isn't needed
    assert len(set(handed_out)) == len(handed_out)
    assert set(handed_out) >= set(needed) if speculate else sorted(handed_out) == sorted(needed)
    assert max(attempt for _, attempt in handed_out) < max_attempts


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), speculate=st.booleans())
def test_every_cell_that_can_be_filled_is_full_and_the_others_are_given_up(seed, speculate):
    """Cell 0 never passes, cell 1 always, cell 2 nine times of ten."""
    draw = np.random.default_rng(seed)
    cells = np.tile(np.repeat([0, 1, 2], 20), 3)
    fates = np.where(draw.random((180, 30)) < np.array([0.0, 1.0, 0.9])[cells][:, None], ACCEPTED, REJECTED)
    limits = CellLimits(min_acceptance=0.1)
    outcomes, _ = run(shards([60] * 3), fates, max_attempts=30, window=2, batch=16, order_seed=seed, speculate=speculate, limits=limits, cells=cells)
    became = what_became(outcomes)
    assert all(became[slot] == ("infeasible", 4) for slot in range(180) if cells[slot] == 0)  # 0.9^81 < 0.001 < 0.9^61
    assert all(became[slot][0] == "filled" for slot in range(180) if cells[slot] > 0)


def test_a_reopened_shard_has_attempts_of_its_own_and_no_limits_of_cells():
    fates = np.full((6, 7), REJECTED)
    fates[4, 6] = ACCEPTED
    asked = {"max_attempts": 3, "limits": CellLimits(cell_attempts=3), "cells": np.zeros(6, dtype=int), "reopened": {"train-000001": 7}}
    outcomes, _ = run(shards([3, 3]), fates, **asked, window=2, batch=4, order_seed=1)
    assert what_became(outcomes) == {**dict.fromkeys(range(3), ("cell_attempts", 1)), 3: ("attempts", 7), 4: ("filled", 6), 5: ("attempts", 7)}
    assert what_became(outcomes) == reference(shards([3, 3]), fates, **asked)[0]


@pytest.mark.parametrize("limits", [None, CellLimits()])
def test_without_limits_of_cells_no_attempt_waits_for_others(limits):
    scheduler = Scheduler(shards([3]), max_attempts=4, limits=limits)
    scheduler.take(3)
    scheduler.answer(1, 0, accepted=False)
    assert scheduler.take(3) == [(1, 1)]


def test_a_wave_begins_when_the_one_before_is_complete():
    scheduler = Scheduler(shards([3]), max_attempts=4, limits=CellLimits(cell_attempts=100), cells_of=lambda shard: [7, 7, 8])
    scheduler.take(3)
    scheduler.answer(0, 0, accepted=False)
    assert scheduler.take(3) == []
    scheduler.answer(1, 0, accepted=False)  # cell 8 still waits for its own
    assert scheduler.take(3) == [(0, 1), (1, 1)]


def test_a_speculative_pass_ahead_of_its_wave_fills_nothing_before():
    scheduler = Scheduler(shards([2]), max_attempts=4, limits=CellLimits(cell_attempts=3), cells_of=lambda shard: [7, 7])
    assert scheduler.take(4, speculate=True) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    scheduler.answer(0, 0, accepted=False)
    scheduler.answer(0, 1, accepted=True)
    assert scheduler.is_open(0)
    scheduler.answer(1, 0, accepted=False)  # 2 attempts used, 2 slots left: the second wave would use 4
    assert scheduler.finished()[0].given_up == {0: "cell_attempts", 1: "cell_attempts"}


def test_an_attempt_that_sets_a_slot_aside_has_no_effect_when_one_before_it_passes():
    scheduler = Scheduler(shards([1]), max_attempts=3)
    scheduler.take(2, speculate=True)
    scheduler.quarantine(0, 1)
    assert scheduler.is_open(0)
    scheduler.answer(0, 0, accepted=True)
    assert scheduler.finished()[0].filled == {0: 0}


def test_the_outcome_is_independent_of_batch_window_and_order():
    fates = np.where(np.random.default_rng(3).random((40, 5)) < 0.4, ACCEPTED, REJECTED)
    results = []
    for window, batch, order_seed in [(1, 1, 0), (2, 7, 1), (4, 16, 2)]:
        outcomes, _ = run(shards([10] * 4), fates, max_attempts=5, window=window, batch=batch, order_seed=order_seed)
        results.append(what_became(outcomes))
    assert results[0] == results[1] == results[2]


def test_no_more_shards_are_open_than_the_window_allows():
    scheduler = Scheduler(shards([3] * 10), max_attempts=1, window=2)
    assert len(scheduler.take(100)) == 6
    assert scheduler.take(100) == []


def test_speculation_fills_the_list_with_the_slots_that_failed_most():
    scheduler = Scheduler(shards([3]), max_attempts=4)
    scheduler.take(3)
    scheduler.answer(1, 0, accepted=False)
    assert scheduler.take(5) == [(1, 1)]
    assert scheduler.take(5, speculate=True) == [(1, 2), (0, 1), (2, 1), (1, 3), (0, 2)]


def test_a_later_pass_waits_for_the_attempts_before_it():
    scheduler = Scheduler(shards([1]), max_attempts=3)
    assert scheduler.take(3, speculate=True) == [(0, 0), (0, 1), (0, 2)]
    scheduler.answer(0, 1, accepted=True)
    assert scheduler.is_open(0)
    scheduler.answer(0, 0, accepted=False)
    assert not scheduler.is_open(0)
    assert scheduler.finished()[0].filled == {0: 1}
