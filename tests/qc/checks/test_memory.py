"""Equal pictures give equal measurements wherever their arrays lie in memory: shards of any order of work are equal to the byte."""

from __future__ import annotations

import numpy as np
import pytest

from qc.checks.compression import blockiness
from qc.checks.context import Scene
from qc.checks.kept import coarse_difference, detail_ratio, lightness_shift
from qc.checks.outline import outline_step
from qc.checks.seam import _gradient
from qc.dataset.hashes import phash64
from qc.faces import Face
from qc.iso.light import lab_d50, linear_luminance, linear_picture, luminance_levels, scharr_length

FACE = Face(landmarks5_px=np.array([[20, 22], [34, 22], [27, 30], [22, 38], [32, 38]], np.float32), bbox_px=np.array([14, 10, 40, 48], np.float32), score=1.0)


def scene():
    mask = np.zeros((61, 53), np.uint8)
    mask[20:40, 15:35] = 1
    return Scene(image_rgb=np.random.default_rng(5).integers(0, 256, (61, 53, 3), dtype=np.uint8), face_mask=mask)


MEASURES = {
    "outline": lambda image: outline_step(image, FACE.landmarks5_px, scene()),
    "kept lightness": lambda image: lightness_shift(image, scene()),
    "kept detail": lambda image: detail_ratio(image, scene()),
    "kept difference": lambda image: coarse_difference(image, scene()),
    "gradient": _gradient,
    "blockiness": blockiness,
    "phash": phash64,
    "luminance": linear_luminance,
    "levels": luminance_levels,
    "scharr": lambda image: scharr_length(np.ascontiguousarray(image[..., 0])),
    "lab": lambda image: lab_d50(linear_picture(image)),
}


def placed(image, offset):
    """The picture at an address that is `offset` beyond a multiple of 64."""
    memory = np.empty(image.nbytes + 128, dtype=np.uint8)
    start = (-memory.ctypes.data) % 64 + offset
    view = memory[start : start + image.nbytes].reshape(image.shape)
    view[:] = image
    return view


@pytest.mark.parametrize("name", MEASURES)
def test_a_measurement_does_not_depend_on_where_the_picture_lies(name):
    image = np.random.default_rng(4).integers(0, 256, (61, 53, 3), dtype=np.uint8)
    results = {np.asarray(MEASURES[name](placed(image, offset))).tobytes() for offset in range(64)}
    assert len(results) == 1
