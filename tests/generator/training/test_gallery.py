from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from generator.training.corpus import Corpus
from generator.training.gallery import HELD_OUT, TRAINING, write_gallery


def test_a_person_is_a_row_with_the_unit_mean_of_the_pictures(drawn_corpus: Corpus, tmp_path: Path):
    draw = np.random.default_rng(3)
    gate = draw.standard_normal((len(drawn_corpus), 8)).astype(np.float32)
    phashes = draw.integers(0, 2**63, len(drawn_corpus), dtype=np.uint64)
    fine = [draw.bytes(32) for _ in range(len(drawn_corpus))]
    people = write_gallery(drawn_corpus, {"gate": gate}, phashes, fine, tmp_path / "gallery.parquet")
    rows = pq.read_table(tmp_path / "gallery.parquet").to_pylist()
    assert len(rows) == people == len(np.unique(drawn_corpus.identity))
    for row, person in zip(rows, np.unique(drawn_corpus.identity), strict=True):
        members = drawn_corpus.identity == person
        mean = gate[members].mean(axis=0)
        assert np.allclose(row["gate"], mean / np.linalg.norm(mean), atol=2e-3)
        assert row["phash64"] == phashes[members].tolist()
        assert row["phash256"] == [fine[member] for member in np.flatnonzero(members)]
        assert row["set"] == (HELD_OUT if drawn_corpus.held_out[members][0] else TRAINING)


def test_a_tile_is_kept_for_each_person_that_has_one_and_there_is_no_column_without_any(drawn_corpus: Corpus, tmp_path: Path):
    gate = np.ones((len(drawn_corpus), 8), np.float32)
    hashes, fine = np.zeros(len(drawn_corpus), np.uint64), [bytes(32)] * len(drawn_corpus)
    first, *others = np.unique(drawn_corpus.identity).tolist()
    write_gallery(drawn_corpus, {"gate": gate}, hashes, fine, tmp_path / "tiled.parquet", tiles={first: b"webp"})
    write_gallery(drawn_corpus, {"gate": gate}, hashes, fine, tmp_path / "plain.parquet")
    tiled, plain = pq.read_table(tmp_path / "tiled.parquet"), pq.read_table(tmp_path / "plain.parquet")
    assert tiled["tile"].to_pylist() == [b"webp", *[None] * len(others)]
    assert "tile" not in plain.column_names and tiled.drop_columns(["tile"]).equals(plain)
