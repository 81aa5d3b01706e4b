from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.patch_autoencoder import PatchAutoencoder
from generator.training.augment import to_unit
from generator.training.autoencoder import patch_moments
from generator.training.corpus import Corpus
from generator.training.sfsr_pairs import Lenders, encode_corpus, training_holes
from manifests.face_mask import face_mask


def silent(line: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(8))


@pytest.fixture(scope="module")
def autoencoder(few: Corpus) -> PatchAutoencoder:
    network = PatchAutoencoder(channels=4, size=128, width=8)
    network.fit(*patch_moments(few))
    return network.eval()


def test_holes_cover_the_own_face_and_more(few: Corpus):
    own = np.stack([face_mask(labels, points) for labels, points in zip(few.labels, few.landmarks68_px, strict=True)])
    for variant in (0, 1):
        holes = training_holes(few, variant)
        assert holes.dtype == np.uint8
        assert (holes >= own).all()
        assert (holes.sum(axis=(1, 2)) > own.sum(axis=(1, 2))).all()
        assert np.array_equal(holes, training_holes(few, variant))


def test_second_variant_holds_areas_of_others_too(drawn_corpus: Corpus):
    labels = drawn_corpus.labels.copy()
    labels[::2] = np.where(labels[::2] == 1, 0, labels[::2])  # every second one has hardly a face
    mixed = dataclasses.replace(drawn_corpus, labels=labels)
    own, joined = (training_holes(mixed, variant)[::2].mean(axis=(1, 2)) for variant in (0, 1))
    assert 0.1 < (joined > 2 * own).mean() < 0.9  # who is likest in pose may be one of the faceless


def test_latents_are_those_of_the_pictures_and_their_mirror_images(few: Corpus, autoencoder: PatchAutoencoder, tmp_path: Path):
    encoded = encode_corpus(few, autoencoder, tmp_path, batch=3, say=silent)
    assert encoded.latents.shape == (2, 8, 4, 16, 16)
    assert encoded.backgrounds.shape == (2, 2, 8, 4, 16, 16)
    assert encoded.masks.shape == (2, 2, 8, 1, 16, 16)
    images = to_unit(few.images_rgb)
    for side, pictures in enumerate((images, images.flip(-1))):
        assert torch.allclose(encoded.latents[side].float(), autoencoder.encode(pictures), atol=0.1)
    assert torch.equal(encoded.masks[:, 1], encoded.masks[:, 0].flip(-1))
    assert 0 <= float(encoded.masks.min()) < float(encoded.masks.max()) == 1


def test_backgrounds_tell_nothing_of_the_face(few: Corpus, autoencoder: PatchAutoencoder, tmp_path: Path):
    images = few.images_rgb.copy()
    images[few.labels == 1] = 0  # another skin
    for folder in ("plain", "other"):
        (tmp_path / folder).mkdir()
    plain = encode_corpus(few, autoencoder, tmp_path / "plain", say=silent)
    other = encode_corpus(dataclasses.replace(few, images_rgb=images), autoencoder, tmp_path / "other", say=silent)
    assert torch.equal(plain.backgrounds, other.backgrounds)
    assert not torch.equal(plain.latents, other.latents)


def test_encoding_is_kept_and_read_again(few: Corpus, autoencoder: PatchAutoencoder, tmp_path: Path):
    first = encode_corpus(few, autoencoder, tmp_path, say=silent)
    lines: list[str] = []
    again = encode_corpus(few, autoencoder, tmp_path, say=lines.append)
    assert torch.equal(first.latents, again.latents)
    assert lines == []
    assert len(list(tmp_path.iterdir())) == 1


def test_lenders_are_another_picture_of_the_person_and_another_person_with_the_expression(drawn_corpus: Corpus):
    lenders = Lenders.of(drawn_corpus)
    rows = np.arange(len(drawn_corpus))
    identity, expression = lenders.pick(rows, np.random.default_rng(0))
    assert (identity != rows).all()
    assert (drawn_corpus.identity[identity] == drawn_corpus.identity).all()
    assert (expression != rows).all()
    assert (drawn_corpus.expression[expression] == drawn_corpus.expression).all()
    assert (drawn_corpus.identity[expression] != drawn_corpus.identity).all()


def test_a_picture_without_partner_lends_to_itself(drawn_corpus: Corpus):
    alone = drawn_corpus.rows(np.array([0, 3, 7]))
    identity, expression = Lenders.of(alone).pick(np.arange(3), np.random.default_rng(0))
    assert identity.tolist() == expression.tolist() == [0, 1, 2]
