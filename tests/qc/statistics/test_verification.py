from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import ndtri

from qc.statistics import ScoreSet, pairwise_scores, rates_at, sampled_scores, verification, wilson
from qc.statistics.counts import fnmr_at_fmr, pair_correction, rates, replicate_rates, threshold_grid
from qc.statistics.intervals import draws
from qc.statistics.scores import d_prime
from tests.bench.coverage import coverage

QUANTILES = ndtri((np.arange(100_000) + 0.5) / 100_000)


def independent_scores(mated, nonmated) -> ScoreSet:
    """As if every comparison had its own people; only the estimates mean something, not the intervals."""
    return ScoreSet(
        mated=mated,
        mated_identity=np.arange(len(mated)) % 50,
        nonmated=nonmated,
        nonmated_identities=np.stack([np.arange(len(nonmated)) % 50, (np.arange(len(nonmated)) + 1) % 50], axis=1),
        num_identities=50,
    )


def people(count: int, pictures: int, noise: float, seed: int):
    generator = np.random.default_rng(seed)
    vectors = np.repeat(generator.normal(size=(count, 32)), pictures, axis=0) + noise * generator.normal(size=(count * pictures, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(count), pictures)


def test_gaussian_scores_have_the_closed_form_figures():
    found = verification(independent_scores(QUANTILES + 4, QUANTILES), seed=1, replicates=20, targets=(1e-2, 1e-3, 1e-4))
    assert found.eer == pytest.approx(0.02275, abs=2e-4)  # Phi(-2)
    assert found.d_prime == pytest.approx(4, abs=1e-2)
    at = {point.target_fmr: point for point in found.points}
    assert at[1e-3].estimable and at[1e-3].fnmr == pytest.approx(0.1815, abs=2e-3)  # Phi(Phi^-1(0.999) - 4)
    assert at[1e-3].threshold == pytest.approx(3.0902, abs=1e-2) and at[1e-3].tar == 1 - at[1e-3].fnmr
    assert not at[1e-4].estimable and math.isnan(at[1e-4].fnmr) and "below 30" in at[1e-4].fmr_ci.method


def test_det_curve_follows_the_closed_form_within_its_points():
    det = verification(independent_scores(QUANTILES + 2, QUANTILES), seed=1, replicates=20).det
    inner = (det.fmr > 1e-4) & (det.fmr < 1 - 1e-4) & (det.fnmr > 1e-4)
    assert np.abs(ndtri(det.fnmr[inner]) - (ndtri(1 - det.fmr[inner]) - 2)).max() < 0.05
    assert len(det.fmr) <= 400 and (np.diff(det.fmr) > 0).all() and (np.diff(det.fnmr) <= 0).all()
    assert det.estimable[det.fmr >= 30 / 100_000].all() and not det.estimable[det.fmr < 29 / 100_000].any()


def test_the_band_holds_the_curve_and_the_json_is_finite_or_null():
    found = verification(pairwise_scores(*people(40, 4, 1.2, 3)), seed=2, targets=(0.1, 1e-6))
    det = found.det
    assert (det.low <= det.fnmr + 1e-12).mean() > 0.97 and (det.high >= det.fnmr - 1e-12).mean() > 0.97
    text = json.dumps(found.to_json(), allow_nan=False)
    point = json.loads(text)["points"][1]
    assert point["estimable"] is False and point["fnmr"] is None and point["fnmr_ci"]["low"] is None and point["num_nonmated"] == found.num_nonmated


def test_replicates_are_the_products_of_the_draws_but_for_the_correction():
    """The sparse counts give what a loop over comparisons gives."""
    scores = pairwise_scores(*people(12, 3, 1.0, 5))
    grid = threshold_grid(scores)
    found = replicate_rates(scores, grid, seed=7, replicates=5)
    share, factor = pair_correction(scores, grid)
    weights = next(draws(12, 5, 7))[2]
    product = weights[scores.nonmated_identities].prod(axis=1)
    looped = np.array([product[scores.nonmated >= limit].sum() / product.sum() for limit in grid])
    corrected = np.minimum.accumulate(np.clip(share + factor * (looped - share), 0, 1))
    assert np.allclose(found.fmr[2], corrected)
    mated = weights[scores.mated_identity]
    assert np.allclose(found.fnmr[2], [mated[scores.mated < limit].sum() / mated.sum() for limit in grid])


def test_the_correction_of_pairs_is_a_third_of_the_variance_where_identities_do_not_differ():
    generator = np.random.default_rng(4)
    pairs = np.argwhere(np.triu(np.ones((150, 150), bool), 1))
    scores = ScoreSet(
        mated=np.ones(150), mated_identity=np.arange(150), nonmated=generator.normal(size=len(pairs)), nonmated_identities=pairs, num_identities=150
    )
    _, factor = pair_correction(scores, np.array([0.0]))
    assert factor[0] == pytest.approx(math.sqrt(1 / 3), abs=0.06)
    effect = 3 * generator.normal(size=150)
    scores = ScoreSet(mated=np.ones(150), mated_identity=np.arange(150), nonmated=effect[pairs].sum(axis=1), nonmated_identities=pairs, num_identities=150)
    assert pair_correction(scores, np.array([0.0]))[1][0] > 0.95


def test_a_rate_without_errors_gets_an_interval_that_counts_people():
    vectors, owners = people(20, 3, 0.05, 1)
    found = rates_at(pairwise_scores(vectors, owners), 0.9, seed=0)
    assert found.fnmr == 0.0 and found.fnmr_ci.high == pytest.approx(wilson(0, 20).high)
    assert not found.estimable and found.num_false_matches == 0


def test_rates_of_exact_and_gridded_scores_agree():
    scores = pairwise_scores(*people(60, 6, 1.3, 9))  # 63,720 non-mated scores: the grid is of quantiles
    grid = threshold_grid(scores)
    assert len(grid) <= 2100
    whole = rates(scores, np.unique(np.concatenate([scores.mated, scores.nonmated, [2.0]])))
    levels = np.array([0.3, 0.1, 0.01, 0.001])
    assert np.allclose(fnmr_at_fmr(rates(scores, grid), levels), fnmr_at_fmr(whole, levels), atol=0.01)


def test_sampled_pairs_are_mated_within_and_non_mated_between_people():
    vectors, owners = people(30, 5, 0.5, 2)
    drawn, whole = sampled_scores(vectors, owners, num_mated=4000, num_nonmated=20_000, seed=3), pairwise_scores(vectors, owners)
    assert len(drawn.mated) == 4000 and 19_000 < len(drawn.nonmated) < 20_000
    assert (drawn.nonmated_identities[:, 0] != drawn.nonmated_identities[:, 1]).all() and drawn.mated.max() < 1 - 1e-6
    assert drawn.mated.mean() == pytest.approx(whole.mated.mean(), abs=0.01) and drawn.nonmated.mean() == pytest.approx(whole.nonmated.mean(), abs=0.01)


def test_figures_need_both_kinds_of_scores():
    empty = np.zeros(0)
    scores = ScoreSet(mated=empty, mated_identity=empty.astype(int), nonmated=empty, nonmated_identities=np.zeros((0, 2), int), num_identities=0)
    assert verification(scores, seed=0) is None and rates_at(scores, 0.5, seed=0) is None and math.isnan(d_prime(empty, empty))


def test_one_person_with_two_pictures_and_a_stranger_still_give_figures():
    found = verification(pairwise_scores(np.eye(3), np.array([0, 0, 1])), seed=0, targets=(0.1,))
    assert found.num_identity_pairs == 1 and not found.points[0].estimable


def test_intervals_cover_the_truth():
    """A short run of tests/bench/coverage.py: 40 trials, of which 95 % is 38; four standard errors below are 32."""
    for name, share in coverage(40, 24, 3, seed=11, replicates=100).items():
        assert share >= 0.8, name
