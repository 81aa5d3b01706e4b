"""Counterpart quadruples of the corpus: true answers to a swap, for measuring only and never for training."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from generator.training.corpus import IMAGE_SIZE, Corpus
from generator.training.corpus import _columns as label_columns
from manifests.errors import InputError

PARTS = ("background", "identity", "expression", "target")


def load_counterparts(folder: Path, *, size: int = IMAGE_SIZE) -> dict[str, Corpus]:
    """Row i of each part belongs to quadruple i: `target` is the face of `identity` with the expression of `expression` in `background`.

    Raises InputError when the folder holds no counterpart shard.
    """
    shards = sorted(folder.rglob("counterpart-*.tar"))
    if not shards:
        raise InputError(f'corpus: no counterpart-*.tar in "{folder}". Give the folder that holds the shards with --corpus.')
    columns: dict[str, dict[str, list[Any]]] = {part: {name: [] for name in Corpus.__dataclass_fields__} for part in PARTS}
    for sample in (sample for path in shards for sample in _samples(path)):
        labels = json.loads(sample["json"])
        for part in PARTS:
            for name, value in label_columns(labels[part], sample[f"{part}.jpg"], sample[f"{part}.seg.png"], size).items():
                columns[part][name].append(value)
    return {part: Corpus(**{name: np.stack([np.asarray(v) for v in values]) for name, values in rows.items()}) for part, rows in columns.items()}


def _samples(shard: Path) -> Iterator[dict[str, bytes]]:
    """The files of each quadruple by what follows the first dot of their names; files of one quadruple lie together."""
    with tarfile.open(shard) as archive:
        sample: dict[str, bytes] = {}
        key = ""
        for member in archive:
            own, _, ending = member.name.partition(".")
            if own != key and sample:
                yield sample
                sample = {}
            key = own
            content = archive.extractfile(member)
            if content is not None:
                sample[ending] = content.read()
        if sample:
            yield sample
