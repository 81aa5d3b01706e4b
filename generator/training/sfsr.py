"""Trains the SFSR denoiser: background of the picture itself, identity of another picture, expression of another person."""

# B rows, C h w latents, V background variants

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.conditions import ConditionEncoder
from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.training.corpus import Corpus
from generator.training.perceptual import PerceptualLosses, PerceptualRows
from generator.training.sfsr_pairs import LatentCorpus, Lenders

NUM_TIMESTEPS = 1000


def alphas_cumprod() -> Tensor:
    """Stable Diffusion's noise schedule: cumulative products of 1 - beta, beta from 0.00085 to 0.012 linear in its root; (1000,)."""
    return torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, NUM_TIMESTEPS, dtype=torch.float64) ** 2, dim=0).float()


@dataclass(frozen=True, kw_only=True)
class SFSRConfig:
    """Choices of the SFSR training beside the loop's."""

    drop_identity: float = 0.08  # share of rows that see no identity, for guidance
    drop_expression: float = 0.08
    drop_both: float = 0.06
    outside_weight: float = 0.15  # weight of latent cells outside the face area, which the composite throws away
    channel_weight_cap: float = 3.0  # of a latent channel's weight, which is its share in the pixels' deviation relative to the mean
    snr_cap: float = 5.0  # min-SNR weighting, Hang et al. (2023), eq. 8 for velocity
    perceptual_every: int = 0  # 0: never; n: identity and expression losses on every n-th step
    perceptual_rows: int = 8
    identity_weight: float = 0.003  # DiffSFSR, eq. 7
    expression_weight: float = 0.01


@dataclass(frozen=True, kw_only=True)
class Batch:
    """B training rows: denoiser inputs, clean latents, and the lenders' embeddings."""

    inputs: DenoiserInputs
    latents: Tensor  # (B, C, h, w)
    identity: dict[str, Tensor]
    expression: Tensor
    landmarks5_px: NDArray[np.floating]

    def perceptual_rows(self, few: slice) -> PerceptualRows:
        """What the perceptual losses of some rows compare with."""
        identity = {name: embedding[few] for name, embedding in self.identity.items()}
        return PerceptualRows(identity=identity, expression=self.expression[few], landmarks5_px=self.landmarks5_px[few])


class SFSRNetwork(nn.Module):
    """Condition encoder and denoiser as one trainable thing."""

    def __init__(self, conditions: ConditionEncoder, denoiser: SFSRDenoiser) -> None:
        super().__init__()
        self.conditions = conditions
        self.denoiser = denoiser


