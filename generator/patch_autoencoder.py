"""The bundled autoencoder: principal components of 8 x 8 patches as latents, and a small network that sharpens their inverse."""

# B images, C latent channels, P = 3 * 8 * 8 numbers of a patch, H W pixels, h w latent cells

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from generator.autoencoder import Autoencoder
from manifests.errors import WeightsError

PATCH = 8


class PatchAutoencoder(Autoencoder):
    """Latents are whitened principal components of patches; the decoder adds a learned correction to the linear inverse.

    Portraits that are all aligned alike are nearly linear at this scale, so the code is found in closed form, and its latents need no
    training, are decorrelated and have unit variance. generator/training/README.md has the comparison with a convolutional autoencoder.
    The correction sees neighbouring cells and where in the portrait they are; its last layer starts at zero, so it starts as a no-op.
    """

    mean: Tensor  # (P,)
    components: Tensor  # (C, P), orthonormal rows
    deviation: Tensor  # (C,)

    def __init__(self, *, channels: int, size: int, width: int = 128) -> None:
        super().__init__()
        self.factor = PATCH
        self.latent_shape = (channels, size // PATCH, size // PATCH)
        self.width = width
        self.register_buffer("mean", torch.zeros(3 * PATCH * PATCH))
        self.register_buffer("components", torch.zeros(channels, 3 * PATCH * PATCH))
        self.register_buffer("deviation", torch.ones(channels))
        self.refine = Refine(channels, size // PATCH, width)

    def encode(self, images: Tensor) -> Tensor:
        """Whitened principal components of every patch."""
        patches = F.pixel_unshuffle(images.float(), PATCH)  # (B, P, h, w)
        weight = (self.components / self.deviation[:, None])[:, :, None, None]
        return F.conv2d(patches - self.mean[None, :, None, None], weight)

    def decode_linear(self, latents: Tensor) -> Tensor:
        """Pictures by the linear inverse alone."""
        weight = (self.components * self.deviation[:, None]).T[:, :, None, None].contiguous()
        return F.pixel_shuffle(F.conv2d(latents.float(), weight) + self.mean[None, :, None, None], PATCH)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures by the linear inverse and the learned correction."""
        return self.decode_linear(latents) + self.refine(latents).float()

    def fit(self, mean: Tensor, covariance: Tensor) -> None:
        """Sets the linear code from the weighted mean (P,) and covariance (P, P) of training patches."""
        values, vectors = torch.linalg.eigh(covariance.double())  # ascending
        channels = self.latent_shape[0]
        self.mean.copy_(mean)
        self.components.copy_(vectors.flip(1)[:, :channels].T)
        self.deviation.copy_(values.flip(0)[:channels].clamp(min=1e-12).sqrt())

    def save(self, folder: Path, *, half: bool = True) -> None:
        """Writes config.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        channels, cells, _ = self.latent_shape
        config = {"channels": channels, "size": cells * PATCH, "width": self.width}
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        tensors = {name: (t.half() if half and name.startswith("refine.") else t).contiguous() for name, t in self.state_dict().items()}
        save_file(tensors, folder / "model.safetensors")

    @staticmethod
    def load(folder: Path) -> PatchAutoencoder:
        """Reads what save wrote. Raises WeightsError when a file is missing or of another shape."""
        try:
            config = json.loads((folder / "config.json").read_text())
            network = PatchAutoencoder(channels=config["channels"], size=config["size"], width=config["width"])
            with safe_open(folder / "model.safetensors", framework="pt") as file:
                network.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})  # noqa: SIM118 - not a mapping
        except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise WeightsError(f'autoencoder: "{folder}" can\'t be read ({error}). Run "facemint weights verify" or give another models.core.') from error
        return network.eval()


class Refine(nn.Module):
    """Correction of the linear inverse: residual blocks at the latent size, then at four times its cells; (B, C, h, w) to (B, 3, H, W)."""

    def __init__(self, channels: int, cells: int, width: int) -> None:
        super().__init__()
        fine = width * 3 // 4
        self.place = nn.Parameter(torch.zeros(1, width, cells, cells))  # where in the aligned portrait a cell is
        self.into = nn.Conv2d(channels, width, 3, padding=1)
        self.coarse = nn.Sequential(*(Residual(width) for _ in range(3)))
        self.up = nn.Conv2d(width, 4 * fine, 1)
        self.fine = nn.Sequential(*(Residual(fine) for _ in range(3)))
        self.out = nn.Conv2d(fine, 3 * (PATCH // 2) ** 2, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, latents: Tensor) -> Tensor:
        """The correction, zero at first."""
        x = self.coarse(self.into(latents) + self.place)
        x = self.fine(F.pixel_shuffle(self.up(x), 2))
        return F.pixel_shuffle(self.out(x), PATCH // 2)


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), the second convolution starting small."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x."""
        return x + self.second(F.relu(self.first(F.relu(x))))
