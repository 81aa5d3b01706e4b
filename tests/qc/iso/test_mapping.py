from __future__ import annotations

import math

import pytest

from qc.iso.mapping import MAPPINGS, graded, scalar

# Component, native value, scalar; computed by hand from the formulas at the points where they are plain.
ANSWERS = [
    ("background_uniformity", 10.0, 95),  # 190 (1 - 1/2)
    ("background_uniformity", 110.0, 51),  # 190 (1 - 0.7311)
    ("illumination_uniformity", 0.0, 0),
    ("illumination_uniformity", 1.0, 100),
    ("illumination_uniformity", 0.5, 81),  # 100 x 0.8123
    ("luminance_mean", 0.2, 50),
    ("luminance_mean", 0.5, 100),
    ("luminance_mean", 0.8, 50),
    ("luminance_variance", 0.0, 0),
    ("luminance_variance", 1 / 60, 100),  # sin(pi / 2)
    ("under_exposure", 0.0, 100),
    ("under_exposure", 0.92, 40),  # 120 (0.832 - 0.5) = 39.84
    ("under_exposure", 1.0, 0),
    ("over_exposure", 0.0, 100),
    ("over_exposure", 0.09, 10),
    ("over_exposure", 1.0, 1),
    ("dynamic_range", 8.0, 100),
    ("dynamic_range", 4.0, 50),
    ("natural_colour", 0.0, 100),  # 200 (1 - 1/2)
    ("natural_colour", 10.0, 54),  # 200 x 0.2689
    ("single_face", 0.0, 100),
    ("single_face", 0.25, 75),
    ("eyes_open", 0.02, 50),
    ("eyes_open", 0.03, 73),
    ("mouth_closed", 0.2, 50),
    ("mouth_closed", 0.26, 27),
    ("inter_eye_distance", 70.0, 50),
    ("inter_eye_distance", 90.0, 73),
    ("head_size", 0.45, 100),
    ("head_size", 0.5, 54),
    ("head_size", 0.4, 54),
    ("leftward_crop", 0.9, 50),
    ("rightward_crop", 1.0, 73),
    ("margin_above", 1.4, 50),
    ("margin_below", 1.8, 50),
    ("head_yaw", 0.0, 100),
    ("head_yaw", -45.0, 50),
    ("head_pitch", 60.0, 25),
    ("head_roll", 120.0, 0),
]


@pytest.mark.parametrize(("component", "native", "expected"), ANSWERS)
def test_a_mapping_gives_what_its_formula_gives_by_hand(component, native, expected):
    assert MAPPINGS[component](native) == expected


def test_every_component_has_an_answer_by_hand():
    assert {component for component, _, _ in ANSWERS} == set(MAPPINGS)


def test_scalars_are_rounded_half_up_and_clipped():
    assert [scalar(value) for value in (0.5, 1.5, 2.4999, -3.0, 250.0)] == [1, 2, 2, 0, 100]


@pytest.mark.parametrize("component", MAPPINGS)
@pytest.mark.parametrize("native", [-1e9, -1.0, 0.0, 1.0, 1e9])
def test_no_native_value_breaks_a_mapping(component, native):
    value = graded(component, native)[f"q_{component}"]
    assert 0 <= value <= 100 and math.isfinite(value)
