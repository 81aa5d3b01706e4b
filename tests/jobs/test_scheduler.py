from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jobs.scheduler import Scheduler
from manifests.rows import ShardPlan


def shards(sizes):
    plans, start = [], 0
    for index, size in enumerate(sizes):
        plans.append(ShardPlan(split="train", index=index, start=start, stop=start + size))
        start += size
    return plans


def run(plans, accepts, *, max_attempts, window, batch, order_seed, speculate=False):
    """Outcomes by slot, and every (slot, attempt) that was handed out; answers come back in a random order."""
    order = np.random.default_rng(order_seed)
    scheduler = Scheduler(plans, max_attempts=max_attempts, window=window)
    in_flight, handed_out, outcomes = [], [], []
    while not scheduler.done:
        taken = scheduler.take(batch, speculate=speculate and bool(order.integers(2)))
        assert len(taken) <= batch
        handed_out += taken
        in_flight += taken
        assert in_flight
        for _ in range(order.integers(1, len(in_flight) + 1)):
            slot, attempt = in_flight.pop(order.integers(len(in_flight)))
            if scheduler.is_open(slot):
                scheduler.answer(slot, attempt, accepted=accepts(slot, attempt))
        outcomes += scheduler.finished()
    assert speculate or not in_flight
    assert scheduler.num_filled == sum(len(outcome.filled) for outcome in outcomes)
    return outcomes, handed_out


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    acceptance=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    max_attempts=st.integers(1, 4),
    window=st.integers(1, 3),
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    speculate=st.booleans(),
)
def test_every_slot_is_filled_by_its_smallest_passing_attempt(sizes, acceptance, max_attempts, window, batch, seed, speculate):
    passes = np.random.default_rng(seed).random((sum(sizes), max_attempts)) < acceptance

    def accepts(slot, attempt):
        return bool(passes[slot, attempt])

    bounds = {"max_attempts": max_attempts, "window": window, "batch": batch}
    outcomes, handed_out = run(shards(sizes), accepts, **bounds, order_seed=seed, speculate=speculate)
    filled = {slot: attempt for outcome in outcomes for slot, attempt in outcome.filled.items()}
    unfilled = sorted(slot for outcome in outcomes for slot in outcome.unfilled)
    assert filled == {slot: int(np.argmax(row)) for slot, row in enumerate(passes) if row.any()}
    assert unfilled == [slot for slot, row in enumerate(passes) if not row.any()]
    # nothing is made twice, and, without speculation, nothing that isn't needed
    needed = [(slot, attempt) for slot in range(len(passes)) for attempt in range(filled.get(slot, max_attempts - 1) + 1)]
    assert len(set(handed_out)) == len(handed_out)
    assert set(handed_out) >= set(needed) if speculate else sorted(handed_out) == needed
    assert max(attempt for _, attempt in handed_out) < max_attempts


def test_the_outcome_is_independent_of_batch_window_and_order():
    passes = np.random.default_rng(3).random((40, 5)) < 0.4
    results = []
    for window, batch, order_seed in [(1, 1, 0), (2, 7, 1), (4, 16, 2)]:
        outcomes, _ = run(
            shards([10] * 4), lambda slot, attempt: bool(passes[slot, attempt]), max_attempts=5, window=window, batch=batch, order_seed=order_seed
        )
        results.append(sorted((outcome.plan.name, sorted(outcome.filled.items()), outcome.unfilled) for outcome in outcomes))
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
