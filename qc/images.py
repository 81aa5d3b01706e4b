"""Decodes pictures within bounds: header first, few formats, one frame, capped bytes, pixels and memory, upright RGB or a named reason."""

# H W pixels

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from manifests.errors import InputError

FORMATS = ("JPEG", "PNG", "WEBP")

Reason = Literal["missing", "empty", "too_many_bytes", "not_a_picture", "too_many_pixels", "too_many_scans", "too_small", "many_frames", "damaged"]

# What Pillow raises for damaged, hostile or cut-off files of these formats.
_DECODE_ERRORS = (
    *(OSError, ValueError, SyntaxError, EOFError, OverflowError, TypeError, LookupError, MemoryError, AttributeError, ArithmeticError, RecursionError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Warning),
)
WEBP_COST = 2  # its decoder holds the picture twice as often as the others do, so half the pixels are allowed
MAX_SCANS = 50  # of a JPEG, each of which unpacks the whole picture again; cameras and editors write 1 to 20
_STRIP_PX = 256  # rows that are converted at a time, so that no second copy of the whole picture is held
_ORIENTATION = 0x0112  # of Exif: how the stored rows and columns lie when the picture is shown upright
_TURNS: Mapping[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: x[::-1].transpose(1, 0, 2),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: x.transpose(1, 0, 2)[::-1],
}


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """Bounds of one file. The defaults hold a 16-megapixel camera picture."""

    max_bytes: int = 32 << 20
    max_pixels: int = 16_000_000  # half of them for WebP
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
    if (refused := _refused_webp(content, limits) or _refused_jpeg(content)) is not None:
        return refused
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except UnidentifiedImageError:
            return Refused(reason="not_a_picture", detail="it is not a JPEG, PNG or WebP picture")
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            return Refused(reason="too_many_pixels", detail=f"its header promises more than the {limits.max_pixels:,} pixels that are unpacked")
        except _DECODE_ERRORS as error:
            return Refused(reason="damaged", detail=f"its header can't be read ({_one_line(error)})")
        with image:
            width, height = image.size
            form = "jpeg" if image.format in ("JPEG", "MPO") else str(image.format).lower()  # cameras add previews, which makes an MPO of a JPEG
            if width * height > limits.max_pixels:
                return Refused(reason="too_many_pixels", detail=f"it has {width} x {height} pixels, at most {limits.max_pixels:,} are unpacked")
            if min(width, height) < limits.min_side_px:
                return Refused(reason="too_small", detail=f"it has {width} x {height} pixels, a side needs {limits.min_side_px}")
            try:
                if form != "jpeg" and getattr(image, "n_frames", 1) > 1:
                    return Refused(reason="many_frames", detail="it is an animation; a picture has one frame")
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


def _refused_webp(content: bytes, limits: ImageLimits) -> Refused | None:
    """Why a WebP's own header rules it out; Pillow sets its canvas up before it tells the size."""
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    if len(content) < 30:
        return Refused(reason="damaged", detail="it ends within its header")
    kind = content[12:16]
    if kind == b"VP8X":
        if content[20] & 0x02:
            return Refused(reason="many_frames", detail="it is an animation; a picture has one frame")
        width, height = (1 + int.from_bytes(content[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    most = limits.max_pixels // WEBP_COST
    if width * height > most:
        return Refused(reason="too_many_pixels", detail=f"it has {width} x {height} pixels, at most {most:,} of a WebP are unpacked")
    return None


def _refused_jpeg(content: bytes) -> Refused | None:
    """Why a JPEG's markers rule it out; in its pixels their two bytes don't occur."""
    if content[:2] == b"\xff\xd8" and (scans := content.count(b"\xff\xda")) > MAX_SCANS:
        return Refused(reason="too_many_scans", detail=f"it is a JPEG of {scans:,} scans, at most {MAX_SCANS} are unpacked")
    return None


def _upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels (H, W, 3), turned as Exif says; transparent ones over mid grey."""
    image.load()
    turned = image.getexif().get(_ORIENTATION, 1)
    width, height = image.size
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _STRIP_PX):
        rgb[top : top + _STRIP_PX] = _strip(image.crop((0, top, width, min(height, top + _STRIP_PX))), image.info)
    image.close()
    turn = _TURNS.get(turned)
    return rgb if turn is None else np.ascontiguousarray(turn(rgb))


def _strip(part: Image.Image, info: dict[str | tuple[int, int], object]) -> NDArray[np.uint8]:
    if part.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips it
        grey = (np.asarray(part).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if "A" in part.getbands() or "transparency" in info:
        rgba = part.convert("RGBA")
        part = Image.alpha_composite(Image.new("RGBA", rgba.size, (127, 127, 127, 255)), rgba)
    return np.asarray(part.convert("RGB"), dtype=np.uint8)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
