"""Portraits drawn from random numbers, embeddings of made-up people, and what re-encoding does to a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def portrait(seed: int, side: int = 96) -> NDArray[np.uint8]:
    """Smooth coloured blobs over a soft ground: as much structure as a portrait has at 32 pixels."""
    generator = np.random.default_rng(seed)
    coarse = generator.normal(size=(9, 9, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(generator.normal(size=(side, side, 3)).astype(np.float32), (0, 0), 2.0)
    return np.clip(128 + 38 * smooth + 30 * fine, 0, 255).astype(np.uint8)


def reencoded(image_rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The picture after JPEG of a quality."""
    return cv2.imdecode(cv2.imencode(".jpg", image_rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def relit(image_rgb: NDArray[np.uint8], gain: float, slope: float) -> NDArray[np.uint8]:
    """Brighter or darker, with light that falls from one side."""
    side = np.linspace(1 - slope, 1 + slope, image_rgb.shape[1], dtype=np.float32)[None, :, None]
    return np.clip(image_rgb.astype(np.float32) * gain * side, 0, 255).astype(np.uint8)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of unit length."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(count: int, pictures: int, noise: float, seed: int, width: int = 64) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit embeddings (count x pictures, width) and their people."""
    generator = np.random.default_rng(seed)
    vectors = np.repeat(generator.normal(size=(count, width)), pictures, axis=0) + noise * generator.normal(size=(count * pictures, width))
    return unit(vectors), np.repeat(np.arange(count), pictures)
