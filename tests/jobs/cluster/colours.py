"""The words of facemint that a cluster calls (prepare, make, run, report), with the worker that has no model."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.attempts import Answer, Attempt
from jobs.config import load_config
from jobs.partition import parse_part
from jobs.ray_executor import RayExecutor
from jobs.sections import PlacementSection
from tests.jobs.coloured import ColouredSpec, ColouredWorker, fill

TOGETHER = "COLOURS_TOGETHER"  # environment variable

@dataclass(frozen=True, kw_only=True)
class SeenSpec(ColouredSpec):
    seen: str  # folder with a file for each process that worked, named by its number
    together: int  # processes that must have begun before any goes on

    def build(self) -> SeenWorker:
        return SeenWorker(self)


class SeenWorker(ColouredWorker):
    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        assert isinstance(self.spec, SeenSpec)
        Path(self.spec.seen, str(os.getpid())).touch()
        end = time.monotonic() + 120
        while len(os.listdir(self.spec.seen)) < self.spec.together and time.monotonic() < end:
            time.sleep(0.05)
        return super().__call__(attempts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("word", choices=("prepare", "make", "run", "report"))
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--ray")
    words = parser.parse_args()
    if words.word == "report":
        (words.recipe / "report.html").write_text("report")
        return
    config = load_config(words.recipe)
    if words.word == "prepare":
        return
    seen = words.out.parent / "seen"
    seen.mkdir(parents=True, exist_ok=True)
    spec = SeenSpec(acceptance=0.6, batch_seconds=config.seed / 1000, seen=str(seen), together=int(os.environ.get(TOGETHER, "1")))
    by_ray = (lambda: RayExecutor(spec, config.workers, placement=PlacementSection(), address=words.ray)) if words.ray else None
    finished = fill(words.out, spec=spec, part=parse_part(words.part), executor=by_ray)
    raise SystemExit(0 if finished else 75)


if __name__ == "__main__":
    main()
