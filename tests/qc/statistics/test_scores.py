from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

from manifests.errors import InputError
from qc.statistics import (
    ScoreSet,
    bootstrap_eer,
    bootstrap_mean,
    bootstrap_tar,
    equal_error_rate,
    fmr,
    fnmr,
    pairwise_scores,
    reference_scores,
    tar_at_fmr,
    threshold_at_fmr,
    wilson,
)

QUANTILES = ndtri((np.arange(200_000) + 0.5) / 200_000)


def test_gaussian_scores_four_deviations_apart_have_the_closed_form_error_rates():
    mated, nonmated = QUANTILES + 4, QUANTILES
    assert equal_error_rate(mated, nonmated) == pytest.approx(0.02275, abs=2e-4)  # Phi(-2)
    assert 1 - tar_at_fmr(mated, nonmated, 1e-3) == pytest.approx(0.1815, abs=2e-3)  # Phi(Phi^-1(0.999) - 4)


def test_equal_distributions_have_an_equal_error_rate_of_one_half():
    assert equal_error_rate(QUANTILES, QUANTILES) == pytest.approx(0.5, abs=1e-4)


def test_separated_scores_have_no_errors():
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0.0


@pytest.mark.parametrize("target", [0.1, 0.05, 0.01, 0.001])
def test_threshold_is_the_smallest_whose_rate_stays_within_the_target(target):
    scores = np.random.default_rng(1).normal(size=5000).round(2)  # with ties
    chosen = threshold_at_fmr(scores, target)
    assert fmr(scores, chosen.threshold) <= target
    assert fmr(scores, np.nextafter(chosen.threshold, -np.inf)) > target
    assert chosen.estimable == (target * 5000 >= 30)


def test_rates_count_the_threshold_itself_as_a_match():
    assert fmr(np.array([0.5]), 0.5) == 1.0
    assert fnmr(np.array([0.5]), 0.5) == 0.0
    assert math.isnan(fmr(np.array([]), 0.5))


@pytest.mark.parametrize(("successes", "trials", "low", "high"), [(5, 5, 0.566, 1.0), (20, 20, 0.839, 1.0), (0, 300, 0.0, 0.0126)])
def test_wilson_interval_has_the_published_values(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert interval.low == pytest.approx(low, abs=1e-3)
    assert interval.high == pytest.approx(high, abs=1e-4)


def test_identity_bootstrap_of_a_mean_covers_the_truth_and_pairs_of_images_would_not():
    covered = naive = 0
    generator = np.random.default_rng(3)
    for trial in range(200):
        people = np.repeat(np.arange(40), 10)
        values = generator.normal(size=40)[people] + 0.3 * generator.normal(size=400)
        interval = bootstrap_mean(values, people, seed=trial, replicates=300)
        covered += interval.low <= 0 <= interval.high
        naive += abs(values.mean()) <= 1.96 * values.std() / 20
    assert covered >= 178
    assert naive < 120


def gaussian_people(count: int, separation: float, seed: int) -> ScoreSet:
    generator = np.random.default_rng(seed)
    pairs = np.argwhere(~np.eye(count, dtype=bool))
    mated = np.repeat(np.arange(count), 5)
    return ScoreSet(
        mated=generator.normal(separation, 1, len(mated)),
        mated_identity=mated,
        nonmated=generator.normal(0, 1, len(pairs)),
        nonmated_identities=pairs,
        num_identities=count,
    )


def test_bootstrap_intervals_hold_the_estimate():
    scores = gaussian_people(30, 3.0, 5)
    eer, tar = bootstrap_eer(scores, seed=1, replicates=100), bootstrap_tar(scores, 0.1, seed=1, replicates=100)
    assert eer.low <= equal_error_rate(scores.mated, scores.nonmated) <= eer.high
    assert tar.low <= tar_at_fmr(scores.mated, scores.nonmated, 0.1) <= tar.high
    assert bootstrap_eer(scores, seed=1, replicates=100) == eer


def test_one_identity_gives_no_interval():
    scores = pairwise_scores(np.eye(3), np.zeros(3, dtype=np.int64))
    assert math.isnan(bootstrap_eer(scores, seed=0).low)


def test_pairs_are_split_by_identity():
    scores = pairwise_scores(np.eye(4), np.array([7, 7, 9, 9]))
    assert len(scores.mated) == 2 and len(scores.nonmated) == 4
    scores = reference_scores(np.eye(3), np.array([0, 1, 2]), np.eye(3))
    assert scores.mated.tolist() == [1, 1, 1] and scores.nonmated.max() == 0


def test_thresholds_need_scores_and_a_rate():
    with pytest.raises(InputError, match="two identities"):
        threshold_at_fmr(np.array([]), 0.1)
    with pytest.raises(InputError, match="above 0"):
        threshold_at_fmr(np.array([0.1]), 0.0)
