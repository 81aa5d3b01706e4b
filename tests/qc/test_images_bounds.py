from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from qc.images import ImageLimits, Picture, Refused, decode_picture
from tests.qc.nets import pictures


def encoded(image: Image.Image, form: str, **more: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **more)
    return stream.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_as_pillow_turns_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)), "PNG", exif=exif)
    picture = decode_picture(content)
    assert isinstance(picture, Picture)
    assert np.array_equal(picture.image_rgb, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))))


def test_pictures_taller_than_a_strip_are_whole():
    rgb = pictures(1, side=600)[0]
    picture = decode_picture(encoded(Image.fromarray(rgb), "PNG"))
    assert isinstance(picture, Picture)
    assert np.array_equal(picture.image_rgb, rgb)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_animations_are_refused(form):
    frames = [Image.fromarray(image) for image in pictures(3)]
    refused = decode_picture(encoded(frames[0], form, save_all=True, append_images=frames[1:]))
    assert isinstance(refused, Refused)
    assert refused.reason == "many_frames"


def test_a_camera_jpeg_with_a_preview_is_a_jpeg_of_its_first_frame():
    frames = [Image.fromarray(image) for image in pictures(2)]
    picture = decode_picture(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert isinstance(picture, Picture)
    assert picture.form == "jpeg"
    assert np.array_equal(picture.image_rgb, np.asarray(Image.open(io.BytesIO(encoded(frames[0], "MPO")))))


def test_a_webp_header_that_promises_too_many_pixels_is_refused_before_its_canvas_is_made():
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2 + b"VP8L" + struct.pack("<I", 5) + b"\x2f\0\0\0\0\0"
    refused = decode_picture(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)
    assert isinstance(refused, Refused)
    assert refused.reason == "too_many_pixels"


@pytest.mark.parametrize("lossless", [True, False])
def test_the_size_of_a_webp_is_read_from_its_header(lossless):
    content = encoded(Image.fromarray(pictures(1)[0]), "WEBP", lossless=lossless)
    assert isinstance(decode_picture(content, ImageLimits(max_pixels=2 * 128 * 128)), Picture)
    assert decode_picture(content, ImageLimits(max_pixels=2 * 128 * 128 - 2)).reason == "too_many_pixels"  # type: ignore[union-attr]


def test_cut_off_and_flipped_bytes_never_raise():
    draw = np.random.default_rng(3)
    for form in ("PNG", "JPEG", "WEBP"):
        content = bytearray(encoded(Image.fromarray(pictures(1)[0]), form))
        for _ in range(40):
            damaged = bytearray(content[: int(draw.integers(1, len(content)))] if draw.random() < 0.5 else content)
            for place in draw.integers(0, len(damaged), 8):
                damaged[place] = int(draw.integers(256))
            assert isinstance(decode_picture(bytes(damaged)), (Picture, Refused))
