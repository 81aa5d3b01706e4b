from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from qc.statistics import correlation, gate_audit


def two_scores(count: int, rho: float, seed: int = 0):
    generator = np.random.default_rng(seed)
    gate = generator.normal(size=count)
    return gate, rho * gate + math.sqrt(1 - rho * rho) * generator.normal(size=count), np.arange(count) % (count // 10)


@pytest.mark.parametrize(("kept", "gain"), [(0.9, 0.195), (0.7, 0.497), (0.5, 0.798), (0.3, 1.159)])
def test_gain_of_a_gaussian_gate_is_the_closed_form_and_the_audited_gain_rho_times_it(kept, gain):
    gate, audit, people = two_scores(40_000, 0.6)
    limit = float(np.quantile(gate, 1 - kept))
    found = gate_audit(gate, audit, people, gate >= limit, threshold=limit, seed=1, replicates=20)
    assert found.gate.gain_sd == pytest.approx(gain, abs=0.02)  # phi(z) / p
    assert found.audit.gain_sd == pytest.approx(0.6 * gain, abs=0.03)
    assert found.expected_audit_gain_sd == pytest.approx(found.audit.gain_sd, abs=0.03)
    assert found.audit.gain_ci.low < found.audit.gain_sd < found.audit.gain_ci.high


def test_filtering_lowers_the_correlation():
    gate, audit, people = two_scores(5000, 0.6)
    found = gate_audit(gate, audit, people, gate > 0.5, threshold=0.5, seed=1, replicates=50)
    assert found.unfiltered.pearson == pytest.approx(0.6, abs=0.03) and found.accepted.pearson < 0.4
    assert found.unfiltered.pearson_ci.low < 0.6 < found.unfiltered.pearson_ci.high


def test_sensitivity_counts_other_checks_and_the_steps_around_the_threshold():
    gate, audit = np.array([0.49, 0.50, 0.51, 0.6, 0.7]), np.arange(5.0)
    other = np.array([True, True, True, False, True])
    found = gate_audit(gate, audit, np.arange(5), (gate >= 0.5) & other, threshold=0.5, other_checks=other, seed=0, replicates=20)
    assert [(round(point.threshold, 2), point.n) for point in found.at] == [(0.48, 4), (0.5, 3), (0.52, 1)]
    assert found.at[2].audit_mean == 4.0 and found.at[1].acceptance == 0.6
    shares = [point.acceptance for point in found.sweep]
    assert shares == sorted(shares, reverse=True)
    json.dumps(found.to_json(), allow_nan=False)


def test_rank_correlation_equals_scipys_with_ties():
    generator = np.random.default_rng(2)
    first = generator.integers(0, 6, 300)
    second = first + generator.integers(0, 6, 300)
    assert correlation(first, second, np.arange(300), seed=0, replicates=10).spearman == pytest.approx(spearmanr(first, second).statistic)


def test_constant_scores_and_empty_runs_have_no_correlation():
    assert math.isnan(correlation(np.ones(9), np.arange(9.0), np.arange(9), seed=0).pearson)
    found = gate_audit(np.full(3, np.nan), np.ones(3), np.arange(3), np.ones(3, bool), threshold=None, seed=0)
    assert found.unfiltered.n == 0 and math.isnan(found.gate.gain_sd) and found.at == () and found.sweep == ()
    json.dumps(found.to_json(), allow_nan=False)
