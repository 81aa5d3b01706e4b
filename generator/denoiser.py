"""The noise predictor of SFSR: diffusers' UNet with background latents beside the noisy ones and condition tokens as context."""

# B rows, C latent channels, h w latent cells, L tokens, D token width

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class DenoiserInputs:
    """Everything the denoiser needs beside noisy latents and timestep.

    context             (B, L, D) condition tokens
    background_latents  (B, C, h, w) latents of the background picture with its face area emptied
    mask                (B, 1, h, w) share of each cell that is to be filled, 0..1; used by (2C + 1)-channel denoisers
    """

    context: Tensor
    background_latents: Tensor
    mask: Tensor


class SFSRDenoiser(nn.Module):
    """UNet over [noisy latents | mask | background latents]: 2C + 1 channels, or 2C without the mask.

    The order is the one of Stable Diffusion's inpainting UNets, so that their weights fit. DiffSFSR, section 3.2, eq. 4.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet
        latent_channels = unet.config.out_channels
        given = unet.config.in_channels
        if given not in (2 * latent_channels, 2 * latent_channels + 1):
            raise ValueError(f"UNet takes {given} channels; {2 * latent_channels} (no mask) or {2 * latent_channels + 1} (mask) are needed; see widen_conv_in")
        self.has_mask_channel = given == 2 * latent_channels + 1

    def forward(self, latents: Tensor, timestep: Tensor, inputs: DenoiserInputs) -> Tensor:
        """The network's prediction (noise or velocity, as trained) for latents (B, C, h, w) at timestep (B,)."""
        channels = [latents, inputs.mask, inputs.background_latents] if self.has_mask_channel else [latents, inputs.background_latents]
        x = torch.cat([c.to(latents.dtype) for c in channels], dim=1)
        prediction: Tensor = self.unet(x, timestep, encoder_hidden_states=inputs.context, return_dict=False)[0]
        return prediction


def widen_conv_in(unet: UNet2DConditionModel, *, in_channels: int) -> UNet2DConditionModel:
    """Gives a text-to-image UNet more input channels; the new ones start at zero, so its output does not change.

    Works in place and returns the UNet. Raises ValueError when the UNet already takes more channels.
    """
    old = unet.conv_in
    if old.in_channels == in_channels:
        return unet
    if old.in_channels > in_channels:
        raise ValueError(f"UNet takes {old.in_channels} channels already, more than the {in_channels} asked for")
    new = nn.Conv2d(in_channels, old.out_channels, old.kernel_size, old.stride, old.padding).to(old.weight)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        assert new.bias is not None and old.bias is not None
        new.bias.copy_(old.bias)
    unet.conv_in = new
    unet.register_to_config(in_channels=in_channels)
    return unet


def bundled_unet() -> UNet2DConditionModel:
    """The untrained UNet of the bundled model: 16 x 16 latents of 16 channels, background and mask beside them."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=33,
        out_channels=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(192, 320),
        layers_per_block=1,
        cross_attention_dim=256,
        attention_head_dim=5,  # subtle: diffusers reads this as the number of heads
        norm_num_groups=32,
    )
