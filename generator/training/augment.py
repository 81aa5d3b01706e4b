"""Batched picture augmentation: flips, colour, lost detail, and crops by landmarks."""

# B images, H W pixels, P points

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from manifests.geometry import ARCFACE_TEMPLATE_112, similarity_transform


def to_unit(images_rgb: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float in -1..1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images_rgb)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def degrade(images: Tensor, draw: np.random.Generator, *, share: float = 0.5) -> Tensor:
    """Loses detail as cameras and re-sampling do: a random down-up scale on a share of the images, and sensor noise."""
    out = images.clone()
    side = images.shape[-1]
    chosen = np.flatnonzero(draw.random(len(images)) < share)
    for part in np.array_split(chosen, 3):
        if len(part):
            small = int(side * draw.uniform(0.35, 0.9))
            reduced = F.interpolate(images[part], size=(small, small), mode="bilinear", antialias=True, align_corners=False)
            out[part] = F.interpolate(reduced, size=(side, side), mode="bilinear", align_corners=False)
    sigma = torch.from_numpy((draw.random((len(images), 1, 1, 1)) ** 3 * 0.12).astype(np.float32))
    noise = torch.from_numpy(draw.standard_normal(tuple(images.shape), dtype=np.float32))
    return (out + noise * sigma).clamp(-1, 1)


def crop_affine(landmarks5_px: NDArray[np.floating], draw: np.random.Generator | None, *, size: int = 112, jitter_px: float = 1.5,
                flip: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:  # fmt: skip
    """Maps (B, 2, 3) from image pixels to insightface crops of `size`, with landmark jitter and optional mirroring."""
    points = np.asarray(landmarks5_px, dtype=np.float64)
    if draw is not None:
        points = points + draw.normal(0, jitter_px, points.shape)
    matrix = similarity_transform(points, ARCFACE_TEMPLATE_112 * (size / 112))
    if flip is not None:
        matrix[flip, 0] *= -1
        matrix[flip, 0, 2] += size
    return matrix


def warp(images: Tensor, matrix: NDArray[np.floating], size: int, *, mode: str = "bilinear") -> Tensor:
    """Samples (B, C, H, W) into (B, C, size, size) through maps (B, 2, 3) from image to crop pixels; outside is zero (grey)."""
    height, width = images.shape[-2:]
    linear = np.linalg.inv(matrix[:, :, :2])
    shift = -np.einsum("bij,bj->bi", linear, matrix[:, :, 2])
    # subtle: grid_sample wants -1..1 with pixel centres at half steps (align_corners=False), so scale both sides to that
    scale_in = np.array([width, height]) / 2
    theta = np.empty((len(matrix), 2, 3))
    theta[:, :, :2] = linear * (size / 2) / scale_in[:, None]
    theta[:, :, 2] = (np.einsum("bij,j->bi", linear, np.full(2, size / 2)) + shift) / scale_in - 1
    grid = F.affine_grid(torch.from_numpy(theta).float(), [len(images), images.shape[1], size, size], align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)


def warp_bytes(images: NDArray[np.uint8], matrix: NDArray[np.floating], size: int, *, nearest: bool = False,
               replicate: bool = False) -> NDArray[np.uint8]:  # fmt: skip
    """`warp` for (B, H, W[, C]) bytes, C <= 4, on OpenCV; outside is mid grey, or the nearest edge pixel with `replicate`.

    Pixel centres are at half steps, as everywhere here. `nearest` keeps class numbers whole.
    """
    shifted = np.array(matrix, dtype=np.float64)
    shifted[:, :, 2] += shifted[:, :, :2].sum(axis=2) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return np.stack([
        cv2.warpAffine(image, m, (size, size), flags=flags, borderMode=border, borderValue=(127, 127, 127, 127))
        for image, m in zip(images, shifted, strict=True)
    ])  # fmt: skip


def similarity_jitter(draw: np.random.Generator, count: int, *, size: int, scale: tuple[float, float], turn_deg: float, shift_px: float,
                      flip: NDArray[np.bool_]) -> NDArray[np.float64]:  # fmt: skip
    """Random similarities (B, 2, 3) about the centre of a picture of `size`, mirrored where `flip`; shifts and turns are normal."""
    angle = np.radians(draw.normal(0, turn_deg, count))
    zoom = np.exp(draw.uniform(np.log(scale[0]), np.log(scale[1]), count))
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2)
    linear[flip, :, 0] *= -1
    centre = np.full(2, size / 2)
    shift = centre - linear @ centre + draw.normal(0, shift_px, (count, 2))
    return np.concatenate([linear, shift[..., None]], axis=-1)


def jitter_bytes(images_rgb: NDArray[np.uint8], draw: np.random.Generator, *, strength: float = 1.0, grey: float = 0.0) -> NDArray[np.uint8]:
    """Brightness, contrast, gamma, saturation and per-channel gain, each image its own; (B, H, W, 3) bytes.

    One look-up table per channel and one 3 x 3 colour matrix. `grey` is the share that loses its colour altogether.
    """
    out = np.empty_like(images_rgb)
    ramp = np.arange(256, dtype=np.float64)[:, None] / 255
    luma = np.array([0.299, 0.587, 0.114])
    for i, image in enumerate(images_rgb):
        brightness, gamma, contrast, saturation = np.exp(draw.normal(0, np.array([0.15, 0.15, 0.15, 0.25]) * strength))
        gain = np.exp(draw.normal(0, 0.06 * strength, 3))
        curve = np.clip(ramp * gain * brightness, 0, 1) ** gamma
        middle = image[::4, ::4].mean() / 255
        table = np.clip(middle + (curve - middle) * contrast, 0, 1) * 255
        if draw.random() < grey:
            saturation = 0.0
        mixed = cv2.LUT(np.ascontiguousarray(image), np.round(table)[None].astype(np.uint8))
        matrix = (1 - saturation) * np.broadcast_to(luma, (3, 3)) + saturation * np.eye(3)
        out[i] = cv2.transform(mixed, matrix)
    return out
