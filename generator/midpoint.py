"""Training losses on a two-step estimate of the denoised latents: midpoint sampling and the loss terms of DiffSFSR."""

# B rows, C h w latents, E embedding width
#
# Notation of DiffSFSR, section 3.3, and Ho et al. (2020):
#   z_t     noisy latents, z_t = sqrt(ab_t) z_0 + sqrt(1 - ab_t) eps
#   ab_t    cumulative product of alpha up to timestep t; here `a_t`, and `a_m` at the midpoint t1 = floor(t / 2)
#   r       a_t / a_m, what is left of z_t1's signal in z_t
# Every `a` is a tensor that broadcasts against the latents, (B, 1, 1, 1).

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Variant = Literal["diffswap", "posterior_mean", "posterior_sample", "ddim"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

IDENTITY_WEIGHT = 0.003  # lambda_1 and lambda_2 of DiffSFSR, section 4
EXPRESSION_WEIGHT = 0.01


def epsilon_from_velocity(velocity: Tensor, z_t: Tensor, a_t: Tensor) -> Tensor:
    """Noise of a velocity v = sqrt(a) eps - sqrt(1 - a) z_0; Salimans & Ho (2022), appendix D."""
    return a_t.sqrt() * velocity + (1 - a_t).sqrt() * z_t


def velocity_from_epsilon(epsilon: Tensor, z_t: Tensor, a_t: Tensor) -> Tensor:
    """Velocity of a noise estimate, the inverse of epsilon_from_velocity; a_t > 0."""
    return (epsilon - (1 - a_t).sqrt() * z_t) / a_t.sqrt()


def z0_estimate(z_t: Tensor, epsilon: Tensor, a_t: Tensor) -> Tensor:
    """Denoised latents by one step: eq. 1 of DiffSFSR solved for z_0."""
    return (z_t - (1 - a_t).sqrt() * epsilon) / a_t.sqrt()


def midpoint(z_t: Tensor, epsilon: Tensor, a_t: Tensor, a_m: Tensor, *, variant: Variant, noise: Tensor) -> Tensor:
    """Latents at the midpoint timestep from latents at t and the noise predicted there; (B, C, h, w) each.

    noise  (B, C, h, w) standard normal; used by `posterior_sample` only

    diffswap          eq. 8: takes the noise between z_0 and z_t for the one between z_t1 and z_t
    posterior_mean    the paper's repeated DDPM means from t to t1, in closed form: the mean of q(z_t1 | z_t, z_0)
    posterior_sample  a draw from that posterior; the only variant besides ddim whose z_t1 is as noisy as the network expects there
    ddim              the deterministic step of Song et al. (2021)
    """
    r = a_t / a_m
    if variant == "diffswap":
        return (z_t - (1 - r).sqrt() * epsilon) / r.sqrt()
    z_0 = z0_estimate(z_t, epsilon, a_t)
    if variant == "ddim":
        return a_m.sqrt() * z_0 + (1 - a_m).sqrt() * epsilon
    mean = (a_m.sqrt() * (1 - r) * z_0 + r.sqrt() * (1 - a_m) * z_t) / (1 - a_t)
    if variant == "posterior_mean":
        return mean
    return mean + ((1 - a_m) * (1 - r) / (1 - a_t)).sqrt() * noise


def midpoint_z0(z_m: Tensor, epsilon_m: Tensor, a_m: Tensor) -> Tensor:
    """z_0*, eq. 9 of DiffSFSR: denoised latents from the midpoint's latents and the noise predicted there."""
    return z0_estimate(z_m, epsilon_m, a_m)


def denoising_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """L_DM, eq. 3: mean squared error of the predicted noise."""
    return F.mse_loss(predicted, target)


def identity_loss(made: Tensor, asked: Tensor) -> Tensor:
    """L_id, eq. 5: 1 - cosine of identity embeddings (B, E), averaged over rows."""
    return (1 - F.cosine_similarity(made, asked, dim=-1)).mean()


def expression_loss(made: Tensor, asked: Tensor) -> Tensor:
    """L_exp, eq. 6: mean squared error of expression embeddings (B, E)."""
    return F.mse_loss(made, asked)


def total_loss(denoising: Tensor, identity: Tensor, expression: Tensor) -> Tensor:
    """L, eq. 7, with the paper's weights."""
    return denoising + IDENTITY_WEIGHT * identity + EXPRESSION_WEIGHT * expression


def midpoint_timestep(timestep: Tensor) -> Tensor:
    """t1 = floor(t / 2), (B,) int64."""
    return torch.div(timestep, 2, rounding_mode="floor")
