"""The swap benchmark's pictures: quadruples of the corpus, the three tasks that they pose, and what each method makes of them."""

# N quadruples, H W pixels

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

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

# DiffSFSR, section 4: swap all (SFSR), swap ID (face swapping, I_exp = I_bkg), swap EXP (reenactment, I_id = I_bkg).
TaskName = Literal["swap-all", "swap-id", "swap-expression"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)


@dataclass(frozen=True, kw_only=True)
class Quadruples:
    """N swaps: the face of `identity` with the expression of `expression` in the picture `background` is `target`."""

    background: Corpus
    identity: Corpus
    expression: Corpus
    target: Corpus | None  # None: the corpus has no exact answer to this task
    face_mask: NDArray[np.uint8]  # (N, H, W), of the background's face, from the true label map and landmarks
    hole: NDArray[np.uint8]  # (N, H, W), pixels that a method may change
    task: TaskName = "swap-all"

    def __len__(self) -> int:
        return len(self.background)

    @property
    def other_person(self) -> Corpus:
        """Pictures of whom the result must not look like: the background's person, or who shows the expression."""
        return self.expression if self.task == "swap-expression" else self.background

    @property
    def requested_units(self) -> NDArray[np.float32]:
        """(N, 35) units that were asked for."""
        return unit_labels(self.expression)

    @property
    def other_units(self) -> NDArray[np.float32]:
        """(N, 35) units that must not be kept: the background's, or those of the picture of the identity."""
        return unit_labels(self.identity if self.task == "swap-id" else self.background)


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
    holes = np.stack([hole(mask) for mask in masks])
    return Quadruples(
        background=background, identity=parts["identity"], expression=parts["expression"], target=parts["target"], face_mask=masks, hole=holes
    )


def task_of(quadruples: Quadruples, task: TaskName) -> Quadruples:
    """The quadruples of "swap-all" as another task: without an exact target, because the corpus renders those of "swap-all" only."""
    if task == "swap-id":
        return replace(quadruples, expression=quadruples.background, target=None, task=task)
    if task == "swap-expression":
        return replace(quadruples, identity=quadruples.background, target=None, task=task)
    return quadruples


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


def make_swaps(core: DiffSFSR, conditions: ConditionBatch, sampler: SamplerConfig, *, tick: Callable[[int], None], batch_size: int,
               run_seed: int) -> tuple[NDArray[np.uint8], Speed]:  # fmt: skip
    """The core's pictures (N, H, W, 3) in batches of equal shape, and what one of them cost; `tick` hears of rows that are done."""
    count = conditions.num_rows
    seeds = np.array([row_seed(run_seed, row, 0) for row in range(count)], dtype=np.int64)
    made, wall, cpu = [], 0.0, 0.0
    for start in range(0, count, batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), count - 1)  # the last batch is padded with its last row
        clock, process = time.perf_counter(), time.process_time()
        pictures = core.generate(_take(conditions, rows), seeds[rows], sampler)
        wall, cpu = wall + time.perf_counter() - clock, cpu + time.process_time() - process
        made.append(pictures[: count - start])
        tick(len(made[-1]))
    return np.concatenate(made), Speed(seconds=wall / (len(made) * batch_size), cpu_seconds=cpu / (len(made) * batch_size))


def naive_paste(quadruples: Quadruples) -> NDArray[np.uint8]:
    """The identity picture moved, turned and scaled so that its five points meet the background's, cut by the background's face mask.

    In "swap-expression" the identity is in the background already, and the picture that shows the expression is pasted.
    """
    lender = quadruples.expression if quadruples.task == "swap-expression" else quadruples.identity
    out = quadruples.background.images_rgb.copy()
    height, width = out.shape[1:3]
    matrices = similarity_transform(lender.landmarks5_px, quadruples.background.landmarks5_px)
    for picture, source, matrix, mask in zip(out, lender.images_rgb, matrices, quadruples.face_mask, strict=True):
        shifted = matrix.copy()
        shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
        moved = cv2.warpAffine(source, shifted, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        picture[mask > 0] = moved[mask > 0]
    return out


def all_methods(quadruples: Quadruples, ours: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Pictures (N, H, W, 3) of every method that is compared; the exact target where there is one."""
    methods = {OURS: ours, UNCHANGED: quadruples.background.images_rgb, PASTE: naive_paste(quadruples)}
    return methods if quadruples.target is None else {**methods, EXACT: quadruples.target.images_rgb}


def _take(conditions: ConditionBatch, rows: NDArray[np.integer]) -> ConditionBatch:
    return ConditionBatch(
        identity_embeddings={name: embedding[rows] for name, embedding in conditions.identity_embeddings.items()},
        expression_embedding=conditions.expression_embedding[rows],
        background_rgb=conditions.background_rgb[rows],
        face_mask=conditions.face_mask[rows],
    )
