"""Light and colour of sRGB pictures: linear luminance and CIE L*a*b* at D50, as ISO/IEC 29794-5 asks for them."""

# H W pixels

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# IEC 61966-2-1: linear light of the 256 byte values.
_STEPS = np.arange(256) / 255.0
LINEAR = np.where(_STEPS <= 0.04045, _STEPS / 12.92, ((_STEPS + 0.055) / 1.055) ** 2.4)
_LINEAR32 = LINEAR.astype(np.float32).reshape(256, 1)
LUMINANCE_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709
_WEIGHTED = LUMINANCE_WEIGHTS[:, None] * LINEAR  # (3, 256); sums of table values come out the same wherever an array lies in memory

# sRGB primaries to XYZ, adapted from D65 to D50 by Bradford's method; each row sums to the white point.
_XYZ_D50 = np.array([[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]])
_WHITE_D50 = _XYZ_D50.sum(axis=1)


def linear_luminance(pixels_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance 0 .. 1 of (..., 3) sRGB bytes in linear light."""
    red, green, blue = (_WEIGHTED[channel][pixels_rgb[..., channel]] for channel in range(3))
    return red + green + blue


def luminance_levels(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Linear luminance of a picture (H, W, 3) in steps of 1/255 (H, W); the quick way for whole pictures."""
    return np.asarray((linear_luminance(image_rgb) * 255).round(), dtype=np.uint8)


def scharr_length(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Length of the Scharr gradient of grey levels (H, W).

    subtle: the derivatives are whole numbers, because OpenCV's float arithmetic gives other last digits where an array lies elsewhere in memory,
    and equal pictures must give equal measurements.
    """
    across = cv2.Scharr(levels, cv2.CV_16S, 1, 0).astype(np.int64)
    down = cv2.Scharr(levels, cv2.CV_16S, 0, 1).astype(np.int64)
    return np.asarray(np.sqrt(across * across + down * down), dtype=np.float64)


def linear_picture(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light 0 .. 1 of a picture (H, W, 3)."""
    return np.asarray(cv2.LUT(np.ascontiguousarray(image_rgb), _LINEAR32), dtype=np.float32)


def lab_d50(linear_rgb: NDArray[np.floating]) -> NDArray[np.float64]:
    """L*, a*, b* of (..., 3) linear-light RGB 0 .. 1 under D50 (CIE 15:2018, eqs. 8.3 to 8.11)."""
    red, green, blue = np.moveaxis(np.asarray(linear_rgb, dtype=np.float64), -1, 0)
    ratio = np.stack([(row[0] * red + row[1] * green + row[2] * blue) / white for row, white in zip(_XYZ_D50, _WHITE_D50, strict=True)], axis=-1)
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
