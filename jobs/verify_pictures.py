"""Decodes a stored picture that may be damaged or hostile: its size is known from the label before a pixel is made."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from jobs.images import pixel_sha256

MAX_PIXELS = 64 << 20
KINDS = {"jpg": "JPEG", "png": "PNG"}


def picture_problem(content: bytes, extension: str, label: Mapping[str, Any]) -> str:
    """Why an encoded picture is not the one of its label; "" when it decodes to the promised size and pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pixels, mode = _decode(content, KINDS[extension], (label["width"], label["height"]), "RGB")
    except _BROKEN as error:
        return f"can't be decoded ({' '.join(str(error).split())[:120]})"
    if mode != "RGB":
        return f"has mode {mode}, expected RGB"
    return "" if pixel_sha256(pixels) == label["pixel_sha256"] else "has other pixels than its label's pixel_sha256"


def label_map_problem(content: bytes, label: Mapping[str, Any]) -> str:
    """Why a label map doesn't fit its picture; "" when it decodes to one grey value for each pixel."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _, mode = _decode(content, "PNG", (label["width"], label["height"]), "L")
    except _BROKEN as error:
        return f"can't be decoded ({' '.join(str(error).split())[:120]})"
    return "" if mode == "L" else f"has mode {mode}, expected L"


_BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError, OverflowError, MemoryError),
    *(struct.error, zlib.error, Warning, Image.DecompressionBombError),
)


def _decode(content: bytes, kind: str, size: tuple[int, int], mode: str) -> tuple[np.ndarray, str]:
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        if image.size != size or size[0] * size[1] > MAX_PIXELS:
            raise ValueError(f"{image.size[0]} x {image.size[1]} pixels, its label says {size[0]} x {size[1]}")
        found = image.mode
        return np.asarray(image.convert(mode), dtype=np.uint8), found
