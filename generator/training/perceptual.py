"""Identity and expression losses on the picture that a midpoint step of the denoiser leads to."""

# B rows, C h w latents, H W pixels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.autoencoder import Autoencoder
from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.midpoint import Variant, epsilon_from_velocity, midpoint, midpoint_z0
from generator.training.augment import crop_affine, warp


@dataclass(frozen=True, kw_only=True)
class PerceptualRows:
    """What the losses of B rows compare with: embeddings of the lenders, and where the face is.

    identity name -> (B, E) unit; expression (B, 32); landmarks5_px (B, 5, 2) in the picture
    """

    identity: Mapping[str, Tensor]
    expression: Tensor
    landmarks5_px: NDArray[np.floating]


class PerceptualLosses:
    """lambda_id (1 - cos of identity embeddings) + lambda_exp MSE of expression embeddings, of the decoded z0*. DiffSFSR, eqs. 5-9."""

    def __init__(self, autoencoder: Autoencoder, recognisers: Mapping[str, nn.Module], expression_encoder: nn.Module, *,
                 identity_weight: float = 0.003, expression_weight: float = 0.01, variant: Variant = "posterior_sample") -> None:  # fmt: skip
        self.autoencoder = autoencoder.requires_grad_(False).eval()
        self.recognisers = {name: net.requires_grad_(False).eval() for name, net in recognisers.items()}
        self.expression_encoder = expression_encoder.requires_grad_(False).eval()
        self.identity_weight, self.expression_weight, self.variant = identity_weight, expression_weight, variant

    def __call__(self, denoiser: SFSRDenoiser, inputs: DenoiserInputs, noisy: Tensor, timestep: Tensor, velocity: Tensor, rows: PerceptualRows,
                 alphas: Tensor, draw: np.random.Generator) -> dict[str, Tensor]:  # fmt: skip
        """The two weighted terms for rows at `timestep` (B,), whose velocity was predicted already."""
        middle = timestep // 2
        a_t, a_m = alphas[timestep][:, None, None, None], alphas[middle][:, None, None, None]
        noise = torch.from_numpy(draw.standard_normal(tuple(noisy.shape), dtype=np.float32))
        epsilon = epsilon_from_velocity(velocity.float(), noisy, a_t)
        z_middle = midpoint(noisy, epsilon, a_t, a_m, variant=self.variant, noise=noise)
        epsilon_middle = epsilon_from_velocity(denoiser(z_middle, middle, inputs).float(), z_middle, a_m)
        return self.of_latents(midpoint_z0(z_middle, epsilon_middle, a_m), rows)

    def of_latents(self, latents: Tensor, rows: PerceptualRows) -> dict[str, Tensor]:
        """The two weighted terms of the pictures that clean latents (B, C, h, w) are."""
        pictures = self.autoencoder.decode(latents).float().clamp(-1.2, 1.2)
        crops = warp(pictures, crop_affine(rows.landmarks5_px, None), 112)
        cosines = [(F.normalize(net(crops).float()) * rows.identity[name]).sum(dim=1) for name, net in self.recognisers.items()]
        identity = (1 - torch.stack(cosines)).mean()
        expression = F.mse_loss(self.expression_encoder(crops).float(), rows.expression)
        return {"identity": self.identity_weight * identity, "expression": self.expression_weight * expression}
