from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.masks import HOLE_MARGIN_PX, alpha, composite, empty_background, hole, latent_mask


def disc(size: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return (x**2 + y**2 < radius**2).astype(np.uint8)


def test_the_hole_reaches_the_margin_beyond_the_face_and_no_further():
    face = np.zeros((128, 128), dtype=np.uint8)
    face[60:70, 60:70] = 1
    expected = np.zeros_like(face)
    expected[60 - HOLE_MARGIN_PX : 70 + HOLE_MARGIN_PX, 60 - HOLE_MARGIN_PX : 70 + HOLE_MARGIN_PX] = 1
    np.testing.assert_array_equal(hole(face), expected)


def test_the_margin_grows_with_the_picture():
    face = np.zeros((512, 512), dtype=np.uint8)
    face[256, 256] = 1
    assert hole(face).sum() == (2 * 4 * HOLE_MARGIN_PX + 1) ** 2


@pytest.mark.parametrize("size", [16, 128, 256])
def test_the_weight_is_zero_outside_the_hole_and_one_on_the_face(size):
    face = disc(size, size / 4)
    area = hole(face)
    weight = alpha(area)
    assert weight.dtype == np.float32
    assert not weight[area == 0].any()
    assert (weight[area == 1] > 0).all()
    assert (weight[face == 1] == 1).all()


def test_the_weight_rises_in_steps_of_one_margin_share():
    area = np.zeros((128, 128), dtype=np.uint8)
    area[20:100, 20:100] = 1
    np.testing.assert_allclose(alpha(area)[60, 19:26], [0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_a_hole_at_the_picture_border_has_no_ramp_there():
    area = np.zeros((128, 128), dtype=np.uint8)
    area[64:, 32:96] = 1
    assert alpha(area)[127, 64] == 1


def test_a_full_and_an_empty_hole_weigh_everything_and_nothing():
    assert (alpha(np.ones((32, 32), dtype=np.uint8)) == 1).all()
    assert not alpha(np.zeros((32, 32), dtype=np.uint8)).any()


def test_the_composite_keeps_the_background_bytes_outside_the_hole():
    draw = np.random.default_rng(0)
    made, below = draw.integers(0, 256, (2, 3, 128, 128, 3), dtype=np.uint8)
    face = disc(128, 30)
    area = hole(face)
    mixed = composite(made, below, np.stack([alpha(area)] * 3))
    assert mixed.dtype == np.uint8
    np.testing.assert_array_equal(mixed[:, area == 0], below[:, area == 0])
    np.testing.assert_array_equal(mixed[:, face == 1], made[:, face == 1])


def test_every_byte_survives_a_composite_with_itself():
    bytes_rgb = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    weight = np.random.default_rng(0).random((16, 16), dtype=np.float32)
    np.testing.assert_array_equal(composite(bytes_rgb, bytes_rgb, weight), bytes_rgb)


def test_an_emptied_background_is_mid_grey_in_the_hole_and_unchanged_elsewhere():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    area = torch.zeros(2, 1, 8, 8)
    area[:, :, 2:5, 3:6] = 1
    emptied = empty_background(images, area)
    assert not emptied[:, :, 2:5, 3:6].any()
    assert torch.equal(torch.where(area > 0, images, emptied), images)


def test_the_latent_mask_is_the_share_of_each_cell():
    area = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    area[:, :, :4, :2] = 1
    np.testing.assert_allclose(latent_mask(area, 4)[0, 0].numpy(), [[0.5, 0], [0, 0]])
