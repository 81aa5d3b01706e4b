"""A worker without a model: pictures of one hashed colour each, accepted by a hash; the same interface as the real one."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.attempts import Answer, Attempt
from jobs.executors import Executor, InlineExecutor
from jobs.images import encode, pixel_sha256
from jobs.locations import Location, below, location
from jobs.make import MakeLimits, make_shards
from jobs.progress import ProgressLine
from jobs.ray_executor import RayExecutor
from jobs.sections import PlacementSection
from jobs.shards import Provenance
from manifests.planner import Plan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from manifests.verdicts import Measurement, verdict

OF_A_COMMAND = ("progress", "metrics", "lease", ".lease")  # how names of files begin that aren't part of the result


@dataclass(frozen=True, kw_only=True)
class ColouredSpec:
    acceptance: float
    batch_seconds: float = 0.0
    fatal_slot: int = -1  # kills its process
    raising_slots: tuple[int, ...] = ()  # raise an exception at every attempt
    shy_slots: tuple[int, ...] = ()  # raise one in a batch of several
    journal: str = ""  # file that gets a line "slot attempt" for each attempt that is begun; "": none
    num_gpus: float = 0.0

    def build(self) -> ColouredWorker:
        return ColouredWorker(self)


class ColouredWorker:
    def __init__(self, spec: ColouredSpec) -> None:
        self.spec = spec

    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        if self.spec.journal:
            with Path(self.spec.journal).open("a", encoding="ascii") as journal:
                journal.write("".join(f"{attempt.row.slot} {attempt.attempt}\n" for attempt in attempts))
        if len(attempts) > 1 and any(attempt.row.slot in self.spec.shy_slots for attempt in attempts):
            raise MemoryError("too many pictures at once")
        time.sleep(self.spec.batch_seconds)
        return [self.answer(attempt) for attempt in attempts]

    def answer(self, attempt: Attempt) -> Answer:
        if attempt.row.slot == self.spec.fatal_slot:
            os._exit(9)
        if attempt.row.slot in self.spec.raising_slots:
            raise ArithmeticError(f"slot {attempt.row.slot} can't be made")
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


def fill(folder: Location, *, plan: Plan | None = None, spec: ColouredSpec | None = None, workers: int = 0, batch_size: int = 4, max_attempts: int = 5,
         executor: Callable[[], Executor] | None = None, part: tuple[int, int] = (0, 1), **limits: Any) -> bool:  # fmt: skip
    """The plan made into a folder: in this process with workers = 0, else by that many Ray actors; or by an executor of the test's own.

    limits  further fields of MakeLimits
    """
    made_by = spec or ColouredSpec(acceptance=0.6)

    def usual() -> Executor:
        return RayExecutor(made_by, workers, placement=PlacementSection(), address=None) if workers else InlineExecutor(made_by)

    bounds = MakeLimits(max_attempts=max_attempts, batch_size=batch_size, **limits)
    return make_shards(folder, plan or small_plan(), bounds, provenance(), executor or usual, ProgressLine(folder), part=part)


def tree(folder: Location) -> dict[str, bytes]:
    """Every file but those of the command that runs: progress, metrics and lease, whose times differ; a quarantined slot without its failure's message."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(OF_A_COMMAND))
    contents = {below(path, folder): path.read_bytes() for path in paths}
    for name in contents:
        if name.startswith("quarantine/"):
            contents[name] = json.dumps({**json.loads(contents[name]), "message": ""}).encode()
    return contents


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=location)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--journal", default="")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1))
    words = parser.parse_args()
    spec = ColouredSpec(acceptance=0.6, batch_seconds=words.seconds, journal=words.journal)
    finished = fill(words.folder, spec=spec, workers=words.workers, batch_size=words.batch_size, part=tuple(words.part))
    raise SystemExit(0 if finished else 75)


if __name__ == "__main__":
    main()
