"""Decodes users' pictures within bounds: header first, few formats, capped bytes and pixels, upright RGB or a named reason."""

# H W pixels

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from manifests.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP")

Reason = Literal["missing", "empty", "too_many_bytes", "not_a_picture", "too_many_pixels", "too_small", "damaged"]

# What Pillow raises for damaged, hostile or cut-off files of these formats.
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, OverflowError, TypeError, IndexError, MemoryError, Image.DecompressionBombError, Warning)


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """Bounds of one file. The defaults hold a 16-megapixel camera picture."""

    max_bytes: int = 32 << 20
    max_pixels: int = 16_000_000
    min_side_px: int = 32  # nothing smaller holds a face that recognisers can read

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1 or self.min_side_px < 1:
            raise InputError(f"image limits: got {self}, expected numbers of 1 or more.")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded picture, upright."""

    image_rgb: NDArray[np.uint8]  # (H, W, 3)
    form: str  # jpeg, png, webp
    file_sha256: str
    pixel_sha256: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why a file is no usable picture: a code for tables and a sentence for people."""

    reason: Reason
    detail: str


def read_picture(path: Path, limits: ImageLimits | None = None) -> Picture | Refused:
    """The picture in a file, or why there is none."""
    limits = limits or ImageLimits()
    try:
        if not path.is_file():
            return Refused(reason="missing", detail="it is no file")
        if path.stat().st_size > limits.max_bytes:
            return Refused(reason="too_many_bytes", detail=f"it has {path.stat().st_size:,} bytes, at most {limits.max_bytes:,} are read")
        content = path.read_bytes()
    except OSError as error:
        return Refused(reason="missing", detail=f"it can't be read ({error.strerror})")
    return decode_picture(content, limits)


def decode_picture(content: bytes, limits: ImageLimits | None = None) -> Picture | Refused:
    """The picture in the bytes of a file, or why there is none; pixels are unpacked only when the header is within the limits."""
    limits = limits or ImageLimits()
    if not content:
        return Refused(reason="empty", detail="it is empty")
    if len(content) > limits.max_bytes:
        return Refused(reason="too_many_bytes", detail=f"it has {len(content):,} bytes, at most {limits.max_bytes:,} are read")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            return Refused(reason="not_a_picture", detail="it is not a JPEG, PNG or WebP picture")
        except _DECODE_ERRORS as error:
            return Refused(reason="damaged", detail=f"its header can't be read ({_one_line(error)})")
        with image:
            width, height = image.size
            form = str(image.format).lower()
            if width * height > limits.max_pixels:
                return Refused(reason="too_many_pixels", detail=f"it has {width} x {height} pixels, at most {limits.max_pixels:,} are unpacked")
            if min(width, height) < limits.min_side_px:
                return Refused(reason="too_small", detail=f"it has {width} x {height} pixels, a side needs {limits.min_side_px}")
            try:
                rgb = _upright_rgb(image)
            except _DECODE_ERRORS as error:
                return Refused(reason="damaged", detail=f"its pixels can't be unpacked ({_one_line(error)})")
    return Picture(image_rgb=rgb, form=form, file_sha256=hashlib.sha256(content).hexdigest(), pixel_sha256=pixel_sha256(rgb))


def require_picture(path: Path, limits: ImageLimits | None = None) -> Picture:
    """The picture in a file; raises InputError with the reason when there is none."""
    picture = read_picture(path, limits)
    if isinstance(picture, Refused):
        raise InputError(f"picture: {path} was left out: {picture.detail}. Name a JPEG, PNG or WebP picture.")
    return picture


def pixel_sha256(image_rgb: NDArray[np.uint8]) -> str:
    """sha256 of the decoded (H, W, 3) bytes; survives a change of metadata or lossless format."""
    return hashlib.sha256(np.ascontiguousarray(image_rgb).tobytes()).hexdigest()


def _upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips it
        grey = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
        return np.asarray(grey.convert("RGB"), dtype=np.uint8).copy()
    upright = ImageOps.exif_transpose(image)
    if "A" in upright.getbands() or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, (127, 127, 127, 255))
        upright = Image.alpha_composite(ground, rgba)
    return np.asarray(upright.convert("RGB"), dtype=np.uint8).copy()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
