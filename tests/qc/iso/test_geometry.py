from __future__ import annotations

import numpy as np
import pytest

from manifests.geometry import transform_points
from qc.iso.geometry import ALIGNED_POINTS, aligning_matrix, cheek_zones, face_geometry, five_of_68


def landmarks() -> np.ndarray:
    """A face whose lengths are plain: eyes 100 px apart, chin 130 px below them, lips 26 px open."""
    points = np.zeros((68, 2))
    points[8] = (200, 330)
    points[30] = (200, 260)
    points[36:42] = [(130, 200), (140, 195), (160, 195), (170, 200), (160, 205), (140, 205)]
    points[42:48] = [(230, 200), (240, 195), (260, 195), (270, 200), (260, 205), (240, 205)]
    points[48], points[54] = (165, 300), (235, 300)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        points[upper], points[lower] = (200, 287), (200, 313)
    return points


def test_lengths_are_those_of_the_drawn_face():
    face = face_geometry(landmarks())
    assert face.eye_distance_px == pytest.approx(100)
    assert face.chin_distance_px == pytest.approx(130)
    assert face.mouth_opening == pytest.approx(26 / 130)
    assert face.eyes == pytest.approx((200, 200))
    assert face.mouth == pytest.approx((200, 300))


def test_alignment_takes_the_standards_points_to_their_places():
    points = np.zeros((68, 2))
    points[[36, 39]], points[[42, 45]] = ALIGNED_POINTS[0], ALIGNED_POINTS[1]
    points[30], points[48], points[54] = ALIGNED_POINTS[2:]
    turned = transform_points(np.array([[0.2, -0.1, 30.0], [0.1, 0.2, 5.0]]), points)
    assert transform_points(aligning_matrix(turned), five_of_68(turned)) == pytest.approx(ALIGNED_POINTS)


def test_cheek_zones_lie_below_the_outer_half_of_each_eye():
    (left_x, left_y, side), (right_x, right_y, _) = cheek_zones(landmarks(), np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    assert side == 30
    assert (left_x, left_y) == pytest.approx((120, 250))
    assert (right_x, right_y) == pytest.approx((250, 250))
