from __future__ import annotations

import numpy as np
import pytest

from jobs import summary_copies
from jobs.images import decode_rgb
from jobs.shards import read_markers
from jobs.summary_copies import copy_candidates
from jobs.summary_inputs import read_run_tables
from jobs.summary_pictures import read_samples
from manifests.rows import sample_id
from qc.dataset.hashes import phash64, phash256, phash256_mirrored
from qc.report.inputs import Gallery
from tests.jobs.coloured import ColouredSpec, fill
from tests.qc.report.reports import embedded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("coloured") / "run"
    fill(place, spec=ColouredSpec(acceptance=0.5), max_attempts=2)
    return place


@pytest.fixture(scope="module")
def tables(folder):
    """Tables whose labels have hashes far from each other; the fifth accepted picture's and the eighth's are 3 and 1 bits from the gallery's."""
    found = read_run_tables(folder, read_markers(folder))
    hashes = np.random.default_rng(0).integers(0, 1 << 63, len(found.labels), dtype=np.uint64)
    hashes[[4, 7]] = (0b111, 0b1)
    found.labels["phash64"], found.labels["has_phash"] = hashes, True
    return found


def people(held_out: bool = False) -> Gallery:
    return Gallery(
        source="drawn", identity_ids=["a"], held_out=np.array([held_out]), gate=None, auditor=np.ones((1, 4), np.float32),
        phash64=np.zeros(1, np.uint64), phash256=np.zeros((1, 32), np.uint8), phash_owner=np.zeros(1, np.int64),
    )  # fmt: skip


def candidates(folder, tables, **known):
    return copy_candidates(folder, read_markers(folder), tables.attempts, tables.labels, **{"embedded": None, "gallery": people(), **known})


def test_candidates_by_the_labels_are_decoded_and_hashed(folder, tables):
    found = candidates(folder, tables)
    rows = np.flatnonzero(tables.attempts["accepted"])
    assert found.row.tolist() == [rows[4], rows[7]] and (found.num_compared, found.num_found) == (len(rows), 2)
    key = sample_id(int(tables.attempts["slot"][rows[4]]))
    [(_, content, _)] = read_samples(folder, read_markers(folder), {key: None})
    image = decode_rgb(content)
    assert found.phash64[0] == phash64(image)
    assert (found.phash256[0].tobytes(), found.mirrored_phash256[0].tobytes()) == (phash256(image), phash256_mirrored(image))


def test_the_nearest_are_decoded_where_there_are_too_many(folder, tables, monkeypatch):
    monkeypatch.setattr(summary_copies, "MAX_DECODED", 1)
    found = candidates(folder, tables)
    assert found.row.tolist() == [np.flatnonzero(tables.attempts["accepted"])[7]] and found.num_found == 2


def test_embedded_pictures_are_not_decoded_again(folder, tables):
    found = candidates(folder, tables, embedded=embedded(tables.attempts))
    assert len(found.row) == 0 == found.num_found and found.phash256.shape == (0, 32)


def test_without_hashes_of_training_people_there_is_nothing_to_compare(folder, tables):
    assert candidates(folder, tables, gallery=None) is None and candidates(folder, tables, gallery=people(held_out=True)) is None
