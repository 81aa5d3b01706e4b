from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from manifests.errors import InputError
from qc.images import ImageLimits, Picture, Refused, decode_picture, pixel_sha256, read_picture, require_picture
from tests.qc.nets import pictures


def encoded(image: Image.Image, form: str = "PNG", **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **more)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_lossless_pictures_keep_their_pixels_and_their_pixel_hash(form):
    rgb = pictures(1)[0]
    picture = decode_picture(encoded(Image.fromarray(rgb), form, lossless=True))
    assert isinstance(picture, Picture)
    assert np.array_equal(picture.image_rgb, rgb)
    assert picture.pixel_sha256 == pixel_sha256(rgb)
    assert picture.form == form.lower()


def test_exif_orientation_is_applied():
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[:, :30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees clockwise when shown
    picture = decode_picture(encoded(Image.fromarray(rgb), exif=exif))
    assert isinstance(picture, Picture)
    assert picture.image_rgb.shape == (60, 40, 3)
    assert picture.image_rgb[0].min() == 255 and picture.image_rgb[-1].max() == 0


def test_transparent_pixels_become_grey():
    picture = decode_picture(encoded(Image.new("RGBA", (40, 40), (255, 0, 0, 0))))
    assert isinstance(picture, Picture)
    assert set(picture.image_rgb.reshape(-1).tolist()) == {127}


def test_sixteen_bit_grey_is_scaled_not_clipped():
    picture = decode_picture(encoded(Image.fromarray(np.full((40, 40), 0x8000, np.uint16))))
    assert isinstance(picture, Picture)
    assert int(picture.image_rgb[0, 0, 0]) == 128


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just some text", "not_a_picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "not_a_picture"),
        (encoded(Image.new("RGB", (1, 1))), "too_small"),
        (encoded(Image.new("RGB", (64, 64)), "GIF"), "not_a_picture"),
        (encoded(Image.fromarray(pictures(1)[0]), "JPEG")[:2000], "damaged"),
        (encoded(Image.fromarray(pictures(1)[0]))[:9000], "damaged"),
    ],
)
def test_what_is_no_usable_picture_is_refused_with_its_reason(content, reason):
    refused = decode_picture(content)
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_a_header_that_promises_too_many_pixels_is_refused_before_they_are_unpacked():
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    header = (50_000).to_bytes(4, "big") + (50_000).to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    refused = decode_picture(bomb)
    assert isinstance(refused, Refused)
    assert refused.reason in ("too_many_pixels", "damaged")


def test_limits_hold_for_bytes_and_pixels():
    content = encoded(Image.fromarray(pictures(1)[0]))
    assert decode_picture(content, ImageLimits(max_bytes=100)).reason == "too_many_bytes"  # type: ignore[union-attr]
    assert decode_picture(content, ImageLimits(max_pixels=1000)).reason == "too_many_pixels"  # type: ignore[union-attr]


def test_a_missing_file_is_named(tmp_path):
    assert read_picture(tmp_path / "none.png").reason == "missing"  # type: ignore[union-attr]
    with pytest.raises(InputError, match="none.png"):
        require_picture(tmp_path / "none.png")
