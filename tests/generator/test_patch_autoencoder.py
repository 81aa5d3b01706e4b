from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from generator.patch_autoencoder import PATCH, PatchAutoencoder
from manifests.errors import WeightsError


def images(count: int, size: int = 32) -> torch.Tensor:
    smooth = torch.randn(count, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return F.interpolate(smooth, size=size, mode="bicubic").clamp(-1, 1)


def fitted(channels: int) -> PatchAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = PatchAutoencoder(channels=channels, size=32, width=8).eval()
    patches = F.pixel_unshuffle(images(64), PATCH).permute(0, 2, 3, 1).reshape(-1, 3 * PATCH * PATCH)
    autoencoder.fit(patches.mean(0), torch.cov(patches.T))
    return autoencoder


def test_latents_have_unit_variance_and_no_correlation():
    latents = fitted(6).encode(images(64)).permute(1, 0, 2, 3).flatten(1)
    torch.testing.assert_close(torch.cov(latents), torch.eye(6), rtol=0.02, atol=0.02)


def test_more_components_keep_more_of_the_picture():
    errors = [float((a.decode(a.encode(images(8))) - images(8)).square().mean().detach()) for a in (fitted(2), fitted(8), fitted(32))]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 3e-3


def test_a_fresh_correction_changes_nothing():
    autoencoder = fitted(8)
    latents = autoencoder.encode(images(2))
    with torch.inference_mode():
        assert torch.equal(autoencoder.decode(latents), autoencoder.decode_linear(latents))


def test_shapes():
    autoencoder = fitted(8)
    assert autoencoder.factor == PATCH
    assert autoencoder.latent_shape == (8, 4, 4)
    assert autoencoder.encode(images(3)).shape == (3, 8, 4, 4)


@pytest.mark.parametrize("half", [False, True])
def test_the_linear_code_is_kept_exactly_and_the_correction_as_asked(tmp_path, half):
    autoencoder = fitted(8)
    autoencoder.save(tmp_path, half=half)
    read = PatchAutoencoder.load(tmp_path)
    for name, tensor in autoencoder.state_dict().items():
        kept = tensor.half().float() if half and name.startswith("refine.") else tensor
        assert torch.equal(read.state_dict()[name], kept), name


def test_damaged_folders_are_named(tmp_path):
    with pytest.raises(WeightsError, match="can't be read"):
        PatchAutoencoder.load(tmp_path / "none")
    fitted(8).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "channels": 9}))
    with pytest.raises(WeightsError, match="can't be read"):
        PatchAutoencoder.load(tmp_path)
