"""The rendered face corpus as arrays, read once from its WebDataset shards."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from numpy.typing import NDArray
from PIL import Image

from manifests.errors import InputError

IMAGE_SIZE = 128
NUM_HELD_OUT_IDENTITIES = 60
BLOCK = 60  # expressions are shared inside blocks of 60 consecutive identities only
AUDIT_BLOCKS = frozenset({1, 3, 6, 8, 11, 13, 16})  # identities that the auditor learns from and nothing else does
BASICS = ("neutral", "happiness", "surprise", "fear", "anger", "sadness", "disgust", "contempt")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
NUM_ATTRIBUTES = 16


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """N rendered portraits with exact labels; every array has N rows.

    images_rgb (N, 128, 128, 3) uint8; labels (N, 128, 128) uint8, the ten classes of the corpus' label map;
    landmarks5_px (N, 5, 2) and landmarks68_px (N, 68, 2) in pixels of the 128-pixel image, pixel centres at +0.5;
    units (N, 34) in 0..1; lateral (N,) in -1..1; pose_deg (N, 3) yaw, pitch, roll; attributes (N, 16) of the identity, about 0..1.
    """

    sample_id: NDArray[np.str_]
    images_rgb: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    landmarks5_px: NDArray[np.float32]
    landmarks68_px: NDArray[np.float32]
    units: NDArray[np.float32]
    lateral: NDArray[np.float32]
    pose_deg: NDArray[np.float32]
    identity: NDArray[np.int64]
    expression: NDArray[np.int64]
    basic: NDArray[np.int64]
    word: NDArray[np.str_]
    attributes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.identity)

    def rows(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Corpus:
        """The corpus restricted to some rows."""
        return Corpus(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    def joined(self, other: Corpus) -> Corpus:
        """The rows of both. Raises InputError when they share a person."""
        both = np.intersect1d(self.identity, other.identity)
        if len(both):
            raise InputError(f"corpus: {len(both)} people are in two families of shards, such as {int(both[0])}. Render one with another --first-identity.")
        return Corpus(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__dataclass_fields__})

    @property
    def held_out(self) -> NDArray[np.bool_]:
        """True for the identities that no training may see: the last 60."""
        return self.identity > self.identity.max() - NUM_HELD_OUT_IDENTITIES

    @property
    def audit(self) -> NDArray[np.bool_]:
        """True for the identities reserved for the auditor's training."""
        return np.isin(self.identity // BLOCK, list(AUDIT_BLOCKS)) & ~self.held_out


def identity_attributes(identity: dict[str, Any]) -> list[float]:
    """Sixteen numbers that describe an identity: sex, age, descent, build, darkness, eye, lip and beard."""
    beard = [float(identity["beard"] == name) for name in BEARDS[1:]]
    ethnicity = identity["ethnicity"]
    return [
        identity["gender"], identity["age"], ethnicity["african"], ethnicity["asian"], ethnicity["caucasian"],
        identity["muscle"], identity["weight"], identity["dark"], *identity["eye_rgb"], identity["brow_density"], *beard,
    ]  # fmt: skip


def load_corpus(folder: Path, *, size: int = IMAGE_SIZE, pattern: str = "cg-*.tar") -> Corpus:
    """Reads every shard of a corpus folder; 7,200 images take about half a minute and 0.5 GB.

    Raises InputError when the folder holds no shard.
    """
    shards = _shards(folder, pattern)
    if not shards:
        raise InputError(f'corpus: no {pattern} in "{folder}". Give the folder that holds the shards with --corpus.')
    columns: dict[str, list[Any]] = {name: [] for name in Corpus.__dataclass_fields__}
    for sample in webdataset.WebDataset(shards, shardshuffle=False):
        label = json.loads(sample["json"])
        for name, value in _columns(label, sample["jpg"], sample["seg.png"], size).items():
            columns[name].append(value)
    return Corpus(**{name: np.stack([np.asarray(v) for v in values]) for name, values in columns.items()})


def has_shards(folder: Path, pattern: str) -> bool:
    """Whether a corpus folder has shards of a family."""
    return bool(_shards(folder, pattern))


def _shards(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path) for path in folder.glob(pattern)) or sorted(str(path) for path in folder.glob(f"shards/{pattern}"))


def decode_portrait(jpeg: bytes, size: int) -> NDArray[np.uint8]:
    """An image file as (size, size, 3) RGB."""
    image = Image.open(io.BytesIO(jpeg), formats=("JPEG", "PNG")).convert("RGB")
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS) if image.width != size else image)


def decode_label_map(png: bytes, size: int) -> NDArray[np.uint8]:
    """A label map as (size, size) class numbers."""
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST), dtype=np.uint8)


def _columns(label: dict[str, Any], jpeg: bytes, png: bytes, size: int) -> dict[str, Any]:
    scale = size / 160.0
    expression, pose = label["expression"], label["pose"]
    return {
        "sample_id": label["sample_id"],
        "images_rgb": decode_portrait(jpeg, size),
        "labels": decode_label_map(png, size),
        "landmarks5_px": np.asarray(label["landmarks5"], dtype=np.float32) * scale,
        "landmarks68_px": np.asarray(label["landmarks"], dtype=np.float32) * scale,
        "units": np.asarray(expression["units"], dtype=np.float32),
        "lateral": np.float32(expression["lateral"]),
        "pose_deg": np.asarray([pose["yaw"], pose["pitch"], pose["roll"]], dtype=np.float32),
        "identity": np.int64(label["identity_id"]),
        "expression": np.int64(expression["expression_id"]),
        "basic": np.int64(BASICS.index(expression["basic"])),
        "word": expression["word"],
        "attributes": np.asarray(identity_attributes(label["identity"]), dtype=np.float32),
    }


def identity_groups(identity: NDArray[np.int64]) -> Sequence[NDArray[np.int64]]:
    """Row numbers of each identity, identities in ascending order."""
    order = np.argsort(identity, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(identity[order])) + 1)
