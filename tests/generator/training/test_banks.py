from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from generator.training.banks import choose_scenes, scene_tags, write_expressions, write_scenes
from generator.training.corpus import Corpus
from manifests.face_mask import face_mask


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(6))


def test_scene_rows_hold_the_picture_and_its_own_conditions(few: Corpus, tmp_path: Path):
    embeddings = {"identity_arc": np.eye(6, 8, dtype=np.float32), "expression": np.ones((6, 32), dtype=np.float32)}
    assert write_scenes(few, embeddings, tmp_path / "scenes.parquet") == 6
    row = pq.read_table(tmp_path / "scenes.parquet").to_pylist()[4]
    assert row["scene_id"] == "bundled-004"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(row["image"]))), few.images_rgb[4])
    mask = np.asarray(Image.open(io.BytesIO(row["face_mask"])))
    assert np.array_equal(mask > 0, face_mask(few.labels[4], few.landmarks68_px[4]) > 0)
    assert np.allclose([row["yaw"], row["pitch"], row["roll"]], few.pose_deg[4])
    assert np.allclose(np.reshape(row["landmarks5"], (5, 2)), few.landmarks5_px[4])
    assert len(row["landmarks68"]) == 136
    assert np.allclose(row["units"], [*few.units[4], few.lateral[4]])
    assert row["identity_arc"] == np.eye(6, 8)[4].tolist()


def test_expression_rows_are_means_over_the_people_who_wear_them(drawn_corpus: Corpus, tmp_path: Path):
    embedding = np.arange(len(drawn_corpus), dtype=np.float32)[:, None].repeat(32, axis=1)
    count = write_expressions(drawn_corpus, embedding, tmp_path / "expressions.parquet", per_word=5)
    rows = pq.read_table(tmp_path / "expressions.parquet").to_pylist()
    assert count == len(rows) == 5  # one word only
    members = np.flatnonzero(drawn_corpus.expression == np.unique(drawn_corpus.expression)[0])
    assert rows[0]["embedding"] == [float(members.mean())] * 32
    assert {row["word"] for row in rows} == {"joy"}


def test_chosen_scenes_are_frontal_without_glasses_and_of_different_people(drawn_corpus: Corpus):
    labels, pose = drawn_corpus.labels.copy(), drawn_corpus.pose_deg.copy()
    labels[0, 60, 60] = 8
    pose[3, 0] = -40
    corpus = Corpus(**{**{name: getattr(drawn_corpus, name) for name in Corpus.__dataclass_fields__}, "labels": labels, "pose_deg": pose})
    rows = choose_scenes(corpus, count=100)
    assert not {0, 3} & set(rows.tolist())
    assert len(set(corpus.identity[rows])) == len(rows) == len(set(corpus.identity))
    assert len(choose_scenes(corpus, count=7)) == 7


def test_tags_follow_the_pixels_outside_the_face():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    mask = np.zeros((8, 8), dtype=np.uint8)
    image[mask == 0] = (250, 20, 240)
    mask[2:6, 2:6] = 1
    image[mask > 0] = 0
    assert scene_tags(image, mask, 20.0) == ["bright", "colourful", "turned-right"]
    assert scene_tags(image // 10, mask, -3.0) == ["dark", "muted", "frontal"]
