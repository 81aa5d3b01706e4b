from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from generator.training.losses import cross_covariance, graded_triplet, margin_logits, supervised_contrast, weighted_triplet


def test_arc_margin_is_the_cosine_of_the_larger_angle():
    logits = margin_logits(torch.tensor([[0.6, -0.2]]), torch.tensor([0]), scale=24, angle=0.3)
    assert logits[0].tolist() == pytest.approx([24 * math.cos(math.acos(0.6) + 0.3), 24 * -0.2], rel=1e-5)


def test_cosine_margin_is_subtracted_from_the_own_class_only():
    logits = margin_logits(torch.tensor([[0.6, -0.2]]), torch.tensor([1]), scale=10, offset=0.25)
    assert logits[0].tolist() == pytest.approx([6.0, -4.5], rel=1e-5)


def test_supervised_contrast_of_two_orthogonal_pairs():
    unit = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    expected = -math.log(math.e**2 / (math.e**2 + 2))  # one positive at cosine 1, two negatives at 0, temperature 1/2
    assert float(supervised_contrast(unit, torch.tensor([0, 0, 1, 1]), temperature=0.5)) == pytest.approx(expected, rel=1e-5)


def test_weighted_triplet_of_a_collapsed_batch_is_log_two():
    unit = F.normalize(torch.ones(6, 4))
    assert float(weighted_triplet(unit, torch.tensor([0, 0, 0, 1, 1, 1]), scale=6, focus=3)) == pytest.approx(math.log(2), abs=1e-4)


def test_weighted_triplet_with_no_focus_compares_the_mean_distances():
    unit = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]])
    assert float(weighted_triplet(unit, torch.tensor([0, 0, 1, 1]), scale=1, focus=0)) == pytest.approx(math.log1p(math.exp(-2 + 1e-3)), abs=1e-3)


def test_graded_triplet_is_zero_when_the_order_is_right_by_the_margin():
    label = torch.tensor([[0.0], [1.0], [10.0]])
    assert float(graded_triplet(label * 5, label, margin=0.5)) == 0.0
    assert float(graded_triplet(-(label**-1).nan_to_num(posinf=0), label, margin=0.5)) > 0


def test_cross_covariance_sees_a_copy_and_not_an_orthogonal_column():
    wave = torch.sin(torch.arange(64) * 2 * math.pi / 64)[:, None]
    other = torch.cos(torch.arange(64) * 2 * math.pi / 64)[:, None]
    assert float(cross_covariance(wave, wave)) == pytest.approx(1.0, abs=0.05)
    assert float(cross_covariance(wave, other)) == pytest.approx(0.0, abs=1e-6)
