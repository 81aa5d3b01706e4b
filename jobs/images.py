"""Pictures to bytes and back, such that equal pixels give equal bytes."""

# H W pixels

from __future__ import annotations

import hashlib
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Format = Literal["jpeg", "png"]
EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png"}
JPEG_QUALITY = 95


def encode(image: NDArray[np.uint8], form: Format) -> bytes:
    """Bytes of an (H, W, 3) RGB or (H, W) grey picture; JPEG of quality 95 without chroma subsampling, or PNG."""
    stream = io.BytesIO()
    if form == "jpeg":
        Image.fromarray(image).save(stream, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        Image.fromarray(image).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def decode_rgb(content: bytes) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of an encoded picture."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def decode_grey(content: bytes) -> NDArray[np.uint8]:
    """Values (H, W) of an encoded one-channel picture."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L"), dtype=np.uint8)


def pixel_sha256(image_rgb: NDArray[np.uint8]) -> str:
    """sha256 of the (H, W, 3) bytes."""
    return hashlib.sha256(np.ascontiguousarray(image_rgb).tobytes()).hexdigest()
