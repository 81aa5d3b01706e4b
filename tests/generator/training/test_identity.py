from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generator.training.corpus import Corpus
from generator.training.identity import RECOGNISERS, Loss, RecogniserTask, build, load_network, loop_config
from generator.training.loop import train
from generator.training.settle import settle
from generator.training.verification import equal_error_rate, swap_figures, verification_figures
from manifests.errors import ConfigError, InputError
from tests.generator.training.drawn import write_shard

SMALL = replace(RECOGNISERS["identity_metric"], widths=(8, 8, 16), depths=(1, 1), dim=16, pictures_per_identity=2)


def silent(text: str) -> None:
    del text


@pytest.mark.parametrize("loss", ["arc", "contrast", "triplet", "contrast_cos"])
def test_every_loss_gives_finite_gradients(drawn_corpus: Corpus, loss: Loss):
    task = RecogniserTask("small", drawn_corpus, replace(SMALL, loss=loss))
    value, figures = task.loss(np.random.default_rng(0), 8, 0)
    value.backward()
    gradients = [p.grad for p in task.network.embedder.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(g.isfinite().all()) for g in gradients)
    assert set(figures) == {"apart", "attribute"}


def test_conditioners_and_auditor_learn_from_different_identities(drawn_corpus: Corpus):
    conditioner, auditor = build(drawn_corpus, "identity_arc").corpus, build(drawn_corpus, "auditor").corpus
    assert set(conditioner.identity.tolist()) == set(range(12))
    assert set(auditor.identity.tolist()) == set(range(60, 68))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed file:ResourceWarning")
def test_gate_alone_learns_from_people_of_further_shards(drawn_corpus: Corpus, tmp_path: Path):
    strangers = replace(drawn_corpus.rows(np.arange(3)), identity=np.array([900, 900, 901]))
    write_shard(strangers, tmp_path / "more-000000.tar")
    assert set(build(drawn_corpus, "gate", tmp_path).corpus.identity.tolist()) == {*range(12), 900, 901}
    for name in ("gate", "identity_arc"):
        alone = build(drawn_corpus, name, tmp_path / "elsewhere" if name == "gate" else tmp_path)
        assert set(alone.corpus.identity.tolist()) == set(range(12))
    with pytest.raises(InputError, match="people are in two families of shards, such as"):
        drawn_corpus.joined(drawn_corpus.rows(np.arange(2)))


def test_interrupted_training_ends_with_the_same_bytes(drawn_corpus: Corpus, tmp_path: Path):
    def run(folder: Path, *stops: int) -> bytes:
        for steps in stops:
            config = replace(loop_config("identity_metric", 3), batch_size=8, save_every_s=0, final_fraction=1.0, warmup_steps=1, bf16=False)
            task = RecogniserTask("small", drawn_corpus, SMALL)
            train(task, replace(config, steps=steps), folder, say=silent)
        settle(task, config, folder, num_batches=2)
        return (folder / "small.safetensors").read_bytes()

    assert run(tmp_path / "whole", 3) == run(tmp_path / "parts", 1, 3)


def test_saved_recogniser_loads_without_its_training_heads(drawn_corpus: Corpus, tmp_path: Path):
    task = build(drawn_corpus, "identity_arc")
    settle(task, replace(loop_config("identity_arc", 1), batch_size=8), tmp_path, num_batches=1)
    network = load_network("identity_arc", tmp_path)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_unknown_recogniser_is_named_in_the_error(drawn_corpus: Corpus):
    with pytest.raises(ConfigError, match='"identity_ark" is not one of identity_arc, '):
        build(drawn_corpus, "identity_ark")


def test_equal_error_rate_of_separated_and_of_equal_scores():
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2]))[0] == pytest.approx(0, abs=0.26)
    scores = np.linspace(0, 1, 101)
    assert equal_error_rate(scores, scores)[0] == pytest.approx(0.5, abs=0.01)


def test_perfect_embedding_has_rank_one_of_one():
    embedding = np.eye(4).repeat(2, axis=0) * 7
    figures = verification_figures(embedding, np.arange(4).repeat(2))
    assert figures["rank1"] == 1
    assert figures["mated_cosine"] == pytest.approx(1)
    assert figures["non_mated_cosine"] == pytest.approx(0)


def test_swap_figures_tell_an_encoder_of_faces_from_one_of_backgrounds():
    faces, backgrounds = np.eye(6)[:3], np.eye(6)[3:]
    assert swap_figures(faces, faces, backgrounds)["swap_prefers_identity"] == 1
    assert swap_figures(backgrounds, faces, backgrounds)["swap_prefers_identity"] == 0
