from __future__ import annotations

import time
from collections import deque

import numpy as np
import pytest

from jobs.acceptance import MAX_CELLS, Acceptance, Tally, expected_tries, fit_prior, unfilled_share

NEVER = 1000


def attempts_of_a_run(seed: int, *, slots: int, views: int, expressions: int, max_attempts: int = 32, shard: int = 1000):
    """(slot, attempt, cell, expression, accepted) in the order of a scheduler: a shard's slots in turn, failed ones again behind them.

    Half of a cell's acceptance is its expression's, half its own, both from 0.3 to 0.9.
    """
    draw = np.random.default_rng(seed)
    cells = -(-slots // views)
    expression = draw.permutation(cells) % expressions
    acceptance = 0.5 * draw.uniform(0.3, 0.9, expressions)[expression] + 0.5 * draw.uniform(0.3, 0.9, cells)
    cell_of = draw.permutation(np.repeat(np.arange(cells), views)[:slots]).tolist()
    log = []
    for start in range(0, slots, shard):
        waiting = deque((slot, 0) for slot in range(start, min(start + shard, slots)))
        while waiting:
            slot, attempt = waiting.popleft()
            cell = cell_of[slot]
            accepted = bool(draw.random() < acceptance[cell])
            log.append((slot, attempt, cell, f"expression {expression[cell]}", accepted))
            if not accepted and attempt + 1 < max_attempts:
                waiting.append((slot, attempt + 1))
    return log


def error_of_the_estimate(log, *, slots: int, share: float = 0.25, max_attempts: int = 32) -> float:
    """Relative error of the attempts left, when this share of them was made."""
    acceptance = Acceptance(max_attempts=max_attempts)
    made = log[: int(share * len(log))]
    for slot, attempt, cell, expression, accepted in made:
        acceptance.answered(slot=slot, attempt=attempt, cell=cell, expression=expression, accepted=accepted)
    resolved = sum(accepted or attempt + 1 == max_attempts for _, attempt, _, _, accepted in made)
    return acceptance.expected_attempts(slots - resolved) / (len(log) - len(made)) - 1


@pytest.mark.parametrize(("slots", "views", "expressions", "within"), [(400, 4, 8, 0.7), (2000, 1, 8, 0.95), (2000, 10, 20, 0.95), (5000, 4, 136, 0.95)])
def test_at_a_quarter_of_a_run_the_attempts_left_are_known_to_15_percent(slots, views, expressions, within):
    """In a run of 400 slots the rest of the run itself is a draw, and 15 % are reached in most runs; from 2,000 slots on in nearly all."""
    errors = [error_of_the_estimate(attempts_of_a_run(seed, slots=slots, views=views, expressions=expressions), slots=slots) for seed in range(20)]
    assert np.mean(np.abs(errors) <= 0.15) >= within
    assert abs(np.mean(errors)) <= 0.1


@pytest.mark.parametrize(("a", "b", "limit"), [(0.5, 3.0, 1), (0.5, 3.0, 7), (1.0, 2.0, 5), (6.0, 4.0, 32), (40.0, 0.5, 3)])
def test_expected_tries_are_the_sum_of_the_chances_to_get_there(a, b, limit):
    chances = np.cumprod([1.0, *((b + step) / (a + b + step) for step in range(limit))])
    assert expected_tries(a, b, limit) == pytest.approx(chances[:limit].sum(), rel=1e-4)
    assert unfilled_share(a, b, limit) == pytest.approx(chances[limit])


def test_a_slot_that_nothing_passes_takes_all_of_its_attempts():
    acceptance = Acceptance(max_attempts=6)
    for slot in range(200):
        acceptance.answered(slot=slot, attempt=0, cell=0, expression="awe", accepted=False)
    assert acceptance.expected_attempts(300) == pytest.approx(200 * 5 + 100 * 6, rel=0.05)


def test_slots_that_always_pass_take_one_attempt():
    acceptance = Acceptance(max_attempts=6)
    for slot in range(2000):
        acceptance.answered(slot=slot, attempt=0, cell=slot, expression="joy", accepted=True)
    assert acceptance.expected_attempts(500) == pytest.approx(500, rel=0.05)


def test_nothing_is_expected_before_the_first_answer():
    assert Acceptance(max_attempts=6).expected_attempts(10) is None


def test_a_committed_shard_waits_for_nothing():
    acceptance = Acceptance(max_attempts=6)
    for slot in range(10):
        acceptance.answered(slot=slot, attempt=0, cell=slot, expression="joy", accepted=False)
    acceptance.settled(0, 10)
    assert acceptance.expected_attempts(0) == 0


def test_cells_that_differ_are_told_from_cells_that_are_alike():
    alike = [Tally(expression="joy", accepted=10, rejected=10) for _ in range(50)]
    unlike = [Tally(expression="joy", accepted=20 * (number % 2), rejected=20 * (1 - number % 2)) for number in range(50)]
    assert fit_prior(alike).concentration > 100
    assert fit_prior(unlike).concentration < 5


def test_cells_beyond_the_cap_are_counted_in_their_expression():
    acceptance = Acceptance(max_attempts=4)
    for slot in range(MAX_CELLS + 500):
        acceptance.answered(slot=slot, attempt=0, cell=slot, expression="joy", accepted=slot % 2 == 0)
    assert len(acceptance.cells) == MAX_CELLS
    assert acceptance.expressions["joy"].attempts == MAX_CELLS + 500
    assert acceptance.expected_attempts(20_000) > 20_000


def test_an_answer_costs_microseconds_and_an_estimate_of_many_cells_milliseconds():
    acceptance = Acceptance(max_attempts=8)
    start = time.process_time()
    for slot in range(50_000):
        acceptance.answered(slot=slot, attempt=0, cell=slot // 2, expression=f"word {slot % 136}", accepted=slot % 3 > 0)
    answered = time.process_time()
    acceptance.expected_attempts(1_000_000)
    assert (answered - start) / 50_000 <= 20e-6
    assert time.process_time() - answered <= 1.0


def test_the_worst_cells_are_those_with_many_failures_rather_than_one():
    acceptance = Acceptance(max_attempts=NEVER)
    for slot, (cell, accepted) in enumerate([*[(1, False)] * 30, *[(1, True)] * 2, (2, False), *[(3, True)] * 20]):
        acceptance.answered(slot=slot, attempt=0, cell=cell, expression=f"word {cell}", accepted=accepted)
    assert [cell for cell, _ in acceptance.worst_cells(2)] == [1, 2]
    assert acceptance.worst_expressions(1)[0].expression == "word 1"
