"""Images to latents and back: the interface of autoencoders, and diffusers' AutoencoderKL behind it."""

# B images, C latent channels, H W pixels, h w latent cells

from __future__ import annotations

from diffusers import AutoencoderKL
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Maps pictures to latents of about unit variance and back; encoding is deterministic.

    factor        pixels per latent cell and axis
    latent_shape  (C, h, w) of one picture's latents
    """

    factor: int
    latent_shape: tuple[int, int, int]

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in -1..1 to (B, C, h, w)."""
        raise TypeError(f"{type(self).__name__} does not define encode")

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, 3, H, W), about -1..1."""
        raise TypeError(f"{type(self).__name__} does not define decode")


class KLAutoencoder(Autoencoder):
    """Stable Diffusion's autoencoder as published: diffusers' AutoencoderKL with its scaling and shift factors."""

    def __init__(self, autoencoder: AutoencoderKL, *, size: int) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.factor = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        self.latent_shape = (autoencoder.config.latent_channels, size // self.factor, size // self.factor)
        self.scale = float(autoencoder.config.scaling_factor)
        self.shift = float(autoencoder.config.shift_factor or 0.0)

    def encode(self, images: Tensor) -> Tensor:
        """The posterior's mean, scaled."""
        latents: Tensor = self.autoencoder.encode(images, return_dict=False)[0].mode()
        return (latents - self.shift) * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of scaled latents."""
        images: Tensor = self.autoencoder.decode(latents / self.scale + self.shift, return_dict=False)[0]
        return images


