from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from generator.training.corpus import Corpus
from generator.training.counterparts import PARTS, load_counterparts, read_counterparts
from manifests.errors import InputError
from tests.generator.training.drawn import add, label_of, png


@pytest.fixture
def shard(drawn_corpus: Corpus, tmp_path: Path) -> Path:
    """Three quadruples of the pictures 0, 1, 2, ..."""
    path = tmp_path / "shards" / "counterpart-000000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for number in range(3):
            rows = {part: 4 * number + place for place, part in enumerate(PARTS)}
            for part, row in rows.items():
                add(archive, f"cp{number}.{part}.jpg", png(drawn_corpus.images_rgb[row]))
                add(archive, f"cp{number}.{part}.seg.png", png(drawn_corpus.labels[row]))
            add(archive, f"cp{number}.json", json.dumps({part: label_of(drawn_corpus, row) for part, row in rows.items()}).encode())
    return path


def test_rows_of_the_parts_belong_together(drawn_corpus: Corpus, shard: Path):
    quadruples = load_counterparts(shard.parent.parent)
    assert list(quadruples) == list(PARTS)
    for place, part in enumerate(PARTS):
        assert np.array_equal(quadruples[part].images_rgb, drawn_corpus.images_rgb[place:12:4])
        assert np.allclose(quadruples[part].landmarks5_px, drawn_corpus.landmarks5_px[place:12:4], atol=1e-3)


def test_limit_reads_the_first_ones(shard: Path):
    assert len(read_counterparts([shard], limit=2)["target"]) == 2
    assert len(read_counterparts([shard, shard], limit=4)["target"]) == 4


def test_unusable_shards_are_named(shard: Path, tmp_path: Path):
    with pytest.raises(InputError, match="missing.tar"):
        read_counterparts([tmp_path / "missing.tar"])
    (tmp_path / "text.tar").write_text("no tar")
    with pytest.raises(InputError, match="text.tar"):
        read_counterparts([tmp_path / "text.tar"])
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        add(archive, "a.json", b"{}")
    with pytest.raises(InputError, match="other.tar"):
        read_counterparts([tmp_path / "other.tar"])
    with pytest.raises(InputError, match="limit of 1 or more"):
        read_counterparts([shard], limit=0)
    with pytest.raises(InputError, match="no counterpart"):
        load_counterparts(tmp_path / "shards" / "empty")
