from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from manifests.errors import InputError
from qc.dataset.distribution import distribution, frechet_distance, frechet_of_gaussians, mmd_test, mmd_unbiased, prdc, sample_size_curve, vendi_score


def test_frechet_distance_of_gaussians_has_its_closed_form():
    means, variances = np.array([1.0, 0.0, 2.0]), np.array([1.0, 4.0, 9.0])
    others = np.array([4.0, 1.0, 1.0])
    expected = float((means**2).sum() + ((np.sqrt(variances) - np.sqrt(others)) ** 2).sum())
    assert frechet_of_gaussians(means, np.diag(variances), np.zeros(3), np.diag(others)) == pytest.approx(expected, abs=1e-9)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    assert frechet_of_gaussians(turn @ means, turn @ np.diag(variances) @ turn.T, np.zeros(3), turn @ np.diag(others) @ turn.T) == pytest.approx(expected)


@pytest.mark.parametrize(("width", "count", "expected"), [(128, 1000, 8.2), (128, 20_000, 0.44), (512, 1000, 133.0)])
def test_two_samples_of_one_gaussian_lie_on_the_bias_curve(width, count, expected):
    """Measured before on numpy's normal numbers, see the notes on distances."""
    generator = np.random.default_rng(width + count)
    found = frechet_distance(generator.normal(size=(count, width)), generator.normal(size=(count, width)))
    assert found == pytest.approx(expected, rel=0.06)


def test_the_curve_falls_with_the_number_of_rows():
    generator = np.random.default_rng(0)
    curve = sample_size_curve(generator.normal(size=(2000, 32)), generator.normal(size=(2000, 32)))
    assert [point.n for point in curve] == [500, 1000, 1500, 2000]
    assert all(first.distance > second.distance for first, second in itertools.pairwise(curve))


def test_the_discrepancy_is_unbiased_for_equal_and_positive_for_shifted_distributions():
    generator = np.random.default_rng(1)
    values = [mmd_unbiased(generator.normal(size=(200, 16)), generator.normal(size=(200, 16))) for _ in range(40)]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(40) and min(values) < 0
    shifted = mmd_unbiased(generator.normal(size=(200, 16)), generator.normal(size=(200, 16)) + 0.5)
    assert shifted > 10 * np.std(values)


@pytest.mark.parametrize("kernel", ["polynomial", "rbf"])
def test_the_permutation_test_uses_the_same_estimate_and_tells_a_shift(kernel):
    generator = np.random.default_rng(2)
    first, second = generator.normal(size=(150, 8)), generator.normal(size=(170, 8))
    value, p_value = mmd_test(first, second, kernel=kernel, seed=0, permutations=99)
    assert value == pytest.approx(mmd_unbiased(first, second, kernel=kernel), abs=1e-9) and p_value > 0.05
    assert mmd_test(first, second + 0.5, kernel=kernel, seed=0, permutations=99)[1] == pytest.approx(0.01)


def test_equal_distributions_have_a_density_of_one_and_the_coverage_of_theory():
    generator = np.random.default_rng(3)
    found = prdc(generator.normal(size=(1500, 8)), generator.normal(size=(1500, 8)))
    assert found.density == pytest.approx(1, abs=0.05) and found.coverage == pytest.approx(1 - 0.5**5, abs=0.015)
    assert found.precision == pytest.approx(found.recall, abs=0.03)


def test_a_collapsed_set_is_precise_and_covers_little():
    generator = np.random.default_rng(4)
    reference = generator.normal(size=(500, 4))
    found = prdc(0.05 * generator.normal(size=(500, 4)), reference)
    assert found.precision > 0.99 and found.coverage < 0.1 and found.recall < 0.1
    far = prdc(reference + 100, reference)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    assert math.isnan(prdc(reference[:5], reference).coverage)


@pytest.mark.parametrize(("groups", "width"), [(1, 4), (7, 16), (20, 400)])
def test_orthogonal_groups_count_as_many_as_they_are(groups, width):
    rows = np.eye(width)[np.repeat(np.arange(groups), 15)] * np.random.default_rng(0).uniform(0.5, 2, (groups * 15, 1))
    assert vendi_score(rows) == pytest.approx(groups, abs=1e-6)  # the last case has more dimensions than rows


def test_all_distances_together_are_plain_and_named():
    generator = np.random.default_rng(5)
    found = distribution(generator.normal(size=(300, 12)), generator.normal(size=(260, 12)), features="gate_v1", seed=1, permutations=50)
    assert found.features == "gate_v1" and found.mmd_p_value > 0.02 and found.vendi == pytest.approx(found.vendi_reference, rel=0.1)
    assert found.fd < 2 * found.fd_same and "fid" not in json.dumps(found.to_json(), allow_nan=False).lower()
    assert found == distribution(*halves(5), features="gate_v1", seed=1, permutations=50)


def halves(seed):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(300, 12)), generator.normal(size=(260, 12))


def test_too_few_rows_give_null_and_other_widths_are_refused():
    found = distribution(np.eye(2, 4)[:1], np.eye(3, 4), features="gate_v1", seed=0).to_json()
    assert found["fd"] is None and found["mmd"] is None and found["prdc"]["coverage"] is None
    with pytest.raises(InputError, match="one width"):
        distribution(np.eye(3), np.eye(4), features="gate_v1", seed=0)
