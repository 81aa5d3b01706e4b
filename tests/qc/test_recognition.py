from __future__ import annotations

import numpy as np
import pytest

from manifests.errors import InputError, WeightsError
from qc.alignment import crop_turn_deg, cut_portrait, landmark_offset, recogniser_crops, template_points
from qc.expression import ExpressionEncoder, ExpressionEstimator, unit_error
from qc.parsing import FaceParser
from qc.recognition import Recogniser
from tests.qc.nets import ESTIMATOR_OUTPUTS, pictures, write_net


def test_embeddings_have_unit_length_and_do_not_depend_on_their_neighbours(tmp_path, capsys):
    path = write_net(tmp_path / "gate.onnx", {"embedding": (16,)})
    crops = pictures(5, side=112)
    one, eight = Recogniser(path), Recogniser(path, batch_size=8)
    embeddings = one.embed(crops)
    assert embeddings.shape == (5, 16) and embeddings.dtype == np.float32
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    assert np.array_equal(one.embed(crops[2:3])[0], embeddings[2])
    assert np.allclose(eight.embed(crops), embeddings, atol=1e-5)
    assert one.embed(crops[:0]).shape == (0, 16)
    assert capsys.readouterr().out == ""


def test_pixels_enter_as_red_green_blue_about_zero(tmp_path):
    path = write_net(tmp_path / "gate.onnx", {"embedding": (16,)})
    crops = pictures(1, side=112)
    pooled = ((crops[0].astype(np.float64) - 127.5) / 127.5).reshape(8, 14, 8, 14, 3).mean(axis=(1, 3)).transpose(2, 0, 1).reshape(-1)
    matrix = np.random.default_rng(0).standard_normal((192, 16)) / 14
    wanted = pooled @ matrix
    assert np.allclose(Recogniser(path).embed(crops)[0], wanted / np.linalg.norm(wanted), atol=1e-4)


def test_wrong_files_and_pictures_are_explained(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        Recogniser(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no net")
    with pytest.raises(WeightsError, match="can't be opened"):
        Recogniser(tmp_path / "text.onnx")
    with pytest.raises(WeightsError, match="can't be opened"):
        FaceParser(tmp_path / "text.onnx")
    path = write_net(tmp_path / "gate.onnx", {"embedding": (16,)})
    with pytest.raises(InputError, match="Align"):
        Recogniser(path).embed(pictures(1, side=64))
    with pytest.raises(WeightsError, match="expected"):
        ExpressionEstimator(path)
    big = write_net(tmp_path / "big.onnx", {"embedding": (16,)}, side=128)
    with pytest.raises(WeightsError, match="112 x 112"):
        Recogniser(big)


def test_estimator_reads_units_classes_and_pose(tmp_path):
    readings = ExpressionEstimator(write_net(tmp_path / "estimator.onnx", ESTIMATOR_OUTPUTS)).read(pictures(3, side=112))
    assert len(readings) == 3 and readings[0].units.shape == (35,)
    assert readings[0].probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert len(readings[0].pose_deg) == 3 and readings[0].expression in ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
    assert unit_error(readings[0].units, readings[0].units) == 0
    assert unit_error(np.zeros(35), np.ones(35)) == 1


def test_encoder_gives_thirty_two_numbers(tmp_path):
    encoder = ExpressionEncoder(write_net(tmp_path / "encoder.onnx", {"embedding": (32,)}))
    assert encoder.encode(pictures(2, side=112)).shape == (2, 32)


def test_parser_gives_label_maps_and_landmarks(tmp_path):
    path = write_net(tmp_path / "parser.onnx", {"labels": (10, 128, 128), "landmarks": (68, 2)}, side=128)
    parsed = FaceParser(path).parse(pictures(2))
    assert parsed.labels.shape == (2, 128, 128) and parsed.labels.dtype == np.uint8 and parsed.labels.max() < 10
    assert parsed.landmarks68_px.shape == (2, 68, 2)


def test_a_portrait_puts_the_points_on_the_template():
    points = template_points(128) * 1.7 + np.array([31.0, 12.0])
    portrait = cut_portrait(pictures(1, side=300)[0], points)
    assert portrait.image_rgb.shape == (128, 128, 3)
    assert np.allclose(portrait.landmarks5_px, template_points(128), atol=1e-6)
    assert landmark_offset(portrait.landmarks5_px, template_points(128)) < 1e-6


def test_offset_counts_in_inter_eye_distances():
    expected = template_points(128)
    eye_distance = expected[1, 0] - expected[0, 0]
    assert landmark_offset(expected + np.array([eye_distance / 2, 0]), expected) == pytest.approx(0.5)
    with pytest.raises(InputError, match="five"):
        landmark_offset(expected[:4], expected)


def test_no_pictures_give_no_crops():
    assert recogniser_crops([], []).shape == (0, 112, 112, 3)


def test_a_turned_face_is_cut_upright_by_the_angle_that_is_told():
    upright = template_points(128)
    angle = np.radians(12.0)  # clockwise in an image, whose y axis points down
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (upright - 64) @ turn.T + 64
    assert crop_turn_deg(turned) == pytest.approx(crop_turn_deg(upright) - 12.0, abs=1e-6)