class SFSRTask:
    """Velocity prediction on corpus latents with min-SNR weights, and the paper's perceptual losses on some steps."""

    name = "sfsr"

    def __init__(self, corpus: Corpus, latents: LatentCorpus, embeddings: Mapping[str, NDArray[np.float32]], network: SFSRNetwork,
                 config: SFSRConfig, *, channel_scale: Tensor | None = None, perceptual: PerceptualLosses | None = None) -> None:  # fmt: skip
        self.corpus, self.latents, self.config = corpus, latents, config
        self.network = network
        self.identity = {name: torch.from_numpy(embeddings[name]) for name in network.conditions.config.identity_dims}
        self.expression = torch.from_numpy(embeddings["expression"])
        self.lenders = Lenders.of(corpus)
        self.alphas = alphas_cumprod()
        # subtle: in whitened latents every channel is equally loud, but the first few carry the face and the last few its finest detail
        scale = torch.ones(latents.latents.shape[2]) if channel_scale is None else channel_scale
        self.channel_weight = (scale / scale.mean()).clamp(max=config.channel_weight_cap)[None, :, None, None]
        self.perceptual = perceptual

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        rows = draw.integers(0, len(self.corpus), batch_size)
        batch = self.batch(rows, draw)
        inputs, latents = batch.inputs, batch.latents
        timestep = torch.from_numpy(((np.arange(batch_size) + draw.random()) / batch_size * NUM_TIMESTEPS).astype(np.int64))  # stratified
        noise = torch.from_numpy(draw.standard_normal(tuple(latents.shape), dtype=np.float32))
        a = self.alphas[timestep][:, None, None, None]
        noisy = a.sqrt() * latents + (1 - a).sqrt() * noise
        velocity = a.sqrt() * noise - (1 - a).sqrt() * latents
        predicted = self.network.denoiser(noisy, timestep, inputs)
        snr = a / (1 - a)
        weight = snr.clamp(max=self.config.snr_cap) / (snr + 1)
        squared = (predicted.float() - velocity) ** 2 * self.cell_weight(inputs.mask) * self.channel_weight
        # subtle: divided by the mean weight of the schedule, so that the perceptual terms keep the paper's proportions
        denoising = (squared * weight).mean() / 0.3
        figures = {"denoising": float(denoising.detach())}
        if self.perceptual is None or not self.config.perceptual_every or step % self.config.perceptual_every:
            return denoising, figures
        few = slice(None, None, max(1, batch_size // self.config.perceptual_rows))
        chosen = DenoiserInputs(context=inputs.context[few], background_latents=inputs.background_latents[few], mask=inputs.mask[few])
        terms = self.perceptual(self.network.denoiser, chosen, noisy[few], timestep[few], predicted[few], batch.perceptual_rows(few), self.alphas, draw)
        return denoising + torch.stack(list(terms.values())).sum(), {**figures, **{name: float(term.detach()) for name, term in terms.items()}}

    def cell_weight(self, mask: Tensor) -> Tensor:
        """Weight of each latent cell in a loss, (B, 1, h, w): 1 where something of it is to be filled."""
        return self.config.outside_weight + (1 - self.config.outside_weight) * (mask > 0.02).float()

    def batch(self, rows: NDArray[np.integer], draw: np.random.Generator) -> Batch:
        """Latents and conditions of corpus rows, half of them mirrored (picture, background and lenders alike)."""
        side = draw.integers(0, 2, len(rows))
        variant = draw.integers(0, len(self.latents.masks), len(rows))
        return self._lent(rows, side, variant, *self.lenders.pick(rows, draw), draw)

    def swaps(self, rows: NDArray[np.integer], draw: np.random.Generator) -> Batch:
        """Corpus rows with the identity of one person and the expression of another, drawn without regard to who is in the picture.

        Nobody has seen the answer, so `latents` are those of the background's own picture. Holes are the picture's own, as in use.
        """
        side = draw.integers(0, 2, len(rows))
        lenders = draw.integers(0, len(self.corpus), (2, len(rows)))
        return self._lent(rows, side, np.zeros_like(side), lenders[0], lenders[1], draw)

    def _lent(self, rows: NDArray[np.integer], side: NDArray[np.integer], variant: NDArray[np.integer], identity_rows: NDArray[np.integer],
              expression_rows: NDArray[np.integer], draw: np.random.Generator) -> Batch:  # fmt: skip
        count = len(rows)
        identity_side = draw.integers(0, 2, count)  # a mirrored face is the same person
        identity = {name: e[identity_side, identity_rows] for name, e in self.identity.items()}
        expression = self.expression[side, expression_rows]
        fate = draw.random(count)
        c = self.config
        both = fate < c.drop_both
        no_identity = both | ((fate >= c.drop_both) & (fate < c.drop_both + c.drop_identity))
        no_expression = both | ((fate >= c.drop_both + c.drop_identity) & (fate < c.drop_both + c.drop_identity + c.drop_expression))
        context = self.network.conditions(
            identity, expression, keep_identity=torch.from_numpy(~no_identity), keep_expression=torch.from_numpy(~no_expression)
        )
        points = self.corpus.landmarks5_px[rows].copy()
        mirrored = points[side == 1][:, [1, 0, 2, 4, 3]]
        points[side == 1] = mirrored * [-1, 1] + [self.corpus.images_rgb.shape[2], 0]
        inputs = DenoiserInputs(
            context=context,
            background_latents=self.latents.backgrounds[variant, side, rows].float(),
            mask=self.latents.masks[variant, side, rows].float(),
        )
        return Batch(inputs=inputs, latents=self.latents.latents[side, rows].float(), identity=identity, expression=expression, landmarks5_px=points)
