"""Fits the bundled autoencoder's linear code in closed form, then trains its correction on weighted colour and edge errors."""

# B images, P numbers of a patch

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from generator.patch_autoencoder import PATCH, PatchAutoencoder
from generator.training.augment import to_unit
from generator.training.corpus import Corpus

# What the eye and the recognisers look at counts more: background, skin, body, hair, eyes, brows, mouth, ears, glasses, clothes.
LABEL_WEIGHT = np.array([0.3, 2.0, 1.5, 0.7, 8.0, 6.0, 7.0, 1.5, 1.0, 0.3], dtype=np.float32)


def patch_moments(corpus: Corpus, *, batch: int = 256) -> tuple[Tensor, Tensor]:
    """Weighted mean (P,) and covariance (P, P) of all 8 x 8 patches, plain and mirrored."""
    size = 3 * PATCH * PATCH
    total, first, second = 0.0, torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
    for start in range(0, len(corpus), batch):
        images = to_unit(corpus.images_rgb[start : start + batch])
        weight = F.avg_pool2d(torch.from_numpy(LABEL_WEIGHT[corpus.labels[start : start + batch]])[:, None], PATCH)
        for x, w in ((images, weight), (images.flip(-1), weight.flip(-1))):
            patches = F.pixel_unshuffle(x, PATCH).permute(0, 2, 3, 1).reshape(-1, size)
            mass = w.reshape(-1, 1)
            total += float(mass.sum())
            first += (patches * mass).sum(dim=0).double()
            second += ((patches * mass).T @ patches).double()
    mean = first / total
    return mean.float(), (second / total - mean[:, None] * mean[None, :]).float()


class AutoencoderTask:
    """The correction of the linear inverse: weighted L1 of pixels and of pixel differences.

    A third of the rows decode latents with a little noise on them, as a denoiser's are, so that the correction does not sharpen its errors.
    """

    name = "autoencoder"

    def __init__(self, corpus: Corpus, network: PatchAutoencoder, *, noise: float = 0.12) -> None:
        self.corpus = corpus
        self.network = network
        self.noise = noise

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        rows = draw.choice(len(self.corpus), batch_size, replace=False)
        images, weight = self._batch(rows, draw)
        latents = self.network.encode(images)
        sigma = torch.from_numpy(np.where(draw.random((batch_size, 1, 1, 1)) < 0.33, draw.random((batch_size, 1, 1, 1)) * self.noise, 0).astype(np.float32))
        latents = latents + sigma * torch.from_numpy(draw.standard_normal(tuple(latents.shape), dtype=np.float32))
        error = self.network.decode(latents) - images
        pixel = (error.abs() * weight).mean()
        edge = torch.stack([(error.diff(dim=dim).abs() * weight.narrow(dim, 0, images.shape[dim] - 1)).mean() for dim in (2, 3)]).sum()
        face = error.detach().pow(2)[(weight > 1.0).expand_as(error)].mean()
        return pixel + edge, {"pixel": float(pixel.detach()), "edge": float(edge.detach()), "face_psnr_db": 10 * float(np.log10(4 / float(face)))}

    def _batch(self, rows: NDArray[np.integer], draw: np.random.Generator) -> tuple[Tensor, Tensor]:
        images = to_unit(self.corpus.images_rgb[rows])
        weight = torch.from_numpy(LABEL_WEIGHT[self.corpus.labels[rows]])[:, None]
        flip = torch.from_numpy(draw.random(len(rows)) < 0.5)
        images[flip] = images[flip].flip(-1)
        weight[flip] = weight[flip].flip(-1)
        return images, weight
