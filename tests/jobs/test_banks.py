from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from generator.training.trainables import Place
from jobs.banks import _tiles
from manifests.errors import InputError


def test_tiles_of_people_are_taken_from_the_work_folder_and_have_to_fit(tmp_path: Path):
    place = Place(corpus=tmp_path, work=tmp_path, bundled=tmp_path)
    assert _tiles(place) is None
    stream, folder = io.BytesIO(), tmp_path / "tiles"
    Image.new("RGB", (64, 64), (90, 120, 30)).save(stream, "WEBP")
    folder.mkdir()
    (folder / "000012.webp").write_bytes(stream.getvalue())
    assert _tiles(place) == {12: stream.getvalue()}
    (folder / "000013.webp").write_bytes(b"no picture")
    with pytest.raises(InputError, match="the tile of 13 can't be shown"):
        _tiles(place)
