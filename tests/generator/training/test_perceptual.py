from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.training.augment import crop_affine, to_unit, warp
from generator.training.corpus import Corpus
from generator.training.perceptual import PerceptualLosses, PerceptualRows
from generator.training.sfsr import alphas_cumprod
from tests.generator.tiny import unet
from tests.generator.training.small_sfsr import small_autoencoder, small_perceptual

ROWS = 3


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(0, 3 * ROWS, 3))


def inputs() -> DenoiserInputs:
    draw = torch.Generator().manual_seed(0)
    return DenoiserInputs(
        context=torch.randn(ROWS, 6, 16, generator=draw),
        background_latents=torch.randn(ROWS, 4, 16, 16, generator=draw),
        mask=torch.ones(ROWS, 1, 16, 16),
    )


def seen_rows(losses: PerceptualLosses, pictures: Tensor, corpus: Corpus) -> PerceptualRows:
    """What the nets of `losses` see in pictures."""
    crops = warp(pictures, crop_affine(corpus.landmarks5_px, None), 112)
    with torch.no_grad():
        identity = {name: F.normalize(net(crops)) for name, net in losses.recognisers.items()}
        return PerceptualRows(identity=identity, expression=losses.expression_encoder(crops), landmarks5_px=corpus.landmarks5_px)


def measured(losses: PerceptualLosses, corpus: Corpus, rows: PerceptualRows, denoiser: SFSRDenoiser, timestep: int = 0) -> dict[str, Tensor]:
    latents = losses.autoencoder.encode(to_unit(corpus.images_rgb))
    times = torch.full((ROWS,), timestep)
    velocity = denoiser(latents, times, inputs())
    return losses(denoiser, inputs(), latents, times, velocity, rows, alphas_cumprod(), np.random.default_rng(0))


def test_a_picture_of_the_lender_costs_less_than_one_of_somebody_else(few: Corpus):
    losses = small_perceptual(small_autoencoder(few))
    denoiser = SFSRDenoiser(unet())
    own = losses.autoencoder.decode(losses.autoencoder.encode(to_unit(few.images_rgb)))
    right = measured(losses, few, seen_rows(losses, own, few), denoiser)
    wrong = measured(losses, few, seen_rows(losses, -own, few), denoiser)
    for name in ("identity", "expression"):
        assert -1e-6 < float(right[name].detach()) < float(wrong[name].detach())


def test_terms_scale_with_their_weights(few: Corpus):
    autoencoder = small_autoencoder(few)
    denoiser = SFSRDenoiser(unet())
    once, twice = (small_perceptual(autoencoder, identity_weight=w, expression_weight=w) for w in (0.5, 1.0))
    rows = seen_rows(once, -to_unit(few.images_rgb), few)
    a, b = measured(once, few, rows, denoiser, 500), measured(twice, few, rows, denoiser, 500)
    assert all(torch.isclose(2 * a[name], b[name]) for name in a)


def test_gradients_reach_the_denoiser_and_nothing_that_is_frozen(few: Corpus):
    losses = small_perceptual(small_autoencoder(few))
    denoiser = SFSRDenoiser(unet())
    terms = measured(losses, few, seen_rows(losses, -to_unit(few.images_rgb), few), denoiser, 600)
    (terms["identity"] + terms["expression"]).backward()
    assert sum(float(p.grad.abs().sum()) for p in denoiser.parameters() if p.grad is not None) > 0
    for frozen in (losses.autoencoder, losses.expression_encoder, *losses.recognisers.values()):
        assert all(p.grad is None for p in frozen.parameters())
