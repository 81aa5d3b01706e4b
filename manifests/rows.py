"""One asked-for image, the shards that such rows are committed in, their seeds, and the arrays that answer them."""

# N rows, D width of an embedding, H W pixels

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError

Mode = Literal["all", "swap", "reenact"]
Split = Literal["train", "val", "test"]
MODES: tuple[Mode, ...] = get_args(Mode)
SPLITS: tuple[Split, ...] = get_args(Split)

# Word of a row that asks for no expression of its own: mode "swap" keeps the one in the background picture.
AS_BACKGROUND = "background"

SEED_BITS = 63


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One asked-for image, a slot: it is filled by the smallest attempt that passes the checks, or stays unfilled with a reason."""

    slot: int  # 0 .. num_slots - 1, also the sample id
    cell: int  # number of its identity x expression (x pose bin) (x scene) combination
    identity_id: str
    identity_index: int  # 0 .. num_identities - 1, training identities first
    expression: str  # a word of the vocabulary, or AS_BACKGROUND in mode "swap"
    intensity: float  # 0 .. 1 of the word's typical strength
    scene_id: str
    view: int  # 0 .. views per cell - 1
    mode: Mode  # all: new identity and expression; swap: identity only; reenact: expression only, the person is the scene's own
    split: Split
    pose_bin: str = ""  # of the scene: "0-15", "45+" degrees of |yaw|; "" where poses are no axis
    identity_group: str | None = None  # demographic group of the identity; None: unknown

    @property
    def sample_id(self) -> str:
        """Key of the sample in tar and Parquet: the slot as 12 digits."""
        return sample_id(self.slot)

    def seed(self, run_seed: int, attempt: int) -> int:
        """Seed of one attempt at this row."""
        return row_seed(run_seed, self.slot, attempt)


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A fixed range of slots of one split: the unit of commit."""

    split: Split
    index: int  # 0, 1, 2 ... within the split
    start: int  # first slot
    stop: int  # one after the last slot

    @property
    def name(self) -> str:
        """Stem of the shard's files."""
        return f"{self.split}-{self.index:06d}"

    @property
    def num_slots(self) -> int:
        """Slots in the shard."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class ConditionBatch:
    """What N rows are made from; encoders that the core needs are keys of `identity_embeddings`."""

    identity_embeddings: Mapping[str, NDArray[np.float32]]  # encoder -> (N, D), unit length
    expression_embedding: NDArray[np.float32]  # (N, De), as the expression encoder gives it
    background_rgb: NDArray[np.uint8]  # (N, H, W, 3)
    face_mask: NDArray[np.uint8]  # (N, H, W), 1 where the face is replaced

    def __post_init__(self) -> None:
        num_rows, height, width = _image_shape("background_rgb", self.background_rgb)
        if self.face_mask.shape != (num_rows, height, width) or self.face_mask.dtype != np.uint8 or self.face_mask.max(initial=0) > 1:
            got = f"{self.face_mask.dtype} {self.face_mask.shape}, maximum {self.face_mask.max(initial=0)}"
            raise InputError(f"conditions: face_mask is {got}, expected uint8 {(num_rows, height, width)} of 0 and 1. Threshold the mask.")
        for name, embedding in {**self.identity_embeddings, "expression": self.expression_embedding}.items():
            if embedding.ndim != 2 or len(embedding) != num_rows or embedding.dtype != np.float32:
                raise InputError(f"conditions: {name} embedding is {embedding.dtype} {embedding.shape}, expected float32 ({num_rows}, D).")
            if not np.isfinite(embedding).all():
                raise InputError(f"conditions: {name} embedding has values that are not finite. Look at the picture it came from.")
        for name, embedding in self.identity_embeddings.items():
            length = np.linalg.norm(embedding, axis=1)
            if np.abs(length - 1).max(initial=0) > 1e-3:
                raise InputError(f"conditions: {name} embedding has lengths {length.min():.4f} to {length.max():.4f}, expected 1. Normalise it.")

    @property
    def num_rows(self) -> int:
        """Rows in the batch."""
        return len(self.background_rgb)


@dataclass(frozen=True, kw_only=True)
class GeneratedBatch:
    """N generated images and the rows and attempts that they answer."""

    images_rgb: NDArray[np.uint8]  # (N, H, W, 3)
    slots: NDArray[np.int64]  # (N,)
    attempts: NDArray[np.int64]  # (N,)

    def __post_init__(self) -> None:
        num_rows, _, _ = _image_shape("images_rgb", self.images_rgb)
        for name, numbers in (("slots", self.slots), ("attempts", self.attempts)):
            if numbers.shape != (num_rows,) or numbers.dtype != np.int64:
                raise InputError(f"generated batch: {name} is {numbers.dtype} {numbers.shape}, expected int64 ({num_rows},).")

    @property
    def num_rows(self) -> int:
        """Images in the batch."""
        return len(self.images_rgb)


def sample_id(slot: int) -> str:
    """The slot as 12 digits."""
    return f"{slot:012d}"


def row_seed(run_seed: int, slot: int, attempt: int) -> int:
    """Seed of one attempt at one slot, 0 .. 2^63 - 1: a hash, so that it needs no rows before it.

    blake2b (RFC 7693) with a digest of 8 bytes over the three numbers as little-endian 64-bit integers; the highest bit is dropped.
    """
    message = np.array([run_seed, slot, attempt], dtype="<u8").tobytes()
    return int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "little") >> 1


def row_seeds(run_seed: int, slots: NDArray[np.int64], attempts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """row_seed of N slots and attempts."""
    pairs = zip(slots.tolist(), attempts.tolist(), strict=True)
    return np.array([row_seed(run_seed, slot, attempt) for slot, attempt in pairs], dtype=np.uint64)


def _image_shape(name: str, images: NDArray[np.uint8]) -> tuple[int, int, int]:
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise InputError(f"{name} is {images.dtype} {images.shape}, expected uint8 (N, H, W, 3).")
    return images.shape[0], images.shape[1], images.shape[2]
