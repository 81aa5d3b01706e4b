from __future__ import annotations

import json
import math

import numpy as np
import pytest

from manifests.errors import InputError
from qc.dataset.expression_agreement import expression_agreement, scale_agreement

CLASSES = ("a", "b", "c")


def sure(seen, confidence=0.8, classes=3):
    probabilities = np.full((len(seen), classes), (1 - confidence) / (classes - 1))
    probabilities[np.arange(len(seen)), seen] = confidence
    return probabilities


def test_a_known_confusion_has_its_known_figures():
    asked = np.array([0, 0, 0, 0, 1, 1, 2, 2, -1])
    seen = np.array([0, 0, 0, 1, 1, 2, 2, 2, 0])
    found = expression_agreement(asked, sure(seen), np.arange(9), classes=CLASSES, seed=0)
    assert found.counts.tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 2]] and found.n == 8 and found.agreement.share == 0.75
    assert found.shares[0].tolist() == [0.75, 0.25, 0]
    assert found.balanced_accuracy == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert found.macro_f1 == pytest.approx((6 / 7 + 2 / 4 + 4 / 5) / 3)
    assert found.ece == pytest.approx(0.05)  # confidence 0.8, accuracy 0.75
    assert found.macro_f1_ci.low < found.macro_f1 < found.macro_f1_ci.high
    json.dumps(found.to_json(), allow_nan=False)


def test_classes_that_were_not_asked_for_count_in_no_mean():
    found = expression_agreement(np.array([0, 0]), sure(np.array([0, 0])), np.arange(2), classes=CLASSES, seed=0)
    assert found.balanced_accuracy == found.macro_f1 == 1 and found.to_json()["shares"][1] == [None, None, None]
    assert expression_agreement(np.array([-1]), sure(np.array([0])), np.arange(1), classes=CLASSES, seed=0) is None
    with pytest.raises(InputError, match="2 classes"):
        expression_agreement(np.array([0]), sure(np.array([0])), np.arange(1), classes=("a", "b"), seed=0)


def test_calibrated_probabilities_have_almost_no_calibration_error():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), 30_000)
    truth = (probabilities.cumsum(axis=1) < generator.random(30_000)[:, None]).sum(axis=1)
    found = expression_agreement(truth, probabilities, np.arange(30_000) % 100, classes=CLASSES, seed=0, replicates=30)
    assert found.ece < 0.02 and sum(row.n for row in found.reliability) == 30_000


def test_people_who_agree_throughout_widen_the_interval():
    owners = np.repeat(np.arange(25), 20)
    seen = ((np.random.default_rng(1).random(25) < 0.4).astype(int))[owners]
    alone = expression_agreement(np.zeros(500, int), sure(seen), np.arange(500), classes=CLASSES, seed=0)
    together = expression_agreement(np.zeros(500, int), sure(seen), owners, classes=CLASSES, seed=0)
    width = [found.balanced_accuracy_ci.high - found.balanced_accuracy_ci.low for found in (alone, together)]
    assert width[1] > 3 * width[0]


def test_concordance_has_its_closed_form():
    generator = np.random.default_rng(2)
    asked = generator.normal(size=40_000) * 0.3
    observed = 0.5 * asked + 0.1 + 0.1 * generator.normal(size=40_000)
    found = scale_agreement("valence", asked, observed, np.arange(40_000) % 200, seed=0, replicates=100)
    assert found.ccc == pytest.approx(2 * 0.045 / (0.09 + 0.0325 + 0.01), abs=0.01) and found.ccc_ci.low < found.ccc < found.ccc_ci.high
    assert found.pcc == pytest.approx(0.045 / math.sqrt(0.09 * 0.0325), abs=0.01)
    assert found.rmse == pytest.approx(math.sqrt(0.25 * 0.09 + 0.01 + 0.01), abs=0.005) and 0.5 < found.sagr < 1


def test_scales_without_spread_or_pictures_agree_on_nothing():
    assert scale_agreement("arousal", np.ones(4), np.arange(4.0), np.arange(4), seed=0).to_json()["ccc"] is None
    assert scale_agreement("arousal", np.array([np.nan, 0.1]), np.array([0.2, np.nan]), np.arange(2), seed=0).n == 0
