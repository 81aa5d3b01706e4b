from __future__ import annotations

import numpy as np
import pytest

from qc.images import MAX_SCANS, Picture, Refused, decode_picture
from tests.qc.hostile import EITHER, REFUSED, USED, hostile_images
from tests.qc.hostile_bytes import encoded, scans
from tests.qc.reading_apart import Reading, read_all

PEAK_MB = 256.0
SECONDS = 5.0


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    return read_all()


def test_there_are_a_hundred_hostile_pictures_at_least():
    assert len(hostile_images()) >= 100


def test_no_hostile_picture_ends_its_process_or_raises(readings):
    assert [item for item in readings if item.outcome not in (USED, REFUSED)] == []


def test_hostile_pictures_are_used_or_refused_as_they_should_be(readings):
    assert [item for item in readings if item.expected != EITHER and item.outcome != item.expected] == []


def test_every_refusal_has_a_reason_in_one_line(readings):
    assert all(item.reason and item.detail.isprintable() for item in readings if item.outcome == REFUSED)


def test_no_hostile_picture_needs_more_memory_or_time_than_a_large_photograph(readings):
    assert [item for item in readings if item.peak_mb > PEAK_MB or item.seconds > SECONDS] == []


def test_a_jpeg_of_many_scans_is_refused_before_it_is_unpacked():
    refused = decode_picture(scans(MAX_SCANS + 1, side=64))
    assert isinstance(refused, Refused)
    assert refused.reason == "too_many_scans"


def test_a_progressive_jpeg_is_read():
    assert isinstance(decode_picture(encoded("JPEG", progressive=True)), Picture)


def test_what_follows_a_picture_in_its_file_changes_no_pixel():
    plain, followed = (decode_picture(encoded("PNG") + more) for more in (b"", b"<script>alert(1)</script>"))
    assert isinstance(plain, Picture)
    assert isinstance(followed, Picture)
    assert np.array_equal(plain.image_rgb, followed.image_rgb)
