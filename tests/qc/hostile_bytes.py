"""Bytes of pictures that lie about themselves: bombs, headers without pixels, torn and flipped files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

SOS = b"\xff\xda"


def photo(width: int = 96, height: int = 80, mode: str = "RGB") -> Image.Image:
    """A smooth picture with a little noise."""
    draw = np.random.default_rng(width * 10_007 + height)
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=2) + draw.integers(0, 9, (height, width, 3))
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8)).convert(mode)


def encoded(form: str, image: Image.Image | None = None, **more: object) -> bytes:
    stream = io.BytesIO()
    (image or photo()).save(stream, form, **more)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def zeros(count: int) -> bytes:
    """zlib stream of so many zero bytes, built from one compressed block that is repeated."""
    block = 1 << 20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = end.compress(bytes(count % block)) + end.flush()
    return b"\x78\xda" + first * (count // block) + rest + struct.pack(">I", (count % 65521) << 16 | 1)


def png(
    width: int, height: int, *, bits: int = 8, colour: int = 2, interlaced: bool = False, extra: bytes = b"", rows: bool = True, size: int | None = None
) -> bytes:
    """A PNG that is black; `rows` False: its header alone."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    pixels = chunk(b"IDAT", zeros(size or height * (1 + (width * channels * bits + 7) // 8))) if rows else b""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced)))
    return b"\x89PNG\r\n\x1a\n" + head + extra + palette + pixels + chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG whose header promises another size than its pixels have."""
    content = bytearray(encoded("JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with further segments after its first bytes: (marker, content)."""
    content = encoded("JPEG")
    return content[:2] + b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments) + content[2:]


def scans(copies: int, side: int = 4_800) -> bytes:
    """A progressive JPEG whose last scan is there many times: little to read, long to unpack."""
    content = encoded("JPEG", Image.new("RGB", (side, side), (90, 60, 30)), progressive=True, subsampling=0)
    last = content.rindex(SOS)
    return content[:last] + content[last:-2] * copies + content[-2:]


def exif(orientation: object, *, form: str = "JPEG", image: Image.Image | None = None) -> bytes:
    head = Image.Exif()
    head[0x0112] = orientation
    return encoded(form, image, exif=head)


def webp(kind: bytes, width: int, height: int, flags: int = 0) -> bytes:
    """A WebP header without pixels."""
    if kind == b"VP8X":
        body = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        body = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(9)
    else:
        body = b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(8)
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


def cut(form: str, share: float, **more: object) -> bytes:
    content = encoded(form, **more)
    return content[: int(len(content) * share)]


def flipped(form: str, seed: int) -> bytes:
    draw, content = np.random.default_rng(seed), bytearray(encoded(form))
    for place in draw.integers(12, len(content), 24):
        content[place] = int(draw.integers(256))
    return bytes(content)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../evil.txt", "x")
    return stream.getvalue()


def exr() -> bytes:
    """An OpenEXR header followed by NaN."""
    return b"\x76\x2f\x31\x01\x02\0\0\0channels\0chlist\0" + b"\0" * 64 + np.full(256, np.nan, np.float32).tobytes()
