from __future__ import annotations

import json

import numpy as np
import pytest

from qc.dataset.shortcuts import background_features, parity_features, probe


def scenes_and_labels(count: int = 600, scenes: int = 30, classes: int = 4, seed: int = 0):
    generator = np.random.default_rng(seed)
    scene = np.arange(count) % scenes
    return generator.normal(size=(scenes, 20))[scene] * 3 + generator.normal(size=(count, 20)), generator.integers(0, classes, count), scene


def test_backgrounds_that_know_only_their_scene_stay_at_chance():
    p_values = []
    for seed in range(6):
        rows, labels, scene = scenes_and_labels(seed=seed)
        found = probe(rows, labels, scene, target="expression", name="background", seed=seed, permutations=60)
        p_values.append(found.p_value)
        assert found.ci.low < found.chance + 0.06 and found.accuracy == pytest.approx(0.25, abs=0.07)
    assert np.mean(np.array(p_values) < 0.05) <= 0.34


def test_a_planted_trace_of_the_label_is_a_shortcut():
    rows, labels, scene = scenes_and_labels()
    rows[:, :4] += 1.0 * np.eye(4)[labels]
    found = probe(rows, labels, scene, target="expression", name="background", seed=1, permutations=120)
    assert found.status == "shortcut" and found.p_value == pytest.approx(1 / 121) and found.accuracy > found.chance + 0.05
    json.dumps(found.to_json(), allow_nan=False)


def test_labels_that_go_with_scenes_are_no_shortcut_of_pixels():
    rows, _, scene = scenes_and_labels()
    assert probe(rows, scene % 4, scene, target="identity", name="background", seed=0).status == "not estimable"
    assert "within scenes" in probe(rows, scene, scene, target="identity", name="background", seed=0).reason
    assert probe(rows, np.zeros(600), scene, target="identity", name="background", seed=0).to_json()["accuracy"] is None


def test_seed_bits_give_nothing_away_unless_they_do():
    generator = np.random.default_rng(3)
    seeds, labels, scene = generator.integers(0, 1 << 62, 800), generator.integers(0, 2, 800), np.arange(800) % 20
    assert probe(parity_features(seeds), labels, scene, target="expression", name="seed", seed=0, permutations=100).status == "chance"
    told = probe(parity_features(seeds * 2 + labels), labels, scene, target="expression", name="seed", seed=0, permutations=100)
    assert told.status == "shortcut" and told.accuracy > 0.99


def test_background_features_do_not_see_the_face():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 255, (48, 48, 3), dtype=np.uint8)
    mask = np.zeros((48, 48), np.uint8)
    mask[10:40, 12:36] = 1
    other = image.copy()
    other[mask == 1] = 255 - other[mask == 1]
    features = background_features([image, other], [mask, mask])
    assert features.shape == (2, 432) and np.array_equal(features[0], features[1]) and 0 <= features.min() <= features.max() <= 1
    other[0, 0] = 255 - other[0, 0]
    assert not np.array_equal(background_features([other], [mask])[0], features[0])
