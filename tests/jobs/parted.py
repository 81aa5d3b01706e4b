"""A worker without a model that can be cut in two, and whose slots raise, kill their process or hoard memory as a test asks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.attempts import Answer, Attempt
from jobs.images import encode, pixel_sha256
from jobs.ray_actors import DeviceFull
from manifests.errors import WeightsError
from manifests.verdicts import Measurement, verdict
from tests.jobs.coloured import small_plan

HUNDRED_MB = 100 << 20


@dataclass(frozen=True, kw_only=True)
class PartedSpec:
    num_gpus: float = 0.0
    batch_seconds: float = 0.0
    raising_slot: int = -1
    fatal_slot: int = -1  # kills the process that makes it
    blinding_slot: int = -1  # kills the process that judges it
    full_slot: int = -1  # finds the device full
    hoarding: bool = False  # every batch holds another 100 MB
    missing_weights: bool = False
    broken_start: bool = False

    def build(self) -> Callable[[Sequence[Attempt]], list[Answer]]:
        make, judge = self.build_generate(), self.build_judge()
        return lambda attempts: judge(attempts, make(attempts))

    def build_generate(self) -> Maker:
        if self.missing_weights:
            raise WeightsError("weights: nothing is there. Restore it.")
        if self.broken_start:
            raise OSError("no such device")
        return Maker(self)

    def build_judge(self) -> Callable[[Sequence[Attempt], np.ndarray], list[Answer]]:
        return self.answers

    def answers(self, attempts: Sequence[Attempt], pixels: np.ndarray) -> list[Answer]:
        return [self.answer(attempt, image) for attempt, image in zip(attempts, pixels, strict=True)]

    def answer(self, attempt: Attempt, image: np.ndarray) -> Answer:
        if attempt.row.slot == self.blinding_slot:
            os._exit(9)
        return Answer(
            slot=attempt.row.slot,
            attempt=attempt.attempt,
            seed=attempt.seed,
            image=encode(image, "png"),
            label_map=encode(np.zeros(image.shape[:2], dtype=np.uint8), "png"),
            width=image.shape[1],
            height=image.shape[0],
            pixel_sha256=pixel_sha256(image),
            verdict=verdict([Measurement(name="mean", value=float(image.mean()), unit="grey")], []),
            labels={"process": os.getpid()},
        )


class Maker:
    def __init__(self, spec: PartedSpec) -> None:
        self.spec = spec
        self.hoard: list[bytes] = []

    def __call__(self, attempts: Sequence[Attempt]) -> np.ndarray:
        time.sleep(self.spec.batch_seconds)
        slots = [attempt.row.slot for attempt in attempts]
        if self.spec.fatal_slot in slots:
            os._exit(9)
        if self.spec.full_slot in slots:
            raise DeviceFull("worker: full")
        if self.spec.raising_slot in slots:
            raise ValueError(f"row {self.spec.raising_slot} has no picture")
        if self.spec.hoarding:
            self.hoard.append(b"\1" * HUNDRED_MB)
        return np.stack([np.random.default_rng(attempt.seed).integers(0, 256, (64, 64, 3), dtype=np.uint8) for attempt in attempts])


def attempts(*slots: int) -> list[Attempt]:
    rows = small_plan().row_list(0, 24)
    return [Attempt(row=rows[slot], attempt=0, seed=rows[slot].seed(5, 0)) for slot in slots]
