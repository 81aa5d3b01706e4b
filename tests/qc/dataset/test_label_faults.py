from __future__ import annotations

import json

import numpy as np
import pytest

from manifests.errors import InputError
from manifests.vocabulary import AFFECTNET8, vocabulary
from qc.dataset.label_faults import coherence, in_region, label_faults


def pictures(count: int = 4000, *, confusion: float = 1.0, seed: int = 0):
    """Shown classes, a classifier's probabilities of them, and people; higher confusion makes a worse classifier."""
    generator = np.random.default_rng(seed)
    shown = generator.integers(0, 8, count)
    logits = confusion * generator.normal(size=(count, 8))
    logits[np.arange(count), shown] += 4
    scores = np.exp(logits)
    return shown, scores / scores.sum(axis=1, keepdims=True), np.arange(count) % 80


def test_planted_swaps_of_single_labels_are_found():
    shown, scores, people = pictures()
    asked = shown.copy()
    swapped = np.random.default_rng(1).choice(4000, 40, replace=False)
    asked[swapped] = (shown[swapped] + 3) % 8
    found = label_faults(asked, scores, people, classes=AFFECTNET8, top=4000)
    flagged = {suspect.picture for suspect in found.suspects}
    assert len(flagged & set(swapped.tolist())) >= 0.85 * 40 and len(flagged - set(swapped.tolist())) < 0.02 * 4000
    assert found.order_is_right and not any(pair.flagged for pair in found.pairs)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(("first", "second"), [(5, 6), (4, 3), (0, 1)])
def test_two_exchanged_classes_are_found_even_by_a_weak_classifier(first, second):
    shown, scores, people = pictures(confusion=2.5, seed=2)
    exchange = np.arange(8)
    exchange[[first, second]] = exchange[[second, first]]
    found = label_faults(exchange[shown], scores, people, classes=AFFECTNET8)
    assert {frozenset((pair.first, pair.second)) for pair in found.pairs if pair.flagged} == {frozenset((AFFECTNET8[first], AFFECTNET8[second]))}
    assert not found.order_is_right and found.best_order[first] == AFFECTNET8[second]


def test_a_vocabulary_in_alphabetical_order_is_recognised():
    shown, scores, people = pictures(seed=3)
    alphabetical = sorted(AFFECTNET8)
    as_read = np.array([AFFECTNET8.index(name) for name in alphabetical])
    # labels were written as places in the alphabetical order and are read as places in AffectNet's
    written = np.argsort(as_read)[shown]
    found = label_faults(written, scores, people, classes=AFFECTNET8)
    assert found.best_order == tuple(alphabetical)


def test_right_labels_raise_no_flag_of_a_pair():
    for seed in range(10):
        shown, scores, people = pictures(800, confusion=2.5, seed=10 + seed)
        found = label_faults(shown, scores, people, classes=AFFECTNET8)
        assert found.order_is_right and not any(pair.flagged for pair in found.pairs)


def test_pictures_without_a_label_or_a_reading_are_left_out():
    found = label_faults(np.array([-1, 0]), np.array([[1.0, 0], [np.nan, 0]]), np.arange(2), classes=("a", "b"))
    assert found.n == 0 and found.suspects == () and found.pairs == () and found.order_is_right
    with pytest.raises(InputError, match="3 classes"):
        label_faults(np.array([0]), np.ones((1, 2)), np.arange(1), classes=("a", "b", "c"))


def test_the_regions_are_those_of_the_circumplex():
    inside = {"neutral": (0.1, 0.1), "happiness": (0.8, 0.2), "sadness": (-0.7, -0.4), "surprise": (0.2, 0.8), "fear": (-0.6, 0.6), "disgust": (-0.6, 0.3)}
    for name, (valence, arousal) in inside.items():
        assert in_region(name, np.array([valence]), np.array([arousal]))[0]
    assert not in_region("happiness", np.array([-0.5]), np.array([0.5]))[0] and not in_region("neutral", np.array([0.3]), np.array([0.0]))[0]
    with pytest.raises(InputError, match="no AffectNet class"):
        in_region("joyful", np.zeros(1), np.zeros(1))


def test_the_vocabularys_own_labels_are_mostly_coherent_and_exchanged_ones_are_not():
    words = [word for word in vocabulary() if word.affectnet8]
    valence, arousal = np.array([word.valence for word in words]), np.array([word.arousal for word in words])
    right = coherence([word.affectnet8 for word in words], valence, arousal)
    wrong = coherence([{"happiness": "sadness", "sadness": "happiness"}.get(word.affectnet8, word.affectnet8) for word in words], valence, arousal)
    of = [{row.name: row for row in rows} for rows in (right, wrong)]
    assert of[0]["happiness"].share > 0.9 and of[1]["happiness"].share < 0.1 and sum(row.n for row in right) == len(words)
