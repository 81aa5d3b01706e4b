from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qc.statistics import benjamini_hochberg, beta_prior, binomial_p, plain, proportion, proportions, shrunken_rates, wilson
from qc.statistics.intervals import ON_IDENTITIES, draws


def test_one_picture_per_person_gets_wilsons_interval():
    found = proportion(np.array([1, 1, 0, 1]), np.arange(4), seed=0)
    assert found.ci == wilson(3, 4) and found.share == 0.75


def test_several_pictures_per_person_widen_the_interval():
    owners = np.repeat(np.arange(30), 10)
    done = (np.random.default_rng(0).random(30) < 0.5)[owners]  # all pictures of a person agree
    found = proportion(done, owners, seed=0)
    narrow = wilson(int(done.sum()), 300)
    assert found.ci.high - found.ci.low > 2.5 * (narrow.high - narrow.low)


def test_groups_are_independent_of_each_other():
    generator = np.random.default_rng(1)
    owners, groups, done = np.repeat(np.arange(20), 12), np.tile(np.arange(3), 80), generator.random(240) < 0.7
    found = proportions(done, groups, 4, owners, seed=5)
    assert [row.trials for row in found] == [80, 80, 80, 0] and math.isnan(found[3].share) and math.isnan(found[3].ci.low)
    assert all(row.ci.low < row.share < row.ci.high for row in found[:3])


def test_a_share_of_one_counts_people():
    found = proportion(np.ones(100), np.repeat(np.arange(10), 10), seed=0)
    assert found.ci.method == ON_IDENTITIES and found.ci.low == pytest.approx(wilson(10, 10).low)


@given(st.integers(1, 60), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_draws_are_as_many_as_there_are_people(count, replicates):
    blocks = list(draws(count, replicates, 3))
    assert sum(len(block) for block in blocks) == replicates and all((block.sum(axis=1) == count).all() for block in blocks)


def test_flags_of_many_true_hypotheses_are_few():
    generator = np.random.default_rng(0)
    false_found = [benjamini_hochberg(generator.random(200)).any() for _ in range(300)]
    assert np.mean(false_found) < 0.09  # q = 0.05 where all hypotheses are true


def test_flags_follow_the_step_up_rule_and_skip_what_is_unknown():
    p = np.array([0.01, 0.04, 0.03, 0.005, np.nan, 0.5])
    assert benjamini_hochberg(p, 0.05).tolist() == [True, True, True, True, False, False]
    assert benjamini_hochberg(np.array([0.01, 0.02, 0.03, 0.04, 0.05])).all()


def test_shrinkage_recovers_the_prior_and_pulls_small_cells_most():
    generator = np.random.default_rng(3)
    trials = generator.integers(1, 8, 4000)
    done = generator.binomial(trials, generator.beta(6, 2, 4000))
    prior = beta_prior(done, trials)
    assert prior.mean == pytest.approx(0.75, abs=0.02) and prior.strength == pytest.approx(8, rel=0.35)
    rate = shrunken_rates(np.array([0, 0, 0]), np.array([1, 10, 0]), prior)
    assert 0.6 < rate[0] < 0.75 and rate[1] < 0.45 and math.isnan(rate[2])


def test_binomial_tails_are_two_sided():
    p = binomial_p(np.array([5, 0, 10, 0]), np.array([10, 10, 10, 0]), 0.5)
    assert p[0] == 1.0 and p[1] == pytest.approx(2 / 1024) == p[2] and math.isnan(p[3])


def test_plain_values_are_finite_or_null():
    assert plain({"a": np.array([1.0, np.nan]), "b": (np.int64(3), np.bool_(True), None, np.inf)}) == {"a": [1.0, None], "b": [3, True, None, None]}
    with pytest.raises(TypeError):
        plain(object())


def test_the_linearised_interval_of_many_people_is_that_of_their_bootstrap(monkeypatch):
    generator = np.random.default_rng(8)
    owners = np.repeat(np.arange(1200), 5)
    done = generator.random(6000) < generator.beta(3, 1, 1200)[owners]
    quick = proportion(done, owners, seed=0)
    monkeypatch.setattr("qc.statistics.intervals.MANY_IDENTITIES", 10**9)
    slow = proportion(done, owners, seed=0, replicates=2000)
    assert quick.ci.method != slow.ci.method and (quick.ci.low, quick.ci.high) == pytest.approx((slow.ci.low, slow.ci.high), abs=1.5e-3)
