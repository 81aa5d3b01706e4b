from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from jobs.marking.watermark import PRESENT_Z, embed, read
from tests.jobs.marking.pictures import natural

PAYLOAD = 0x123456789ABC


@pytest.fixture(scope="module")
def images():
    return [natural(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def marked(images):
    return [embed(image, PAYLOAD) for image in images]


def jpeg(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(image, side):
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def readings_are_sound(pictures):
    readings = [read(picture) for picture in pictures]
    return all(reading.sound and reading.payload == PAYLOAD for reading in readings)


def test_an_untouched_picture_gives_the_payload(marked):
    assert readings_are_sound(marked)


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_the_payload_survives_jpeg(marked, quality):
    assert readings_are_sound([jpeg(image, quality) for image in marked])


@pytest.mark.parametrize("side", [112, 256])
def test_the_payload_survives_mild_resizing(marked, side):
    assert readings_are_sound([jpeg(resized(image, side), 90) for image in marked])


def test_larger_pictures_carry_it_too():
    assert readings_are_sound([jpeg(embed(natural(3, side=256), PAYLOAD), 75)])


def test_the_change_is_small(images, marked):
    errors = [np.mean((image.astype(float) - other) ** 2) for image, other in zip(images, marked, strict=True)]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 38


@pytest.mark.parametrize("payload", [0, 2**48 - 1])
def test_every_payload_fits(images, payload):
    assert read(embed(images[0], payload)).payload == payload


def test_clean_pictures_read_as_unmarked(images):
    assert max(read(image).z for image in images) < PRESENT_Z


def test_z_of_random_keys_on_clean_pictures_has_variance_one(images):
    z = [read(image, key=f"{number}".encode()).z for image in images for number in range(100)]
    assert abs(np.mean(z)) < 0.15 and 0.9 < np.std(z) < 1.1 and max(z) < PRESENT_Z


def test_another_key_reads_nothing(marked):
    assert not any(read(image, key=b"other").present for image in marked)


def test_a_flat_picture_has_no_watermark():
    assert read(np.zeros((128, 128, 3), dtype=np.uint8)).z == 0


def test_a_black_picture_can_be_marked_without_an_error():
    assert embed(np.zeros((128, 128, 3), dtype=np.uint8), PAYLOAD).shape == (128, 128, 3)


def test_a_payload_that_is_too_long_is_refused(images):
    with pytest.raises(ValueError, match="48 bits"):
        embed(images[0], 2**48)


def test_bit_accuracy_counts_equal_bits(marked):
    assert read(marked[0]).bit_accuracy(PAYLOAD ^ 0b111) == 1 - 3 / 48
