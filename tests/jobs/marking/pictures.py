"""Pictures with the spectrum of photographs, made of noise, so that no test needs real ones."""

from __future__ import annotations

import numpy as np


def natural(seed, side=128):
    """(side, side, 3) uint8 whose amplitude falls with frequency as it does in pictures of faces."""
    draw = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    falling = 1 / np.maximum(np.hypot(down, across) * side, 1.0) ** 1.4
    planes = [np.fft.irfft2(falling * np.fft.rfft2(draw.standard_normal((side, side))), s=(side, side)) for _ in range(2)]
    grey, tint = (plane / plane.std() for plane in planes)
    return np.clip(127 + 40 * grey[:, :, None] + 8 * tint[:, :, None] * np.array([1.0, -0.3, -0.5]), 0, 255).astype(np.uint8)
