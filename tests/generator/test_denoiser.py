from __future__ import annotations

import dataclasses

import pytest
import torch

from generator.denoiser import DenoiserInputs, SFSRDenoiser, widen_conv_in
from tests.generator import tiny


def inputs(count: int) -> DenoiserInputs:
    draw = torch.Generator().manual_seed(0)
    return DenoiserInputs(
        context=torch.randn(count, 3, 16, generator=draw),
        background_latents=torch.randn(count, 4, 8, 8, generator=draw),
        mask=torch.rand(count, 1, 8, 8, generator=draw),
    )


def latents(count: int) -> torch.Tensor:
    return torch.randn(count, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("in_channels", [8, 9])
def test_a_widened_unet_predicts_what_the_published_one_does(in_channels):
    published = tiny.unet(in_channels=4)
    denoiser = SFSRDenoiser(widen_conv_in(tiny.unet(in_channels=4), in_channels=in_channels))
    timestep = torch.tensor([0, 999])
    with torch.inference_mode():
        expected = published(latents(2), timestep, encoder_hidden_states=inputs(2).context).sample
        torch.testing.assert_close(denoiser(latents(2), timestep, inputs(2)), expected, rtol=1e-5, atol=1e-5)
    assert denoiser.unet.config.in_channels == in_channels
    assert denoiser.has_mask_channel == (in_channels == 9)


def test_new_channels_can_be_learned():
    denoiser = SFSRDenoiser(widen_conv_in(tiny.unet(in_channels=4), in_channels=9))
    denoiser(latents(1), torch.tensor([3]), inputs(1)).square().mean().backward()
    assert denoiser.unet.conv_in.weight.grad[:, 4:].abs().min() > 0


def test_channels_are_in_the_order_of_published_inpainting_networks():
    denoiser = SFSRDenoiser(tiny.unet(in_channels=9))
    seen = []
    denoiser.unet.conv_in.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    given = inputs(2)
    with torch.inference_mode():
        denoiser(latents(2), torch.tensor([3, 4]), given)
    assert torch.equal(seen[0], torch.cat([latents(2), given.mask, given.background_latents], dim=1))  # as diffusers' inpainting pipeline


def test_without_a_mask_channel_the_mask_is_not_seen():
    denoiser = SFSRDenoiser(tiny.unet(in_channels=8))
    timestep, given = torch.tensor([3, 4]), inputs(2)
    blank = dataclasses.replace(given, mask=torch.zeros_like(given.mask))
    with torch.inference_mode():
        assert torch.equal(denoiser(latents(2), timestep, given), denoiser(latents(2), timestep, blank))


def test_other_channel_counts_are_refused():
    with pytest.raises(ValueError, match="UNet takes 4 channels; 8 .* or 9"):
        SFSRDenoiser(tiny.unet(in_channels=4))
    with pytest.raises(ValueError, match="takes 9 channels already"):
        widen_conv_in(tiny.unet(in_channels=9), in_channels=8)


def test_widening_to_the_same_width_is_nothing():
    unet = tiny.unet(in_channels=9)
    before = unet.conv_in
    assert widen_conv_in(unet, in_channels=9).conv_in is before
