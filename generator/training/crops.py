"""Batches of recogniser crops of corpus portraits, with surroundings swapped so that only the face tells who it is."""

# B images, N corpus rows, H W pixels

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.training.augment import crop_affine, degrade, jitter_bytes, to_unit, warp, warp_bytes
from generator.training.corpus import Corpus

FACE_LABELS = (1, 4, 5, 6, 8)  # face skin, eyes, brows, mouth, glasses
BODY_LABELS = (2, 7)  # neck, ears
HAIR_LABEL = 3
CROP_SIZE = 112


@dataclass(frozen=True, kw_only=True)
class CropSpec:
    """How strongly crops are varied; shares are of the batch, 0..1."""

    jitter_px: float = 1.2  # standard deviation of each landmark, portrait pixels
    swap_share: float = 0.6
    degrade_share: float = 0.4
    colour: float = 0.5
    grey: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Crops:
    """A batch of crops (B, 3, 112, 112) in -1..1, which are mirrored (B,), and how far each was turned clockwise before that (B,)."""

    images: Tensor
    flip: NDArray[np.bool_]
    turn_deg: NDArray[np.float64]


def face_regions(labels: NDArray[np.uint8], landmarks68_px: NDArray[np.floating]) -> NDArray[np.uint8]:
    """2 on the face with its beard, 1 on neck and ears, 0 elsewhere; (N, H, W). Hair inside the jaw line, a little enlarged, is beard."""
    out = np.where(np.isin(labels, BODY_LABELS), 1, 0).astype(np.uint8)
    out[np.isin(labels, FACE_LABELS)] = 2
    for region, label, points in zip(out, labels, landmarks68_px, strict=True):
        jaw = points[:17]
        centre = jaw.mean(axis=0)
        inside = np.zeros_like(region)
        cv2.fillPoly(inside, [np.round((jaw - centre) * 1.08 + centre).astype(np.int32)], 1)
        region[(inside > 0) & (label == HAIR_LABEL)] = 2
    return out


class FaceCrops:
    """Draws augmented (B, 3, 112, 112) crops of corpus rows."""

    def __init__(self, corpus: Corpus, spec: CropSpec) -> None:
        self.corpus, self.spec = corpus, spec
        self.regions = face_regions(corpus.labels, corpus.landmarks68_px)

    def draw(self, rows: NDArray[np.integer], draw: np.random.Generator) -> Crops:
        """Crops of `rows`, on a share of which what lies outside the face is another picture of the batch, or one colour.

        A network trained so reads the face and not the hair, clothes or backdrop, which a face swap leaves alone.
        Warping and colouring bytes is several times faster than tensors.
        """
        spec, count = self.spec, len(rows)
        flip = draw.random(count) < 0.5
        least = 1 + (draw.random(count) < 0.6)  # keep the neck and ears in some
        keep = (self.regions[rows] >= least[:, None, None]).astype(np.uint8) * 255
        matrix = crop_affine(self.corpus.landmarks5_px[rows], draw, jitter_px=spec.jitter_px, flip=flip)
        warped = warp_bytes(np.concatenate([self.corpus.images_rgb[rows], keep[..., None]], axis=-1), matrix, CROP_SIZE)
        images_rgb, kept = jitter_bytes(warped[..., :3], draw, strength=spec.colour, grey=spec.grey), warped[..., 3:]
        chosen = np.flatnonzero(draw.random(count) < spec.swap_share)
        other = draw.permutation(count)
        for i in chosen:
            outside = draw.integers(0, 256, 3, dtype=np.uint8) if draw.random() < 0.3 else images_rgb[other[i]]
            images_rgb[i] = np.where(kept[i] > 127, images_rgb[i], outside)
        images = to_unit(images_rgb)
        soft = torch.from_numpy(np.flatnonzero(draw.random(count) < spec.degrade_share))
        images[soft] = degrade(images[soft], draw, share=0.8)
        turn_deg = np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 1, 1]))
        return Crops(images=images.contiguous(memory_format=torch.channels_last), flip=flip, turn_deg=turn_deg)


def plain_crops(images_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating], *, flip: bool = False) -> Tensor:
    """Recogniser crops without augmentation, (B, 3, 112, 112) in -1..1."""
    mirrored = np.full(len(images_rgb), flip)
    return warp(to_unit(images_rgb), crop_affine(landmarks5_px, None, flip=mirrored), CROP_SIZE)
