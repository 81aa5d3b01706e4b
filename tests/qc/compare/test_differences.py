from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from qc.compare.differences import Samples, difference, difference_of_metrics


def samples(values, identities):
    return Samples(values=np.asarray(values, np.float64), identities=np.asarray(identities, str))


def test_one_picture_per_identity_in_both_runs_is_the_paired_t_test():
    draw = np.random.default_rng(1)
    people, before = np.arange(400).astype(str), draw.standard_normal(400)
    after = before + 0.1 * draw.standard_normal(400) + 0.01
    found = difference(samples(before, people), samples(after, people), replicates=4000)
    assert found.value == pytest.approx((after - before).mean())
    assert found.p == pytest.approx(ttest_1samp(after - before, 0).pvalue, rel=0.2)
    assert found.shared_identities == 400


def test_many_identities_have_the_linearised_interval_of_the_same_width():
    draw = np.random.default_rng(2)
    people = np.arange(6000) % 1999
    a, b = draw.standard_normal(6000) + people / 1000, draw.standard_normal(6000) + people / 1000
    few = difference(samples(a, people), samples(b, people))
    more = np.append(people, [3000, 3001])
    many = difference(samples(np.append(a, [0, 0]), more), samples(np.append(b, [0, 0]), more))
    assert "bootstrap" in few.method and "linearised" in many.method
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.1)


def test_the_interval_covers_the_truth_with_clustered_values():
    covered = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        people = np.arange(1200) % 40
        shared = draw.standard_normal(40)[people]
        a, b = (shared + 0.5 * draw.standard_normal(40)[people] + draw.standard_normal(1200) for _ in range(2))
        found = difference(samples(a, people), samples(b + 0.3, people), replicates=300)
        covered += found.low <= 0.3 <= found.high
    assert 184 <= covered <= 198


def test_equal_runs_do_not_differ_and_one_identity_says_nothing():
    people = ["a", "b", "c"]
    assert difference(samples([1, 0, 1], people), samples([1, 0, 1], people)).p == 1.0
    one = difference(samples([1, 0], ["a", "a"]), samples([1, 1], ["a", "a"]))
    assert one.p is None and "two identities" in one.method


def test_runs_without_variation_are_counted_by_identity():
    found = difference(samples([1] * 8, range(8)), samples([0] * 8, range(8)))
    assert found.value == -1 and found.p == 2**-7


def test_reports_alone_give_the_normal_approximation():
    metric = {"id": "x", "value": 0.8, "n": 10, "ci": {"lo": 0.8 - 0.0196, "hi": 0.8 + 0.0196, "level": 0.95}}
    found = difference_of_metrics(metric, {**metric, "value": 0.76, "ci": {"lo": 0.76 - 0.0196, "hi": 0.76 + 0.0196, "level": 0.95}})
    assert found.value == pytest.approx(-0.04)
    assert found.p == pytest.approx(0.00468, rel=0.01)  # z = 0.04 / (0.01 sqrt 2) = 2.83
    assert "normal approximation" in found.method
    assert difference_of_metrics(metric, {**metric, "ci": None}).p is None
