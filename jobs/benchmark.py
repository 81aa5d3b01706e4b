"""The swap benchmark's pictures: quadruples with an exact answer, and what each method makes of them."""

# N quadruples, H W pixels

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.diffsfsr import DiffSFSR
from generator.masks import hole
from generator.sampler import SamplerConfig
from generator.training.corpus import Corpus
from generator.training.counterparts import read_counterparts
from generator.training.expression_labels import unit_labels
from manifests.face_mask import face_mask
from manifests.geometry import similarity_transform
from manifests.rows import ConditionBatch, row_seed
from qc.alignment import recogniser_crops
from qc.expression import ExpressionEncoder
from qc.recognition import Recogniser

OURS, UNCHANGED, PASTE, EXACT = "facemint", "unchanged background", "naive paste", "exact target"
BATCH_SIZE = 8
RUN_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Quadruples:
    """N swaps: the face of `identity` with the expression of `expression` in the picture `background` is `target`."""

    background: Corpus
    identity: Corpus
    expression: Corpus
    target: Corpus
    face_mask: NDArray[np.uint8]  # (N, H, W), of the background's face, from the true label map and landmarks
    hole: NDArray[np.uint8]  # (N, H, W), pixels that a method may change

    def __len__(self) -> int:
        return len(self.target)

    @property
    def requested_units(self) -> NDArray[np.float32]:
        """(N, 35) units that were asked for."""
        return unit_labels(self.target)

    @property
    def own_units(self) -> NDArray[np.float32]:
        """(N, 35) units of the background's own person."""
        return unit_labels(self.background)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Cost of making one picture, nets that read the references not counted."""

    seconds: float  # by the clock
    cpu_seconds: float  # of the process; less than `seconds` when the machine had other work


def load_quadruples(shards: Sequence[Path], *, size: int, limit: int | None = None) -> Quadruples:
    """Reads counterpart shards."""
    parts = read_counterparts(shards, size=size, limit=limit)
    background = parts["background"]
    masks = np.stack([face_mask(labels, points) for labels, points in zip(background.labels, background.landmarks68_px, strict=True)])
    return Quadruples(**parts, face_mask=masks, hole=np.stack([hole(mask) for mask in masks]))


def conditions_of(quadruples: Quadruples, encoders: Mapping[str, Recogniser], expression_encoder: ExpressionEncoder) -> ConditionBatch:
    """What the core sees: pictures of the other person and of the expression read at their true five points, and the background."""
    faces = recogniser_crops(quadruples.identity.images_rgb, list(quadruples.identity.landmarks5_px))
    shown = recogniser_crops(quadruples.expression.images_rgb, list(quadruples.expression.landmarks5_px))
    return ConditionBatch(
        identity_embeddings={name: encoder.embed(faces) for name, encoder in encoders.items()},
        expression_embedding=expression_encoder.encode(shown),
        background_rgb=quadruples.background.images_rgb,
        face_mask=quadruples.face_mask,
    )


def swap_all(core: DiffSFSR, conditions: ConditionBatch, sampler: SamplerConfig, *, tick: Callable[[int], None]) -> tuple[NDArray[np.uint8], Speed]:
    """The core's pictures (N, H, W, 3) in batches of equal shape, and what one of them cost; `tick` hears of rows that are done."""
    count = conditions.num_rows
    seeds = np.array([row_seed(RUN_SEED, row, 0) for row in range(count)], dtype=np.int64)
    made, wall, cpu = [], 0.0, 0.0
    for start in range(0, count, BATCH_SIZE):
        rows = np.minimum(np.arange(start, start + BATCH_SIZE), count - 1)  # the last batch is padded with its last row
        clock, process = time.perf_counter(), time.process_time()
        pictures = core.generate(_take(conditions, rows), seeds[rows], sampler)
        wall, cpu = wall + time.perf_counter() - clock, cpu + time.process_time() - process
        made.append(pictures[: count - start])
        tick(len(made[-1]))
    return np.concatenate(made), Speed(seconds=wall / (len(made) * BATCH_SIZE), cpu_seconds=cpu / (len(made) * BATCH_SIZE))


def naive_paste(quadruples: Quadruples) -> NDArray[np.uint8]:
    """The identity picture moved, turned and scaled so that its five points meet the background's, cut by the background's face mask."""
    out = quadruples.background.images_rgb.copy()
    height, width = out.shape[1:3]
    matrices = similarity_transform(quadruples.identity.landmarks5_px, quadruples.background.landmarks5_px)
    for picture, source, matrix, mask in zip(out, quadruples.identity.images_rgb, matrices, quadruples.face_mask, strict=True):
        shifted = matrix.copy()
        shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
        moved = cv2.warpAffine(source, shifted, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        picture[mask > 0] = moved[mask > 0]
    return out


def all_methods(quadruples: Quadruples, ours: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Pictures (N, H, W, 3) of every method that is compared."""
    return {
        OURS: ours,
        UNCHANGED: quadruples.background.images_rgb,
        PASTE: naive_paste(quadruples),
        EXACT: quadruples.target.images_rgb,
    }


def _take(conditions: ConditionBatch, rows: NDArray[np.integer]) -> ConditionBatch:
    return ConditionBatch(
        identity_embeddings={name: embedding[rows] for name, embedding in conditions.identity_embeddings.items()},
        expression_embedding=conditions.expression_embedding[rows],
        background_rgb=conditions.background_rgb[rows],
        face_mask=conditions.face_mask[rows],
    )
