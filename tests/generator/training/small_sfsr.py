"""A small SFSR training on drawn heads: every part is real, and a step takes milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from generator.denoiser import SFSRDenoiser
from generator.patch_autoencoder import PatchAutoencoder
from generator.training.autoencoder import patch_moments
from generator.training.corpus import Corpus
from generator.training.nets import Embedder, Trunk
from generator.training.perceptual import PerceptualLosses
from generator.training.sfsr import SFSRConfig, SFSRNetwork, SFSRTask
from generator.training.sfsr_pairs import encode_corpus
from tests.generator.tiny import CONDITIONS, condition_encoder, unet


def silent(line: str) -> None:
    """Says nothing."""


def small_autoencoder(corpus: Corpus) -> PatchAutoencoder:
    """An autoencoder of four channels, fitted to the corpus."""
    network = PatchAutoencoder(channels=4, size=128, width=8)
    network.fit(*patch_moments(corpus))
    return network.eval()


def embedder(dim: int, seed: int) -> nn.Module:
    """A random recogniser."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Embedder(Trunk("residual", (8, 8, 8, 8), (1, 1, 1)), dim).eval()


def small_perceptual(autoencoder: PatchAutoencoder, *, identity_weight: float = 0.003, expression_weight: float = 0.01) -> PerceptualLosses:
    """Losses by random recognisers of the small widths."""
    recognisers = {name: embedder(dim, seed) for seed, (name, dim) in enumerate(CONDITIONS.identity_dims.items())}
    return PerceptualLosses(
        autoencoder, recognisers, embedder(CONDITIONS.expression_dim, 9), identity_weight=identity_weight, expression_weight=expression_weight
    )


def small_task(corpus: Corpus, folder: Path, config: SFSRConfig | None = None) -> SFSRTask:
    """The training task with random embeddings in place of the encoders'."""
    config = config or SFSRConfig()
    draw = np.random.default_rng(0)
    embeddings = {name: draw.standard_normal((2, len(corpus), dim), dtype=np.float32) for name, dim in CONDITIONS.identity_dims.items()}
    embeddings = {name: rows / np.linalg.norm(rows, axis=-1, keepdims=True) for name, rows in embeddings.items()}
    embeddings["expression"] = draw.standard_normal((2, len(corpus), CONDITIONS.expression_dim), dtype=np.float32)
    autoencoder = small_autoencoder(corpus)
    network = SFSRNetwork(condition_encoder(), SFSRDenoiser(unet()))
    perceptual = small_perceptual(autoencoder) if config.perceptual_every else None
    return SFSRTask(corpus, encode_corpus(corpus, autoencoder, folder, say=silent), embeddings, network, config, perceptual=perceptual)
