from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.config import RunConfig
from jobs.pictures import read_attempts
from jobs.sections import QCSection
from jobs.shards import read_markers
from jobs.summary_inputs import EXTRA, MAX_MEASURED, _spread_shards, read_run_tables
from jobs.summary_pictures import MAX_EMBEDDED, MAX_REJECTED, MAX_SHARDS, choose_rows, read_gallery, read_samples
from manifests.errors import InputError
from qc.report.inputs import reason_bits
from tests.jobs.coloured import ColouredSpec, fill


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("coloured") / "run"
    fill(place, spec=ColouredSpec(acceptance=0.5, raising_slots=(3,)), max_attempts=2)
    return place


@pytest.fixture(scope="module")
def tables(folder):
    return read_run_tables(folder, read_markers(folder))


def test_attempts_are_those_of_the_attempt_tables(folder, tables):
    known = read_attempts(folder)
    for name in ("slot", "attempt", "seed", "accepted"):
        assert tables.attempts[name].tolist() == known[name].tolist()
    assert tables.attempts["reasons"].tolist() == [reason_bits(list(reasons)) for reasons in known["reasons"]]


def test_what_was_not_measured_is_missing_and_not_zero(tables):
    assert tables.attempts[list(EXTRA)].isna().all(axis=None) and tables.attempts["obs_prob_anger"].isna().all()
    assert tables.attempts["sim_gate_ref"].between(0, 1).all()
    assert not tables.labels["has_phash"].any()


def test_slots_carry_their_status_and_text_once(tables):
    status = tables.slots["status"].value_counts().to_dict()
    assert tables.slots["slot"].tolist() == list(range(24)) and status["quarantined"] == 1 and status["unfilled"] >= 1
    assert str(tables.slots["expression"].dtype) == "category"
    assert len(tables.labels) == status["filled"] == int(tables.attempts["accepted"].sum())


def test_hashes_tell_pictures_apart(folder, tables):
    pictures = [content for _, content, _ in read_samples(folder, read_markers(folder), {f"{slot:012d}": None for slot in range(24)})]
    assert len(pictures) == len(tables.labels) and tables.labels["file_hash"].nunique() == len(set(pictures))


def test_pictures_of_a_run_come_with_their_label_maps(folder, tables):
    lost = tables.attempts[~tables.attempts["accepted"]].iloc[0]
    key = f"{lost['slot']:012d}_{lost['attempt']:03d}"
    [(found, picture, label_map)] = read_samples(folder, read_markers(folder), {key: None})
    assert found == key and picture.startswith(b"\x89PNG") and label_map is not None and label_map != picture


def test_the_spread_of_pictures_is_bounded_and_has_a_face(tables):
    count = 20_000
    faces = np.where(np.arange(count) % 7 == 0, np.nan, 1.0)
    attempts = pd.DataFrame({"slot": np.arange(count), "attempt": 0, "accepted": np.arange(count) % 3 > 0, "landmark5_x0": faces})
    rows = choose_rows(attempts, [(0, count)])
    assert len(rows) == MAX_EMBEDDED + MAX_REJECTED and np.isfinite(faces[rows]).all() and rows[-1] > 0.99 * count
    shards = [(start, start + 100) for start in range(0, count, 100)]
    assert len(np.unique(choose_rows(attempts, shards) // 100)) <= MAX_SHARDS


def test_measurements_are_read_of_a_spread_of_the_shards_where_there_are_many():
    chosen = _spread_shards({f"train-{k:06d}": MAX_MEASURED // 10 for k in range(100)})
    assert len(chosen) == 10 and {"train-000000", "train-000099"} <= chosen


def test_the_bundled_gallery_is_unit_centres_and_hashes_of_two_kinds_of_people(bundled):
    people = read_gallery(RunConfig())
    assert people is not None and people.gate is not None
    assert (~people.held_out).sum() > people.held_out.sum() > 0 and len(people.phash64) == len(people.phash_owner)
    assert people.phash256 is not None and people.phash256.shape == (len(people.phash64), 32)
    assert np.allclose(np.linalg.norm(people.auditor, axis=1), 1, atol=1e-3)


def test_a_gallery_of_ones_own_needs_neither_a_gate_nor_hashes(tmp_path):
    rows = {"identity_id": ["a", "b"], "set": ["training", "held-out"], "auditor": [[3.0, 4.0], [1.0, 0.0]]}
    pq.write_table(pa.table(rows), tmp_path / "people.parquet")
    people = read_gallery(RunConfig(qc=QCSection(gallery=str(tmp_path / "people.parquet"))))
    assert people is not None and people.gate is None and people.held_out.tolist() == [False, True] and len(people.phash64) == 0
    assert people.phash256 is None
    assert people.auditor[0].tolist() == pytest.approx([0.6, 0.8])


def test_fine_hashes_that_do_not_belong_to_the_hashes_are_refused(tmp_path):
    rows = {"identity_id": ["a"], "set": ["training"], "auditor": [[1.0]], "phash64": [[1, 2]], "phash256": [[bytes(32)]]}
    pq.write_table(pa.table(rows), tmp_path / "people.parquet")
    with pytest.raises(InputError, match="32 bytes for each phash64"):
        read_gallery(RunConfig(qc=QCSection(gallery=str(tmp_path / "people.parquet"))))


def test_tiles_of_a_gallery_are_taken_as_they_are_or_refused_by_their_person(tmp_path, bundled):
    def read(*tiles: object) -> object:
        rows = {"identity_id": ["a", "b"], "set": ["training", "held-out"], "auditor": [[1.0], [1.0]], "tile": tiles}
        pq.write_table(pa.table(rows), tmp_path / "people.parquet")
        people = read_gallery(RunConfig(qc=QCSection(gallery=str(tmp_path / "people.parquet"))))
        return people and people.tiles

    ours = read_gallery(RunConfig())
    assert ours is not None and ours.tiles is not None and len(ours.tiles) == len(ours.identity_ids)
    tile = next(tile for tile in ours.tiles if tile is not None)
    assert read(tile, None) == (tile, None) and read(None, None) == (None, None)
    for unfit, words in ((b"GIF89a", "the tile of b can't be shown: it is not a JPEG"), (tile + bytes(5000), "at most 4,096 are read")):
        with pytest.raises(InputError, match=words):
            read(tile, unfit)
    with pytest.raises(InputError, match="the tile of a is no bytes"):
        read("a.webp", "b.webp")


def test_a_gallery_that_is_none_is_refused(tmp_path):
    pq.write_table(pa.table({"identity_id": ["a"]}), tmp_path / "people.parquet")
    for name, words in (("people.parquet", "no column set, auditor"), ("nobody.parquet", "can't be read")):
        with pytest.raises(InputError, match=words):
            read_gallery(RunConfig(qc=QCSection(gallery=str(tmp_path / name))))
