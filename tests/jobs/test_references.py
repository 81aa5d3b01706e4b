from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from jobs.references import Screener, Screening, folder_hash, screen_folder
from manifests.errors import InputError


@dataclass
class Eyes:
    landmarks5_px: np.ndarray


def face(eye_distance):
    return Eyes(np.array([[20, 30], [20 + eye_distance, 30], [30, 45], [22, 55], [38, 55]], dtype=np.float32))


def detect(image_rgb):
    """As many faces as the red value of the first pixel says; a green value gives the distance of the eyes."""
    count, distance = int(image_rgb[0, 0, 0]), int(image_rgb[0, 0, 1])
    return [face(distance) for _ in range(count)]


def objection(image_rgb, landmarks5_px):
    """Blue pictures are objected to."""
    return "it is too blue" if image_rgb[0, 0, 2] else None


SCREENER = Screener(detect=detect, objection=objection)


def picture(path, faces, distance=30, side=64, blue=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (faces, distance, blue)).save(path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "people"
    picture(folder / "ada.png", 1)
    picture(folder / "bob" / "1.png", 1)
    picture(folder / "bob" / "2.png", 1, distance=20)
    picture(folder / "empty.png", 0)
    picture(folder / "pair.png", 2)
    picture(folder / "far.png", 1, distance=5)
    picture(folder / "sea.png", 1, blue=9)
    picture(folder / "dot.png", 1, side=1)
    (folder / "note.txt").write_text("not a picture")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 not really")
    (folder / ".hidden").write_text("")
    return folder


def test_every_file_that_cannot_be_used_is_named_with_its_reason(folder):
    screening = screen_folder(folder, SCREENER, "identities")
    assert [(item.name, item.file) for item in screening.usable] == [("ada", "ada.png"), ("bob", "bob/1.png"), ("bob", "bob/2.png")]
    reasons = {item.file: item.reason for item in screening.unusable}
    assert set(reasons) == {"empty.png", "pair.png", "far.png", "sea.png", "dot.png", "note.txt", "cut.jpg"}
    assert "no face" in reasons["empty.png"]
    assert "2 faces, expected exactly one" in reasons["pair.png"]
    assert "5 px between the eyes" in reasons["far.png"]
    assert reasons["sea.png"] == "it is too blue"
    assert "1 x 1 pixels" in reasons["dot.png"]
    assert "not a JPEG, PNG or WebP" in reasons["note.txt"]


def test_a_folder_with_nothing_to_use_is_an_error_with_the_reasons(tmp_path):
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(InputError, match=r"none of the files .* as identities \(note.txt: it is not a JPEG"):
        screen_folder(tmp_path, SCREENER, "identities")


def test_a_path_that_is_no_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        screen_folder(tmp_path / "nowhere", SCREENER, "scenes")


def test_a_screening_survives_its_file(folder):
    screening = screen_folder(folder, SCREENER, "identities")
    assert Screening.from_json(screening.to_json()) == screening


def test_a_file_that_changed_after_the_plan_is_refused(folder):
    reference = screen_folder(folder, SCREENER, "identities").usable[0]
    assert reference.read(folder).shape == (64, 64, 3)
    picture(folder / reference.file, 1, distance=31)
    with pytest.raises(InputError, match="was changed after the run was planned"):
        reference.read(folder)


def test_the_hash_of_a_folder_follows_names_and_contents(folder):
    before = folder_hash(folder)
    assert folder_hash(folder) == before
    (folder / ".hidden").write_text("still ignored")
    assert folder_hash(folder) == before
    (folder / "note.txt").rename(folder / "other.txt")
    assert folder_hash(folder) != before
