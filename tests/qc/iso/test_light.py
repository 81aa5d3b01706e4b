from __future__ import annotations

import numpy as np
import pytest

from qc.iso.light import lab_d50, linear_luminance, linear_picture, luminance_levels


def test_luminance_is_linear_light_and_the_quick_way_agrees():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    exact = linear_luminance(image)
    assert np.abs(luminance_levels(image) / 255 - exact).max() <= 0.5 / 255 + 1e-6
    assert linear_luminance(np.array([188, 188, 188], np.uint8)) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("rgb", "expected"),  # sRGB colours under D50 as colour tables list them
    [
        ((255, 255, 255), (100, 0, 0)),
        ((119, 119, 119), (50, 0, 0)),
        ((255, 0, 0), (54.29, 80.81, 69.89)),
        ((0, 0, 255), (29.57, 68.30, -112.03)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_known_colours_have_their_known_coordinates(rgb, expected):
    pixel = np.array([[rgb]], np.uint8)
    assert lab_d50(linear_picture(pixel))[0, 0] == pytest.approx(expected, abs=0.15)
