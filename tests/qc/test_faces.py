from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from insightface.utils.face_align import norm_crop

from manifests.errors import InputError
from manifests.geometry import ARCFACE_TEMPLATE_112, PORTRAIT_TEMPLATE
from qc.faces import Face, FaceDetector, decode, portrait_crop, recogniser_crop, suppress

POINTS = PORTRAIT_TEMPLATE * 128


def face(x0: float, y0: float, side: float, score: float) -> Face:
    return Face(bbox_px=np.array([x0, y0, x0 + side, y0 + side], np.float32), landmarks5_px=POINTS.astype(np.float32), score=score)


@pytest.fixture
def smooth_picture() -> np.ndarray:
    draw = np.random.default_rng(0)
    return cv2.resize(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC)


def test_a_peak_becomes_a_face_with_landmarks_in_picture_pixels():
    heat, size, points = np.zeros((6, 6), np.float32), np.full((6, 6), 40, np.float32), np.zeros((10, 6, 6), np.float32)
    heat[2, 3], heat[2, 2] = 0.9, 0.6  # one peak and its flank
    points[:, 2, 3] = np.array([[-8, -6], [8, -6], [0, 0], [-6, 8], [6, 8]], np.float32).ravel()
    (found,) = decode(heat, size, points, min_score=0.5, ratio=np.array([2.0, 2.0]), limit=np.array([96.0, 96.0]))
    assert found.score == pytest.approx(0.9)
    assert found.landmarks5_px[0].tolist() == [2 * (28 - 8), 2 * (20 - 6)]
    assert (found.bbox_px[2:] - found.bbox_px[:2]).max() <= 80


def test_sizes_that_a_level_is_not_trusted_with_are_left_to_others():
    heat = np.ones((1, 1), np.float32)
    for side in (5.0, 400.0):
        none = decode(heat, np.full((1, 1), side, np.float32), np.zeros((10, 1, 1), np.float32), min_score=0.5, ratio=np.ones(2), limit=np.full(2, 8.0))
        assert none == []


def test_the_better_of_overlapping_or_nested_faces_stays():
    kept = suppress([face(0, 0, 40, 0.6), face(4, 4, 40, 0.9), face(14, 14, 20, 0.7), face(100, 0, 40, 0.55)], 0.35)
    assert [f.score for f in kept] == [0.9, 0.55]


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")  # insightface calls scikit-image so
def test_recogniser_crop_agrees_with_insightface(smooth_picture: np.ndarray):
    points = ARCFACE_TEMPLATE_112 * 1.1 + [12, 9]
    ours = recogniser_crop(smooth_picture, points).astype(float)
    theirs = norm_crop(smooth_picture, points.astype(np.float32) - 0.5, image_size=112).astype(float)  # there, pixel centres are whole numbers
    assert np.abs(ours - theirs)[8:-8, 8:-8].mean() < 6


def test_portrait_crop_of_an_aligned_portrait_is_the_portrait(smooth_picture: np.ndarray):
    picture = np.ascontiguousarray(smooth_picture[:128, :128])
    crop, matrix = portrait_crop(picture, POINTS)
    assert np.abs(crop.astype(int) - picture).max() <= 1
    assert np.allclose(matrix, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


@pytest.mark.parametrize("picture", [np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.float32)])
def test_anything_but_rgb_bytes_is_refused(bundled: Path, picture: np.ndarray):
    with pytest.raises(InputError, match="expected \\(H, W, 3\\) uint8"):
        FaceDetector(bundled / "faces" / "face_detector.onnx").detect(picture)


@pytest.mark.parametrize("name", ["astronaut", "biden_1", "obama_1"])
def test_one_upright_face_is_found_in_a_photograph(bundled: Path, shared: Path, name: str):
    picture = cv2.cvtColor(cv2.imread(str(shared / "photos" / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
    found = FaceDetector(bundled / "faces" / "face_detector.onnx").detect(picture)
    assert len(found) == 1
    left_eye, right_eye, nose, left_mouth, right_mouth = found[0].landmarks5_px
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_flat_pictures_hold_no_face(bundled: Path):
    detector = FaceDetector(bundled / "faces" / "face_detector.onnx")
    assert [detector.detect(np.full((200, 150, 3), value, np.uint8)) for value in (0, 127, 255)] == [[], [], []]
