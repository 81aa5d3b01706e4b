from __future__ import annotations

from pathlib import Path

import pytest

from generator.training.corpus import Corpus
from generator.training.reconstruction import measure_reconstruction
from jobs.bundle import BUNDLED
from tests.generator.training.small_sfsr import small_autoencoder


def test_likeness_and_expression_are_read_before_and_after(drawn_corpus: Corpus):
    figures = measure_reconstruction(small_autoencoder(drawn_corpus), drawn_corpus, BUNDLED)
    assert -1 <= figures["reconstruction_auditor_cosine"] <= 1 + 1e-6
    assert figures["portrait_expression_error"] > 0
    assert figures["reconstruction_expression_error"] > 0


def test_finer_code_keeps_more_of_the_likeness(drawn_corpus: Corpus):
    network = small_autoencoder(drawn_corpus)
    blurred = small_autoencoder(drawn_corpus)
    decode = blurred.decode
    blurred.decode = lambda latents: 0.05 * decode(latents)  # hardly anything is left of the picture
    found = [measure_reconstruction(each, drawn_corpus, BUNDLED)["reconstruction_auditor_cosine"] for each in (network, blurred)]
    assert found[0] > found[1]


def test_without_judges_there_is_nothing_to_measure(drawn_corpus: Corpus, tmp_path: Path):
    assert measure_reconstruction(small_autoencoder(drawn_corpus), drawn_corpus, tmp_path) == {}


@pytest.mark.parametrize("name", ["auditor", "identity_arc", "sfsr", "few_steps"])
def test_cards_of_trained_parts_name_their_seed(name: str):
    assert "| Seed | " in (BUNDLED / "cards" / f"{name}.md").read_text(encoding="utf-8")
