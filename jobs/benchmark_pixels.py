"""The swap benchmark's pixels: how near a picture is to the exact target inside the hole, and whether anything outside it was touched."""

# N quadruples, H W pixels

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.benchmark import Quadruples

# Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", section III: window and constants.
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def pixel_rows(images_rgb: NDArray[np.uint8], quadruples: Quadruples) -> dict[str, NDArray[np.float64]]:
    """Inside the hole, to the exact target: peak signal-to-noise ratio (dB, infinite when equal), structural similarity, mean absolute error (grey levels).

    Outside it: how many pixels differ from the background. Without an exact target the latter only. (N,) each.
    """
    inside = quadruples.hole > 0
    changed = (images_rgb != quadruples.background.images_rgb).any(axis=-1) & ~inside
    outside = {"changed_outside_px": changed.sum(axis=(1, 2)).astype(np.float64)}
    if quadruples.target is None:
        return outside
    targets = quadruples.target.images_rgb
    difference = images_rgb.astype(np.float64) - targets
    squared = np.array([(d[area] ** 2).mean() for d, area in zip(difference, inside, strict=True)])
    absolute = np.array([np.abs(d[area]).mean() for d, area in zip(difference, inside, strict=True)])
    similar = np.array([ssim_map(image, target)[area].mean() for image, target, area in zip(images_rgb, targets, inside, strict=True)])
    with np.errstate(divide="ignore"):
        psnr = 10 * np.log10(255.0**2 / squared)
    return {"psnr_hole_db": psnr, "ssim_hole": similar, "error_hole": absolute, **outside}


def ssim_map(image_rgb: NDArray[np.uint8], other_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Structural similarity (H, W) of two pictures (H, W, 3), mean of the channels, by Gaussian windows of 11 px; 1 where they are equal."""
    x, y = image_rgb.astype(np.float64), other_rgb.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    variance_x, variance_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))
    return np.asarray(similarity.mean(axis=-1), dtype=np.float64)


def _window(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred = cv2.GaussianBlur(values, (WINDOW_PX, WINDOW_PX), WINDOW_SIGMA_PX, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float64)
