from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.geometry import ARCFACE_TEMPLATE_112, PORTRAIT_TEMPLATE, invert_affine, similarity_transform, transform_points


def matrix_of(scale, angle, x, y):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


similarities = st.builds(matrix_of, st.floats(0.1, 10), st.floats(-3, 3), st.floats(-500, 500), st.floats(-500, 500))


@given(similarities)
def test_a_similarity_is_recovered_exactly_from_five_points(matrix):
    moved = transform_points(matrix, ARCFACE_TEMPLATE_112)
    assert similarity_transform(ARCFACE_TEMPLATE_112, moved) == pytest.approx(matrix, abs=1e-8)


@given(similarities)
def test_inverse_takes_points_back(matrix):
    moved = transform_points(matrix, ARCFACE_TEMPLATE_112)
    assert transform_points(invert_affine(matrix), moved) == pytest.approx(ARCFACE_TEMPLATE_112, abs=1e-8)


def test_transform_never_mirrors():
    mirrored = ARCFACE_TEMPLATE_112 * [-1, 1]
    assert np.linalg.det(similarity_transform(ARCFACE_TEMPLATE_112, mirrored)[:, :2]) >= 0


def test_fit_is_the_least_squares_one():
    rng = np.random.default_rng(3)
    target = ARCFACE_TEMPLATE_112 + rng.normal(0, 3, (5, 2))
    best = similarity_transform(ARCFACE_TEMPLATE_112, target)

    def error(matrix):
        return ((transform_points(matrix, ARCFACE_TEMPLATE_112) - target) ** 2).sum()

    for step in (1e-3, -1e-3):
        for da, db, dx, dy in np.eye(4) * step:
            assert error(best + np.array([[da, -db, dx], [db, da, dy]])) > error(best)


def test_batches_give_the_same_as_single_faces():
    rng = np.random.default_rng(4)
    sources = rng.normal(0, 50, (3, 5, 2))
    together = similarity_transform(sources, ARCFACE_TEMPLATE_112)
    assert together.shape == (3, 2, 3)
    for source, matrix in zip(sources, together, strict=True):
        assert np.array_equal(similarity_transform(source, ARCFACE_TEMPLATE_112), matrix)


def test_templates_have_eyes_above_nose_above_mouth():
    for template in (ARCFACE_TEMPLATE_112, PORTRAIT_TEMPLATE):
        left_eye, right_eye, nose, left_mouth, right_mouth = template
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < nose[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert PORTRAIT_TEMPLATE.min() > 0 and PORTRAIT_TEMPLATE.max() < 1
