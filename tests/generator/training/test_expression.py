from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from generator.training import estimator, expression
from generator.training.corpus import BASICS, Corpus
from generator.training.export import open_session
from generator.training.expression_labels import AFFECTNET8, BASIC_TO_AFFECTNET8, MIRROR, affectnet8, mirror_pose, mirror_units, valence_arousal
from generator.training.identity import RECOGNISERS, build_embedder
from generator.training.settle import settle


def test_mirroring_twice_changes_nothing():
    assert (MIRROR[MIRROR] == np.arange(34)).all()
    units = np.random.default_rng(0).random((5, 35)).astype(np.float32)
    flip = np.array([True, True, False, True, False])
    once = mirror_units(units, flip)
    assert np.array_equal(mirror_units(once, flip), units)
    assert np.array_equal(once[0, [0, 3, 6, 10, 30, 32]], units[0, [3, 0, 10, 6, 32, 30]])
    assert once[0, 34] == -units[0, 34]


def test_mirrored_head_turns_and_tilts_the_other_way():
    assert mirror_pose(np.array([[10, 5, -3]], dtype=np.float32), np.array([True])).tolist() == [[-10, 5, 3]]


def test_categories_are_renumbered_by_name():
    assert [AFFECTNET8[k] for k in BASIC_TO_AFFECTNET8] == list(BASICS)


def test_valence_and_arousal_are_zero_for_neutral_and_bounded(drawn_corpus: Corpus):
    ratings = valence_arousal(drawn_corpus)
    assert np.abs(ratings).max() <= 1
    assert (ratings[drawn_corpus.basic == BASICS.index("neutral")] == 0).all()
    assert (ratings[drawn_corpus.basic == BASICS.index("happiness"), 0] > 0).all()
    assert (affectnet8(drawn_corpus)[drawn_corpus.basic == BASICS.index("sadness")] == AFFECTNET8.index("sadness")).all()


def test_identity_branch_of_the_encoder_is_frozen(drawn_corpus: Corpus):
    task = expression.build(drawn_corpus, build_embedder(RECOGNISERS["identity_arc"]))
    before = {k: v.clone() for k, v in task.network.encoder.identity.state_dict().items()}
    task.network.train()
    loss, _ = task.loss(np.random.default_rng(0), 12, 0)
    loss.backward()
    assert all(p.grad is None for p in task.network.encoder.identity.parameters())
    assert all(torch.equal(v, before[k]) for k, v in task.network.encoder.identity.state_dict().items())


def test_standardised_encoder_survives_saving_and_exporting(drawn_corpus: Corpus, tmp_path: Path):
    task = expression.build(drawn_corpus, build_embedder(RECOGNISERS["identity_arc"]))
    encoder = task.network.encoder.eval()
    rows = drawn_corpus.rows(np.arange(24))
    expression.standardise(encoder, rows)
    settle(task, replace(expression.loop_config(1), batch_size=12, bf16=False), tmp_path, num_batches=1)
    loaded = expression.load_network(expression.NAME, tmp_path)
    assert np.allclose(expression.encode(loaded, rows), expression.encode(encoder, rows), atol=1e-5)
    expression.standardise(loaded, rows)
    embedding = expression.encode(loaded, rows)
    assert np.allclose(embedding.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(embedding.std(axis=0, ddof=1), 1, atol=1e-3)
    figures = expression.export(loaded, tmp_path / "encoder.onnx", drawn_corpus)
    assert figures["parity_error"] < 1e-3


def test_estimator_exports_four_named_outputs_in_their_ranges(drawn_corpus: Corpus, tmp_path: Path):
    network = estimator.build(drawn_corpus).network.eval()
    estimator.export(network, tmp_path / "estimator.onnx", drawn_corpus)
    session = open_session(tmp_path / "estimator.onnx")
    out = session.run(None, {"input": np.zeros((2, 3, 112, 112), np.float32)})
    assert [(o.name, a.shape) for o, a in zip(session.get_outputs(), out, strict=True)] == [
        ("units", (2, 35)), ("basic", (2, 8)), ("valence_arousal", (2, 2)), ("pose_deg", (2, 3)),
    ]  # fmt: skip
    assert np.abs(out[2]).max() <= 1


def test_estimated_roll_is_given_as_in_the_picture(drawn_corpus: Corpus):
    class Upright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(torch.zeros(len(x), width) for width in (35, 8, 2, 3))

    angle = np.radians(8)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corpus = drawn_corpus.rows(np.arange(3))
    turned = (corpus.landmarks5_px - 64) @ rotation.T + 64
    upright = estimator.estimate(Upright(), corpus)["pose_deg"]
    tilted = estimator.estimate(Upright(), replace(corpus, landmarks5_px=turned.astype(np.float32)))["pose_deg"]
    assert np.allclose(tilted - upright, [0, 0, 8], atol=1e-3)
