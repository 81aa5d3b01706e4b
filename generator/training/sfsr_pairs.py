"""Self-supervised training rows of SFSR: latents of the corpus, emptied backgrounds, and who may lend identity or expression."""

# N pictures, V background variants, C h w latents; axis 0 of every pair is plain / mirrored

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from generator.autoencoder import Autoencoder
from generator.masks import empty_background, latent_mask
from generator.training.augment import to_unit
from generator.training.corpus import Corpus
from manifests.face_mask import dilate, face_mask


@dataclass(frozen=True, kw_only=True)
class LatentCorpus:
    """Latents of N pictures and of their backgrounds with the face area emptied, in V variants of that area.

    latents (2, N, C, h, w), backgrounds (V, 2, N, C, h, w), masks (V, 2, N, 1, h, w) in 0..1
    """

    latents: Tensor
    backgrounds: Tensor
    masks: Tensor


def encode_corpus(corpus: Corpus, autoencoder: Autoencoder, cache: Path, *, variants: int = 2, batch: int = 64,
                  say: Callable[[str], None] = print) -> LatentCorpus:  # fmt: skip
    """Encodes every picture, plain and mirrored, and its emptied backgrounds; kept in `cache` under the autoencoder's hash."""
    digest = hashlib.sha256(autoencoder.encode(to_unit(corpus.images_rgb[:4])).detach().numpy().tobytes()).hexdigest()[:12]
    path = cache / f"latents-{digest}-{len(corpus)}-{variants}.safetensors"
    if not path.exists():
        holes = np.stack([training_holes(corpus, variant) for variant in range(variants)])  # (V, N, H, W)
        latents, backgrounds, masks = [], [], []
        for start in range(0, len(corpus), batch):
            rows = slice(start, start + batch)
            images = to_unit(corpus.images_rgb[rows])
            area = torch.from_numpy(holes[:, rows]).float()[:, :, None]  # (V, B, 1, H, W)
            both = torch.stack([images, images.flip(-1)])
            areas = torch.stack([area, area.flip(-1)], dim=1)  # (V, 2, B, 1, H, W)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                latents.append(torch.stack([autoencoder.encode(x) for x in both]).half())
                emptied = [[autoencoder.encode(empty_background(both[side], areas[v, side])) for side in (0, 1)] for v in range(variants)]
            backgrounds.append(torch.stack([torch.stack(pair) for pair in emptied]).half())
            masks.append(torch.stack([torch.stack([latent_mask(a, autoencoder.factor) for a in pair]) for pair in areas]).half())
            if start % (20 * batch) == 0:
                say(f"encoding {start}/{len(corpus)}")
        tensors = {"latents": torch.cat(latents, 1), "backgrounds": torch.cat(backgrounds, 2), "masks": torch.cat(masks, 2)}
        cache.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in tensors.items()}, path)
    return LatentCorpus(**load_file(path))


def training_holes(corpus: Corpus, variant: int) -> NDArray[np.uint8]:
    """Face areas to empty, (N, H, W): variant 0 the picture's own, others joined with the area of somebody else in a like pose.

    The background of a swap shows another face's outline. Own outlines alone would teach the denoiser to fill its area to the edge.
    """
    own = np.stack([face_mask(labels, points) for labels, points in zip(corpus.labels, corpus.landmarks68_px, strict=True)])
    draw = np.random.default_rng([17, variant])
    if variant:
        yaw, pitch = corpus.pose_deg[:, 0], corpus.pose_deg[:, 1]
        for row in range(len(own)):
            candidates = draw.integers(0, len(own), 40)
            distance = np.abs(yaw[candidates] - yaw[row]) + np.abs(pitch[candidates] - pitch[row])
            own[row] |= own[candidates[np.argmin(distance)]]
    return np.stack([dilate(mask, int(radius)) for mask, radius in zip(own, draw.integers(2, 7, len(own)), strict=True)])


@dataclass(frozen=True, kw_only=True)
class Lenders:
    """For each picture, other pictures that may lend their identity or their expression."""

    identity: list[NDArray[np.int64]]
    expression: list[NDArray[np.int64]]

    @staticmethod
    def of(corpus: Corpus) -> Lenders:
        """Identity: another picture of the same person. Expression: another person with exactly the same expression."""
        return Lenders(identity=_others(corpus.identity), expression=_others(corpus.expression))

    def pick(self, rows: NDArray[np.integer], draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One lender of each kind per row."""
        identity = np.array([draw.choice(self.identity[row]) for row in rows])
        expression = np.array([draw.choice(self.expression[row]) for row in rows])
        return identity, expression


def _others(group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    members: dict[int, NDArray[np.int64]] = {int(g): np.flatnonzero(group == g) for g in np.unique(group)}
    others = [members[int(g)][members[int(g)] != row] for row, g in enumerate(group)]
    # a picture that is alone in its group lends to itself
    return [o if len(o) else np.array([row]) for row, o in enumerate(others)]
