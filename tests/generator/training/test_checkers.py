from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from generator.training import detector, parser
from generator.training.composites import CANVAS_SIZE, MIRROR5, Composer, face_centre_px, face_side_px
from generator.training.corpus import Corpus
from manifests.geometry import PORTRAIT_TEMPLATE
from qc.faces import FaceDetector


def test_face_side_follows_scale_and_ignores_turning():
    points = PORTRAIT_TEMPLATE * 128
    assert np.isclose(face_side_px(points), 0.6 * 128)
    assert np.isclose(face_side_px(points[:, ::-1] * [1, -1]), 0.6 * 128)
    assert np.isclose(face_side_px(points * 3), 3 * 0.6 * 128)


def test_composites_hold_the_faces_they_claim(drawn_corpus: Corpus):
    composer = Composer(drawn_corpus, num_pieces=4)
    pictures, faces = composer.draw(16, np.random.default_rng(0))
    assert pictures.shape == (16, CANVAS_SIZE, CANVAS_SIZE, 3)
    assert {len(points) for points in faces} >= {0, 1, 2}
    centres = np.concatenate([face_centre_px(points) for points in faces])
    assert ((centres > 0) & (centres < CANVAS_SIZE)).all()
    left_of = [points[:, 0, 0] < points[:, 1, 0] for points in faces]
    assert np.concatenate(left_of).mean() > 0.9  # the first eye stays on the viewer's left after mirroring
    assert (MIRROR5[MIRROR5] == np.arange(5)).all()


def test_backgrounds_vary_and_are_pictures(drawn_corpus: Corpus):
    draw = np.random.default_rng(0)
    composer = Composer(drawn_corpus, num_pieces=4)
    backgrounds = np.stack([composer.background(draw) for _ in range(40)])
    assert backgrounds.shape == (40, CANVAS_SIZE, CANVAS_SIZE, 3)
    assert backgrounds.dtype == np.uint8
    assert len(np.unique(backgrounds.mean(axis=(1, 2, 3)).round())) > 20


def test_cell_targets_peak_at_the_centre_and_point_back_to_the_landmarks():
    points = PORTRAIT_TEMPLATE[None] * 64 + 60
    heat, wanted, weight = detector.cell_targets([points, np.zeros((0, 5, 2))], 24)
    y, x = np.unravel_index(heat[0].argmax(), heat[0].shape)
    assert heat[0, y, x] == 1
    assert heat[1].max() == 0
    assert weight[0, y, x] == 1
    side = np.exp(wanted[0, 0, y, x]) * detector.MEAN_SIDE_PX
    cell = np.array([x + 0.5, y + 0.5]) * detector.STRIDE
    assert np.allclose(cell + side * wanted[0, 1:, y, x].reshape(5, 2), points[0], atol=1e-3)


def test_focal_loss_of_a_sure_right_answer_is_near_zero():
    heat = torch.zeros(1, 4, 4)
    heat[0, 1, 1] = 1
    sure = (heat * 2 - 1) * 12
    assert float(detector.focal_loss(sure, heat)) < 1e-3
    assert float(detector.focal_loss(-sure, heat)) > 10


def test_detector_export_takes_pictures_of_other_sizes(drawn_corpus: Corpus, tmp_path: Path):
    network = detector.build(drawn_corpus, num_pieces=4).network
    figures = detector.export(network, tmp_path / "face_detector.onnx", drawn_corpus)
    assert figures["parity_error"] < 1e-3
    assert FaceDetector(tmp_path / "face_detector.onnx").detect(np.zeros((100, 333, 3), np.uint8)) == []


def test_detector_loss_has_finite_gradients(drawn_corpus: Corpus):
    task = detector.build(drawn_corpus, num_pieces=4)
    loss, figures = task.loss(np.random.default_rng(0), 4, 0)
    loss.backward()
    assert all(bool(p.grad.isfinite().all()) for p in task.network.parameters() if p.grad is not None)
    assert set(figures) == {"centre", "size", "points"}


def test_landmark_numbers_of_a_mirrored_face_are_its_partners():
    assert (parser.MIRROR68[parser.MIRROR68] == np.arange(68)).all()
    assert parser.MIRROR68[[0, 8, 17, 27, 36, 39, 48, 60]].tolist() == [16, 8, 26, 27, 45, 42, 54, 64]


def test_parser_gives_classes_per_pixel_and_landmarks_inside_the_picture(drawn_corpus: Corpus, tmp_path: Path):
    task = parser.build(drawn_corpus)
    loss, _ = task.loss(np.random.default_rng(0), 4, 0)
    loss.backward()
    network = task.network.eval()
    with torch.no_grad():
        labels, points = network(torch.zeros(2, 3, 128, 128))
    assert labels.shape == (2, 10, 128, 128)
    assert points.shape == (2, 68, 2)
    assert 0 <= float(points.min()) <= float(points.max()) <= 128
    assert parser.export(network, tmp_path / "face_parser.onnx", drawn_corpus)["parity_error"] < 1e-3


def test_parser_batch_moves_labels_with_the_picture(drawn_corpus: Corpus):
    images, labels, points = parser.build(drawn_corpus).batch(np.random.default_rng(0), 6)
    bright = images.amin(dim=1) > 0.6
    assert float((labels[bright] == 4).float().mean()) > float((labels == 4).float().mean()) * 5  # drawn eyes are white
    assert points.shape == (6, 68, 2)
