from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from manifests.errors import InputError
from qc.dataset.balance import entropy_ratio, intersection, jensen_shannon_bits, label_balance, max_to_geomean, retention


def test_even_labels_have_an_entropy_ratio_of_one_and_empty_classes_lower_it():
    assert entropy_ratio(np.array([5, 5, 5, 5])) == pytest.approx(1)
    assert entropy_ratio(np.array([5, 5, 0, 0])) == pytest.approx(0.5)
    assert entropy_ratio(np.array([7, 0])) == 0 and math.isnan(entropy_ratio(np.array([0, 0]))) and math.isnan(entropy_ratio(np.array([3])))


def test_distributions_drift_by_zero_to_one_bit():
    assert jensen_shannon_bits(np.array([1, 3]), np.array([2, 6])) == pytest.approx(0)
    assert jensen_shannon_bits(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)


def test_balance_is_stated_before_and_after_with_all_asked_classes():
    found = label_balance("expression", ["a", "a", "b", "b"], ["a", "a", "b"], classes=("a", "b", "c"))
    assert found.before == (2, 2, 0) and found.after == (2, 1, 0) and found.min_max_after == 0.0
    assert found.entropy_ratio_before == pytest.approx(math.log(2) / math.log(3)) and found.drift_bits > 0
    json.dumps(found.to_json(), allow_nan=False)
    with pytest.raises(InputError, match='"z"'):
        label_balance("expression", ["z"], [], classes=("a",))


def test_intersections_are_labels():
    frame = pd.DataFrame({"age": ["young", "old"], "sex": ["f", "m"], "tone": [1, 2]})
    assert intersection(frame, ["age", "sex", "tone"]).tolist() == ["young x f x 1", "old x m x 2"]


def test_rejection_rates_compare_with_their_geometric_mean():
    assert max_to_geomean(np.array([0.1, 0.1])) == pytest.approx(1)
    assert max_to_geomean(np.array([0.1, 0.4])) == pytest.approx(2)
    assert math.isnan(max_to_geomean(np.array([0.0, 0.4]))) and math.isnan(max_to_geomean(np.array([0.4])))


def test_uneven_retention_costs_effective_samples():
    people = np.repeat(np.arange(200), 10)
    strata = np.where(people < 100, "a", "b")
    accepted = np.random.default_rng(4).random(2000) < np.where(people < 100, 0.9, 0.45)
    found = retention("group", strata, accepted, people, seed=1, replicates=200)
    assert found.lowest == "b" and found.max_to_geomean == pytest.approx(math.sqrt(0.55 / 0.1), rel=0.1)
    # shares 2/3 and 1/3 weighted back to halves: (sum w)^2 / sum w^2 = 1 / (0.25 / (2/3) + 0.25 / (1/3)) = 8/9
    assert found.effective_share == pytest.approx(8 / 9, abs=0.03)
    b = next(row for row in found.strata if row.key == "b")
    assert b.rejection.ci.low < 0.55 < b.rejection.ci.high and b.rejection.share + b.retention.share == pytest.approx(1)


def test_even_retention_costs_nothing_and_a_lost_stratum_has_no_size():
    found = retention("group", np.array(["a", "a", "b", "b"]), np.array([1, 0, 1, 0], bool), np.arange(4), seed=0, replicates=10)
    assert found.effective_share == pytest.approx(1)
    found = retention("group", np.array(["a", "b"]), np.array([True, False]), np.arange(2), seed=0, replicates=10)
    assert found.to_json()["effective_sample_size"] is None and found.lowest == "b"
