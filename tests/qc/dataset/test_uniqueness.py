from __future__ import annotations

import json

import numpy as np
import pytest

from manifests.errors import InputError
from qc.dataset.uniqueness import identity_centres, uniqueness
from tests.qc.dataset.drawn import people, unit


def test_blocks_give_what_all_pairs_at_once_give():
    rows, _ = people(90, 1, 0, 0, width=16)
    cosines = (rows @ rows.T)[np.triu_indices(90, 1)]
    found = uniqueness(rows, threshold=0.4, fmr=None, block=17, top=5)
    assert found.observed == (cosines >= 0.4).sum() and found.max_cosine == pytest.approx(cosines.max(), abs=1e-6)
    assert [pair.cosine for pair in found.pairs] == pytest.approx(sorted(cosines)[::-1][:5], abs=1e-5)
    assert sum(found.histogram) == found.num_pairs == 90 * 89 // 2
    assert found.num_unique == uniqueness(rows, threshold=0.4, fmr=None).num_unique == greedy(rows, 0.4)


def greedy(rows, threshold):
    kept = []
    for row in range(len(rows)):
        if all(rows[row] @ rows[other] < threshold for other in kept):
            kept.append(row)
    return len(kept)


def test_pairs_of_different_people_are_as_many_as_the_false_match_rate_expects():
    rows, _ = people(3000, 1, 0, 1, width=64)
    others, _ = people(3000, 1, 0, 2, width=64)
    threshold = float(np.quantile(rows @ others.T, 1 - 1e-4))
    found = uniqueness(rows, threshold=threshold, fmr=1e-4)
    assert found.expected == pytest.approx(449.85) and found.ratio == pytest.approx(1, abs=0.2)


def test_planted_doubles_are_the_closest_pairs_and_not_unique():
    rows, _ = people(400, 1, 0, 3)
    rows[10:20] = unit(rows[:10] + 0.02 * np.random.default_rng(0).normal(size=(10, 64)))
    found = uniqueness(rows, threshold=0.9, fmr=1e-9, block=64)
    assert {(pair.a, pair.b) for pair in found.pairs[:10]} == {(k, k + 10) for k in range(10)}
    assert found.observed == 10 and found.num_unique == 390 and found.ratio > 1000
    json.dumps(found.to_json(), allow_nan=False)


def test_centres_are_mean_directions():
    rows, owners = people(5, 40, 0.3, 4)
    centres, names = identity_centres(rows, owners)
    assert names.tolist() == [0, 1, 2, 3, 4] and np.allclose(np.linalg.norm(centres, axis=1), 1)
    assert np.einsum("nd,nd->n", centres[owners], rows).min() > 0.9


def test_few_identities_have_no_pairs_and_rows_must_be_of_unit_length():
    assert uniqueness(np.zeros((0, 8)), threshold=0.5, fmr=1e-3).ratio is None
    assert uniqueness(np.eye(1, 8), threshold=0.5, fmr=1e-3).to_json()["max_cosine"] is None
    with pytest.raises(InputError, match="Normalise"):
        uniqueness(2 * np.eye(4), threshold=0.5, fmr=None)
