from __future__ import annotations

import numpy as np
import torch

from generator.training.augment import jitter_bytes, similarity_jitter, to_unit, warp, warp_bytes
from generator.training.corpus import Corpus
from generator.training.crops import CropSpec, FaceCrops, face_regions, plain_crops
from manifests.geometry import transform_points


def test_hair_inside_the_jaw_counts_as_beard_and_other_hair_does_not(drawn_corpus: Corpus):
    labels = drawn_corpus.labels[:1].copy()
    labels[0, 95:100, 60:68] = 3
    regions = face_regions(labels, drawn_corpus.landmarks68_px[:1])[0]
    assert (regions[95:100, 60:68] == 2).all()
    assert (regions[20:24, 60:68] == 0).all()


def test_byte_warp_agrees_with_the_tensor_warp():
    draw = np.random.default_rng(0)
    smooth = np.cumsum(draw.normal(0, 3, (2, 64, 64, 3)), axis=1)
    images = np.clip(128 + np.cumsum(smooth, axis=2) / 30, 0, 255).astype(np.uint8)
    matrix = similarity_jitter(draw, 2, size=64, scale=(0.9, 1.0), turn_deg=5, shift_px=1, flip=np.array([False, True]))
    inner = slice(16, 48)
    by_bytes = to_unit(warp_bytes(images, matrix, 64))[:, :, inner, inner]
    by_tensor = warp(to_unit(images), matrix, 64)[:, :, inner, inner]
    assert float((by_bytes - by_tensor).abs().mean()) < 0.01


def test_mirroring_similarity_takes_the_left_edge_to_the_right():
    matrix = similarity_jitter(np.random.default_rng(0), 1, size=64, scale=(1, 1.0001), turn_deg=0, shift_px=0, flip=np.array([True]))
    assert np.allclose(transform_points(matrix, np.array([[[0.0, 10.0]]])), [[[64.0, 10.0]]], atol=0.01)


def test_swapped_crops_keep_the_face_and_lose_the_rest(drawn_corpus: Corpus):
    spec = CropSpec(jitter_px=0, swap_share=1.0, degrade_share=0, colour=0)
    crops = FaceCrops(drawn_corpus, spec).draw(np.arange(6), np.random.default_rng(0))
    assert crops.images.shape == (6, 3, 112, 112)
    plain = plain_crops(drawn_corpus.images_rgb[:6], drawn_corpus.landmarks5_px[:6])
    plain[torch.from_numpy(crops.flip)] = plain[torch.from_numpy(crops.flip)].flip(-1)
    difference = (crops.images - plain).abs().mean(dim=1)
    assert float(difference[:, 60:80, 50:62].mean()) < 0.03
    assert float(difference[:, :8, :8].mean()) > 0.1


def test_turn_of_a_crop_is_the_angle_of_the_eyes(drawn_corpus: Corpus):
    corpus = drawn_corpus.rows(np.arange(2))
    angle = np.radians(10)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corpus.landmarks5_px[:] = (corpus.landmarks5_px - 64) @ rotation.T + 64  # head turned 10 degrees clockwise
    turn = FaceCrops(corpus, CropSpec(jitter_px=0)).draw(np.arange(2), np.random.default_rng(0)).turn_deg
    assert np.allclose(turn, -10, atol=1.5)


def test_grey_jitter_leaves_no_colour():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    out = jitter_bytes(images, np.random.default_rng(1), grey=1.0)
    assert int(np.ptp(out.astype(int), axis=-1).max()) <= 1
