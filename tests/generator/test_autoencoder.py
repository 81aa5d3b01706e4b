from __future__ import annotations

import pytest
import torch

from generator.autoencoder import Autoencoder, KLAutoencoder
from tests.generator import tiny


def images(count: int, size: int = tiny.SIZE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_shapes_follow_the_published_configuration():
    autoencoder = KLAutoencoder(tiny.autoencoder_kl(), size=tiny.SIZE)
    assert autoencoder.factor == 2
    assert autoencoder.latent_shape == (4, 8, 8)
    with torch.inference_mode():
        latents = autoencoder.encode(images(2))
        assert latents.shape == (2, *autoencoder.latent_shape)
        assert autoencoder.decode(latents).shape == (2, 3, tiny.SIZE, tiny.SIZE)


def test_encoding_is_the_scaled_posterior_mean_and_draws_nothing():
    published = tiny.autoencoder_kl()
    autoencoder = KLAutoencoder(published, size=tiny.SIZE)
    with torch.inference_mode():
        expected = published.encode(images(2)).latent_dist.mean * published.config.scaling_factor
        assert torch.equal(autoencoder.encode(images(2)), expected)
        assert torch.equal(autoencoder.encode(images(2)), expected)


def test_decoding_undoes_the_scale():
    published = tiny.autoencoder_kl()
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(KLAutoencoder(published, size=tiny.SIZE).decode(latents * 0.5), published.decode(latents).sample)


def test_the_interface_alone_encodes_nothing():
    with pytest.raises(TypeError, match="Autoencoder does not define encode"):
        Autoencoder().encode(images(1))
    with pytest.raises(TypeError, match="Autoencoder does not define decode"):
        Autoencoder().decode(images(1))
