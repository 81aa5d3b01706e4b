"""Counterpart quadruples of the corpus: true answers to a swap, for measuring only and never for training."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from generator.training.corpus import IMAGE_SIZE, Corpus
from generator.training.corpus import _columns as label_columns
from manifests.errors import InputError

PARTS = ("background", "identity", "expression", "target")


def load_counterparts(folder: Path, *, size: int = IMAGE_SIZE) -> dict[str, Corpus]:
    """The quadruples of all counterpart shards of a corpus folder. Raises InputError when it holds none."""
    shards = sorted(folder.rglob("counterpart-*.tar"))
    if not shards:
        raise InputError(f'corpus: no counterpart-*.tar in "{folder}". Give the folder that holds the shards with --corpus.')
    return read_counterparts(shards, size=size)


def read_counterparts(shards: Sequence[Path], *, size: int = IMAGE_SIZE, limit: int | None = None) -> dict[str, Corpus]:
    """Row i of each part belongs to quadruple i: `target` is the face of `identity` with the expression of `expression` in `background`.

    limit  read the first quadruples only; None: all
    Raises InputError when a shard can't be read or holds other samples.
    """
    columns: dict[str, dict[str, list[Any]]] = {part: {name: [] for name in Corpus.__dataclass_fields__} for part in PARTS}
    for path, sample in islice(((shard, sample) for shard in shards for sample in _samples(shard)), limit):
        try:
            labels = json.loads(sample["json"])
            for part in PARTS:
                for name, value in label_columns(labels[part], sample[f"{part}.jpg"], sample[f"{part}.seg.png"], size).items():
                    columns[part][name].append(value)
        except KeyError as error:
            raise InputError(f'counterparts: a sample of "{path}" has no {error}. Name counterpart-*.tar shards of the corpus.') from error
    if not columns[PARTS[0]]["identity"]:
        raise InputError("counterparts: there are no quadruples. Name counterpart-*.tar shards of the corpus, and a limit of 1 or more.")
    return {part: Corpus(**{name: np.stack([np.asarray(v) for v in values]) for name, values in rows.items()}) for part, rows in columns.items()}


def _samples(shard: Path) -> Iterator[dict[str, bytes]]:
    """The files of each quadruple by what follows the first dot of their names; files of one quadruple lie together."""
    try:
        archive = tarfile.open(shard)  # noqa: SIM115 - closed below
    except (OSError, tarfile.TarError) as error:
        raise InputError(f'counterparts: "{shard}" can\'t be read as a tar file ({error}). Name counterpart-*.tar shards of the corpus.') from error
    with archive:
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
