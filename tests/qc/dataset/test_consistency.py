from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from manifests.errors import InputError
from qc.dataset.consistency import consistency, expression_drops
from tests.qc.dataset.drawn import people, unit


def test_figures_of_a_person_equal_those_of_its_pairs():
    rows, owners = people(6, 5, 0.7, 0)
    found = consistency(rows, owners, threshold=0.6, seed=1, replicates=50)
    by_name = {row.identity_id: row for row in found.identities}
    own = rows[owners == 2].astype(np.float64)
    cosines = (own @ own.T)[np.triu_indices(5, 1)]
    assert by_name["2"].mean_mated == pytest.approx(cosines.mean(), abs=1e-5)
    rest = unit(own.sum(axis=0) - own)
    assert by_name["2"].share_consistent == (np.einsum("nd,nd->n", own, rest) >= 0.6).mean()
    assert found.mean_mated_ci.low < found.mean_mated < found.mean_mated_ci.high
    assert [row.mean_mated for row in found.identities] == sorted(row.mean_mated for row in found.identities)


def test_swapped_pictures_are_the_outliers():
    rows, owners = people(20, 8, 0.5, 1)
    owners = owners.copy()
    owners[[3, 100]] = owners[[100, 3]]
    found = consistency(rows, owners, threshold=0.3, seed=1, replicates=20)
    assert sorted(place for row in found.identities for place in row.outliers) == [3, 100] and found.num_outliers == 2
    assert found.rank_one == pytest.approx(158 / 160)


def test_copies_are_too_easy_and_show_no_diversity():
    rows, owners = people(10, 6, 0.7, 2)
    rows[owners == 4] = rows[owners == 4][0]
    features = np.random.default_rng(0).normal(size=(60, 12))
    features[owners == 4] = 1.0
    yaw = np.where(owners == 4, 3.0, np.arange(60) % 6)
    found = consistency(
        rows, owners, threshold=0.3, too_easy_cosine=0.95, pixel_features=features, measurements=pd.DataFrame({"yaw_deg": yaw}), seed=1, replicates=20
    )
    easy = [row for row in found.identities if row.too_easy]
    assert [row.identity_id for row in easy] == ["4"] and easy[0].pixel_diversity == 0 and easy[0].measurement_sd["yaw_deg"] == 0
    other = next(row for row in found.identities if row.identity_id == "1")
    own = features[owners == 1]
    first, second = np.triu_indices(6, 1)
    assert other.pixel_diversity == pytest.approx(math.sqrt(((own[first] - own[second]) ** 2).sum(axis=1).mean()))
    assert other.measurement_sd["yaw_deg"] == pytest.approx(np.std(np.arange(6), ddof=1))


def test_single_pictures_have_no_consistency():
    found = consistency(np.eye(3, dtype=np.float32), np.array(["a", "b", "c"]), threshold=0.5, seed=0)
    assert found.num_outliers == 0 and found.to_json()["mean_mated"] is None and found.identities[0].to_json()["share_consistent"] is None
    json.dumps(found.to_json(), allow_nan=False)
    with pytest.raises(InputError, match="at least one"):
        consistency(np.zeros((0, 4)), np.zeros(0), threshold=0.5, seed=0)


def test_an_expression_that_costs_identity_shows_its_drop():
    generator = np.random.default_rng(3)
    owners = np.repeat(np.arange(50), 9)
    word = np.tile(np.repeat(["neutral", "happy", "rage"], 3), 50)
    base = generator.normal(0.7, 0.1, 50)[owners]
    cosines = base - 0.12 * (word == "rage") + 0.03 * generator.normal(size=450)
    cosines[0] = np.nan
    found = expression_drops(cosines, word, owners, seed=0)
    assert [row.expression for row in found] == ["rage", "happy", "neutral"]
    assert found[0].drop == pytest.approx(0.12, abs=0.01) and found[0].drop_ci.low > 0.1  # people are their own controls
    assert found[1].drop_ci.low < 0 < found[1].drop_ci.high and math.isnan(found[2].drop)
    assert all(math.isnan(row.drop) for row in expression_drops(cosines, word, owners, neutral="calm", seed=0))
