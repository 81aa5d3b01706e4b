"""A worker without a model: pictures of one hashed colour each, accepted by a hash; the same interface as the real one."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.attempts import Answer, Attempt
from jobs.executors import Executor, InlineExecutor, RayExecutor
from jobs.images import encode, pixel_sha256
from jobs.make import MakeLimits, make_shards
from jobs.progress import ProgressLine
from jobs.shards import Provenance
from manifests.planner import Plan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from manifests.verdicts import Measurement, verdict


@dataclass(frozen=True, kw_only=True)
class ColouredSpec:
    acceptance: float
    batch_seconds: float = 0.0
    fatal_slot: int = -1  # kills its process
    num_gpus: float = 0.0

    def build(self) -> ColouredWorker:
        return ColouredWorker(self)


class ColouredWorker:
    def __init__(self, spec: ColouredSpec) -> None:
        self.spec = spec

    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        time.sleep(self.spec.batch_seconds)
        return [self.answer(attempt) for attempt in attempts]

    def answer(self, attempt: Attempt) -> Answer:
        if attempt.row.slot == self.spec.fatal_slot:
            os._exit(9)
        draw = np.random.default_rng(attempt.seed)
        image = np.broadcast_to(draw.integers(0, 256, 3, dtype=np.uint8), (16, 16, 3))
        passed = bool(draw.random() < self.spec.acceptance)
        score = float(draw.random())
        return Answer(
            slot=attempt.row.slot,
            attempt=attempt.attempt,
            seed=attempt.seed,
            image=encode(image, "png"),
            label_map=encode(np.zeros((16, 16), dtype=np.uint8), "png"),
            width=16,
            height=16,
            pixel_sha256=pixel_sha256(image),
            verdict=verdict([Measurement(name="gate_similarity", value=score, unit="cosine")], [] if passed else ["identity"]),
            labels={"identity_source": "sampled", "sim_gate_ref": score, "bbox": (1.0, 2.0, 3.0, 4.0)},
        )


def small_plan(*, shard_size: int = 6, identities: int = 4, run_seed: int = 5) -> Plan:
    return Plan(
        PlanSpec(
            identities=tuple(Identity(identity_id=f"i{number:04d}") for number in range(identities)),
            expressions=tuple(Expression(word=word, intensity=1.0) for word in ("neutral", "happiness", "anger")),
            scene_ids=("s0", "s1", "s2"),
            scenes="spread",
            views_per_cell=2,
            mode="all",
            split=SplitFractions(train=0.75, val=0.25, test=0.0),
            run_seed=run_seed,
            shard_size=shard_size,
        )
    )


def provenance(run_hash: str = "0" * 64) -> Provenance:
    return Provenance(
        run_hash=run_hash,
        image_format="png",
        faces_required=True,
        sampler="dpm++",
        steps=4,
        guidance=2.0,
        model_bundle_id="coloured",
        manifest_sha256=small_plan().fingerprint(),
        generator_version="0",
    )


def fill(folder: Path, *, plan: Plan | None = None, spec: ColouredSpec | None = None, workers: int = 0, batch_size: int = 4, max_attempts: int = 5) -> bool:
    """The plan made into a folder: in this process with workers = 0, else by that many Ray actors."""
    spec = spec or ColouredSpec(acceptance=0.6)

    def executor() -> Executor:
        return RayExecutor(spec, workers) if workers else InlineExecutor(spec)

    limits = MakeLimits(max_attempts=max_attempts, batch_size=batch_size)
    return make_shards(folder, plan or small_plan(), limits, provenance(), executor, ProgressLine(folder))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but progress.json, whose times differ."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "progress.json"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=0)
    words = parser.parse_args()
    finished = fill(words.folder, spec=ColouredSpec(acceptance=0.6, batch_seconds=words.seconds), workers=words.workers)
    raise SystemExit(0 if finished else 75)


if __name__ == "__main__":
    main()
