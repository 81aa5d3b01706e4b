"""The half of a worker that makes pixels: conditions of a batch in, pictures out, in fewer rows at a time when the device's memory is short."""

# N attempts, M rows of a micro-batch, H W pixels

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from jobs.attempts import Attempt
from jobs.conditions import ConditionTables, Wish, condition_batch
from jobs.ray_actors import DeviceFull
from manifests.errors import InputError
from manifests.rows import ConditionBatch

# What other errors than torch.OutOfMemoryError say when a library below torch finds the device full.
_FULL = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "HIP error: out of memory")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pictures of a batch before they are encoded."""

    images_rgb: NDArray[np.uint8]  # (N, H, W, 3)
    finite: NDArray[np.bool_]  # (N,) False: the core's numbers weren't, so it is no picture


class Core(Protocol):
    """What draws pictures; generator.diffsfsr.DiffSFSR is one."""

    def draw(self, conditions: ConditionBatch, seeds: NDArray[np.integer], sampler: Any) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Pictures (M, H, W, 3), and (M,) whether the numbers behind them were finite."""
        ...


class Generate:
    """Makes pictures of attempts. Every call of the core has the same padded number of rows, so a picture depends on its own attempt only.

    When the device's memory runs out, that number is halved and stays so, with the same seeds. Bytes are equal for equal numbers only: what a
    kernel sums in which order follows from the shape of its input. At one row the memory can't be helped from here, and DeviceFull is raised.
    """

    def __init__(self, tables: ConditionTables, core: Core, sampler: Any, *, encoders: Sequence[str], batch_size: int) -> None:
        self.tables = tables
        self.core = core
        self.sampler = sampler
        self.encoders = tuple(encoders)
        self.batch_size = batch_size
        self.rows_at_once = batch_size  # M

    def __call__(self, attempts: Sequence[Attempt]) -> Pixels:
        """Pictures of at most a batch of attempts, in their order."""
        assert 0 < len(attempts) <= self.batch_size
        wishes = blaming(attempts, lambda some: [self.tables.wish(attempt) for attempt in some])
        conditions = blaming(wishes, lambda some: condition_batch(some, self.encoders))
        seeds = np.array([attempt.seed for attempt in attempts], dtype=np.int64)
        while True:
            try:
                return self._pixels(conditions, seeds)
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                if self.rows_at_once == 1:
                    raise DeviceFull("worker: the device's memory doesn't hold one picture. Put fewer workers on it (placement.gpus_per_worker).") from error
            _empty_cache()  # subtle: outside the except block, whose traceback would keep the tensors alive
            self.rows_at_once //= 2
            sys.stderr.write(f"facemint: the device's memory was full; this worker makes {self.rows_at_once} pictures at a time from now on\n")
            sys.stderr.flush()

    def _pixels(self, conditions: ConditionBatch, seeds: NDArray[np.int64]) -> Pixels:
        size, count = self.rows_at_once, len(seeds)
        drawn = []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)  # the last one again and again
            drawn.append(self.core.draw(_taken(conditions, rows), seeds[rows], self.sampler))
        images, finite = (np.concatenate(parts)[:count] for parts in zip(*drawn, strict=True))
        return Pixels(images_rgb=images, finite=finite)


def blaming(rows: Sequence[Any], call: Callable[[Sequence[Any]], T]) -> T:
    """The call on all rows (attempts or wishes); when it raises, the rows are tried one by one, and the error names the first that does so alone."""
    try:
        return call(rows)
    except Exception:
        for row in rows:
            attempt = row.attempt if isinstance(row, Wish) else row
            try:
                call([row])
            except Exception as error:
                raise InputError(
                    f"row {attempt.row.slot}, attempt {attempt.attempt} (identity {attempt.row.identity_id}, expression {attempt.row.expression}, "
                    f"scene {attempt.row.scene_id}): {type(error).__name__}: {error}"
                ) from error
        raise


def _taken(conditions: ConditionBatch, rows: NDArray[np.integer]) -> ConditionBatch:
    return ConditionBatch(
        identity_embeddings={name: embeddings[rows] for name, embeddings in conditions.identity_embeddings.items()},
        expression_embedding=conditions.expression_embedding[rows],
        background_rgb=conditions.background_rgb[rows],
        face_mask=conditions.face_mask[rows],
    )


def _is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL))


def _empty_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
