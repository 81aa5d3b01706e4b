"""A hundred hostile files that a user's folder of photographs may hold: bombs, torn and lying files, wrong kinds, odd modes and shapes."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.qc.hostile_bytes import chunk, cut, encoded, exif, exr, flipped, jpeg_of_size, jpeg_with, photo, png, scans, webp, zeros, zipped

USED, REFUSED, EITHER = "used", "refused", "either"


@dataclass(frozen=True, kw_only=True)
class HostileImage:
    name: str  # of the case
    file: str  # as the user has it
    make: Callable[[], bytes]
    expected: str  # used, refused, or either: a decoder may read what is left of a torn file


def hostile_images() -> list[HostileImage]:
    """The cases, in a fixed order; nothing large is built before `make` is called."""
    found = [*_bombs(), *_heads(), *_torn(), *_kinds(), *_modes(), *_shapes()]
    assert len({case.name for case in found}) == len(found)
    return found


def _cases(expected: str, ending: str, cases: dict[str, Callable[[], bytes]]) -> list[HostileImage]:
    return [HostileImage(name=name, file=f"{name.replace(' ', '_')}.{ending}", make=make, expected=expected) for name, make in cases.items()]


def _bombs() -> list[HostileImage]:
    part = functools.partial
    return [
        *_cases(
            REFUSED,
            "png",
            {
                "bomb of 12,000 x 12,000": part(png, 12_000, 12_000),
                "bomb of 30,000 x 30,000": part(png, 30_000, 30_000),
                "bomb of 30,000 x 30,000, one bit": part(png, 30_000, 30_000, bits=1, colour=0),
                "bomb of 12,000 x 12,000, 16-bit RGBA": part(png, 12_000, 12_000, bits=16, colour=6),
                "bomb of 12,000 x 12,000, interlaced": part(png, 12_000, 12_000, bits=1, colour=0, interlaced=True),
                "bomb of 12,000 x 12,000, palette": part(png, 12_000, 12_000, colour=3),
                "bomb of 9,999 x 9,999": part(png, 9_999, 9_999),
                "bomb of 1,000,000 x 1,000": part(png, 1_000_000, 1_000, colour=0),
                "size of 2^31 - 1": part(png, 2**31 - 1, 2**31 - 1, rows=False),
                "size of 65,535 without pixels": part(png, 65_535, 65_535, rows=False),
            },
        ),
        *_cases(
            USED,
            "png",
            {
                "as many pixels as are allowed": part(png, 6_000, 4_000),
                "as many pixels as are allowed, 16-bit RGBA": part(png, 6_000, 4_000, bits=16, colour=6),
                "as many pixels as are allowed, interlaced": lambda: png(6_000, 4_000, colour=0, interlaced=True, size=6_000 * 4_000 + 8_000),
                "as many pixels as are allowed, turned": lambda: exif(6, form="PNG", image=Image.new("RGB", (6_000, 4_000))),
            },
        ),
        *_cases(
            REFUSED,
            "png",
            {
                "bomb behind the pixels it promises": lambda: png(64, 64, extra=chunk(b"iCCP", b"x\0\0" + zeros(400 << 20))),
            },
        ),
        *_cases(REFUSED, "jpg", {"JPEG of 65,500 x 65,500": part(jpeg_of_size, 65_500, 65_500), "JPEG of 5,000 scans": part(scans, 5_000)}),
        *_cases(EITHER, "jpg", {"JPEG of as many scans as are allowed": part(scans, 40)}),
        *_cases(
            USED,
            "jpg",
            {
                "JPEG of as many pixels as are allowed, progressive": lambda: encoded(
                    "JPEG", photo().resize((6_000, 4_000), Image.Resampling.NEAREST), progressive=True, subsampling=0
                ),
                "JPEG of as many pixels as are allowed, turned": lambda: exif(5, image=Image.new("RGB", (6_000, 4_000))),
            },
        ),
        *_cases(
            REFUSED,
            "webp",
            {
                "WebP of 16,383 x 16,383": part(webp, b"VP8L", 16_383, 16_383),
                "WebP of 2^24 x 2^24": part(webp, b"VP8X", 2**24, 2**24),
                "WebP of 16,383 x 16,383, lossy": part(webp, b"VP8 ", 16_383, 16_383),
            },
        ),
    ]


def _heads() -> list[HostileImage]:
    profile = b"ICC_PROFILE\0"
    return [
        *_cases(
            EITHER,
            "png",
            {
                "text that unpacks to 400 MB": lambda: png(64, 64, extra=chunk(b"zTXt", b"x\0\0" + zeros(400 << 20))),
                "international text that unpacks to 400 MB": lambda: png(64, 64, extra=chunk(b"iTXt", b"x\0\x01\0\0\0" + zeros(400 << 20))),
                "100 texts of 1 MB": lambda: png(64, 64, extra=chunk(b"zTXt", b"x\0\0" + zeros(1 << 20)) * 100),
                "200,000 empty chunks": lambda: png(64, 64, extra=chunk(b"tEXt", b"a\0b") * 200_000),
                "text of 16 MB": lambda: png(64, 64, extra=chunk(b"tEXt", b"a\0" + b"<script>" * (2 << 20))),
                "Exif that is no Exif": lambda: png(64, 64, extra=chunk(b"eXIf", b"\xff" * 4_096)),
                "chunk that promises 2 GB": lambda: png(64, 64, extra=struct.pack(">I", 2**31 - 1) + b"tEXt"),
                "APNG that promises 2^31 frames": lambda: png(64, 64, extra=chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
                "wrong checksum": lambda: encoded("PNG")[:-20] + b"\0\0\0\0" + encoded("PNG")[-16:],
                "pixels that end early": lambda: png(64, 64, size=64 * 40),
                "more pixels than rows": lambda: png(64, 64, size=64 << 20),
            },
        ),
        *_cases(
            EITHER,
            "jpg",
            {
                "400 segments of 64 kB": lambda: jpeg_with(*[(0xE1, bytes(65_000))] * 400),
                "profile in 255 parts": lambda: jpeg_with(*[(0xE2, profile + bytes([k, 255]) + bytes(60_000)) for k in range(1, 256)]),
                "profile whose parts are missing": lambda: jpeg_with((0xE2, profile + bytes([7, 200]) + bytes(100))),
                "XMP with entities": lambda: jpeg_with(
                    (0xE1, b"http://ns.adobe.com/xap/1.0/\0<!DOCTYPE a [" + b"<!ENTITY b '&c;&c;&c;'>" * 900 + b"]><a>&b;</a>")
                ),
                "Exif whose directory is itself": lambda: jpeg_with((0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08")),
                "Exif with 65,535 entries": lambda: jpeg_with((0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(60_000))),
                "Exif of zeros": lambda: jpeg_with((0xE1, b"Exif\0\0" + bytes(200))),
                "comment with a script": lambda: jpeg_with((0xFE, b"</script><script>alert(1)</script>")),
                "segment of no length": lambda: encoded("JPEG")[:2] + b"\xff\xe1\0\0" + encoded("JPEG")[2:],
                "restart markers everywhere": lambda: encoded("JPEG").replace(b"\xff\xd9", b"\xff\xd0" * 4_000 + b"\xff\xd9"),
                "JPEG of 500 x 500 with the pixels of 96 x 80": lambda: jpeg_of_size(500, 500),
                "JPEG of 96 x 0": lambda: jpeg_of_size(96, 0),
            },
        ),
        *_cases(USED, "jpg", {f"Exif orientation {value}": functools.partial(exif, value) for value in (0, 5, 9, 65_535)}),
    ]


def _torn() -> list[HostileImage]:
    part = functools.partial
    return [
        *_cases(
            REFUSED,
            "jpg",
            {
                "empty": lambda: b"",
                "one byte": lambda: b"\xff",
                "a JPEG's first bytes": lambda: b"\xff\xd8\xff",
                "zeros": lambda: bytes(1 << 20),
                "random bytes": lambda: np.random.default_rng(7).bytes(1 << 16),
                "a JPEG's beginning": part(cut, "JPEG", 0.1),
            },
        ),
        *_cases(
            EITHER,
            "jpg",
            {
                "half a JPEG": part(cut, "JPEG", 0.5),
                "a JPEG without its end": part(cut, "JPEG", 0.97),
                "half a progressive JPEG": part(cut, "JPEG", 0.5, progressive=True),
            },
        ),
        *_cases(REFUSED, "png", {"a PNG's first bytes": lambda: b"\x89PNG\r\n\x1a\n", "a PNG's beginning": part(cut, "PNG", 0.005)}),
        *_cases(EITHER, "png", {"half a PNG": part(cut, "PNG", 0.5), "a PNG without its end": part(cut, "PNG", 0.99)}),
        *_cases(REFUSED, "webp", {"a WebP's first bytes": lambda: b"RIFF\0\0\0\0WEBP", "half a WebP": part(cut, "WEBP", 0.5)}),
        *(
            case
            for form in ("JPEG", "PNG", "WEBP")
            for case in _cases(EITHER, form.lower(), {f"{form} with flipped bytes {k}": part(flipped, form, k) for k in range(3)})
        ),
    ]


def _kinds() -> list[HostileImage]:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>'
    made = {kind: functools.partial(encoded, kind) for kind in ("GIF", "TIFF", "BMP", "ICO", "PPM", "TGA", "PDF", "EPS", "PCX", "SGI", "DDS")}
    text: dict[str, bytes] = {
        "SVG": svg,
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "PSD": b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3),
        "FITS": b"SIMPLE  =                    T" + b" " * 50 + b"END".ljust(2_850),
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
        "program": b"\x7fELF" + bytes(200),
        "HEIC": b"\0\0\0\x18ftypheic" + bytes(200),
        "gzip": b"\x1f\x8b\x08\0" + bytes(100),
        "Radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n",
        "GIF and script": b"GIF89a/*" + b"\0" * 40 + b"*/=1;alert(1)",
    }
    return [
        *_cases(REFUSED, "jpg", made),
        *_cases(REFUSED, "jpg", {name: functools.partial(bytes, content) for name, content in text.items()}),
        *_cases(REFUSED, "jpg", {"zip": zipped, "OpenEXR with NaN": exr}),
        *_cases(
            USED,
            "jpg",
            {
                "JPEG and zip": lambda: encoded("JPEG") + zipped(),
                "PNG and HTML": lambda: encoded("PNG") + b"<script>alert(1)</script>",
                "PNG named jpg": lambda: encoded("PNG"),
                "WebP named jpg": lambda: encoded("WEBP"),
            },
        ),
        *_cases(REFUSED, "png", {"animated PNG": lambda: encoded("PNG", save_all=True, append_images=[photo(96, 80).rotate(90)] * 3)}),
        *_cases(REFUSED, "webp", {"animated WebP": lambda: encoded("WEBP", save_all=True, append_images=[photo(96, 80).rotate(90)] * 3)}),
    ]


def _modes() -> list[HostileImage]:
    grey16 = Image.fromarray((np.arange(96 * 80, dtype=np.uint32).reshape(80, 96) * 8).astype(np.uint16))
    return [
        *_cases(USED, "jpg", {"CMYK": lambda: encoded("JPEG", photo(mode="CMYK")), "grey JPEG": lambda: encoded("JPEG", photo(mode="L"))}),
        *_cases(
            USED,
            "png",
            {
                "16-bit grey": lambda: encoded("PNG", grey16),
                "one bit": lambda: encoded("PNG", photo(mode="1")),
                "palette": lambda: encoded("PNG", photo(mode="P")),
                "palette, transparent": lambda: encoded("PNG", photo(mode="P"), transparency=0),
                "grey with alpha": lambda: encoded("PNG", photo(mode="LA")),
                "16-bit RGB": lambda: png(96, 80, bits=16),
                "RGBA": lambda: encoded("PNG", photo(mode="RGBA")),
            },
        ),
    ]


def _shapes() -> list[HostileImage]:
    part = functools.partial
    return _cases(
        REFUSED,
        "png",
        {
            "0 x 0": part(png, 0, 0, size=1),
            "1 x 1": part(png, 1, 1),
            "1 x 100,000": part(png, 1, 100_000),
            "100,000 x 1": part(png, 100_000, 1),
            "31 x 31": part(png, 31, 31),
        },
    )
