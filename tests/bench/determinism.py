"""One hash, whatever runs it: workers, executor, parts, batch size and kills, with the fake core."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.killing import Command, Watch, scratch_folder
from tests.bench.kills import finish, tree_hash
from tests.bench.machine import head, say, table

WORKERS = (1, 2, 4)
BATCHES = (3, 4, 16)
KILLS = (0, 5)
MAX_COMMANDS = 50


def make(folder: Path, scratch: Path, *, executor: str, workers: int, batch: int, kills: int, seed: int,
         seconds: float) -> tuple[str, int, int]:  # fmt: skip
    """(tree hash, kills that hit, processes left over) of a run that is made in one way. Inline workers are commands with a part of the shards each.

    seconds  that a command takes undisturbed
    """
    draw = np.random.default_rng([seed, workers, batch])
    done, watch = 0, Watch()
    parts = [(number, workers) for number in range(workers)] if executor == "inline" else [(0, 1)]
    try:
        for number, of in parts:
            words = [sys.executable, "-m", "tests.jobs.coloured", str(folder), "--seconds", "0.1", "--batch-size", str(batch), "--part", str(number), str(of)]
            words += ["--workers", str(0 if executor == "inline" else workers)]
            share = -(-kills // len(parts))
            for _ in range(MAX_COMMANDS):
                command = Command(words, scratch)
                if share > 0 and done < kills:
                    watch.note(command.process.pid)
                    kill = command.kill("tree" if draw.random() < 0.5 else "driver", folder, float(draw.uniform(0.1, 0.9) * seconds))
                    watch.note(command.process.pid)
                    done, share = done + kill.hit, share - kill.hit
                    if kill.hit:
                        command.close()
                        continue
                    share = 0  # it was faster
                if finish(command):
                    break
    finally:
        left = watch.clean_up()
    return tree_hash(folder), done, left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--executor", choices=("inline", "ray", "both"), default="both")
    words = parser.parse_args()
    executors = ("inline", "ray") if words.executor == "both" else (words.executor,)
    rows, hashes = [], set()
    start, seconds = time.monotonic(), 0.0
    with scratch_folder() as scratch:
        for number, (executor, workers, batch, kills) in enumerate(itertools.product(executors, WORKERS, BATCHES, KILLS)):
            way: dict[str, Any] = {"executor": executor, "workers": workers, "batch": batch, "kills": kills, "seed": words.seed}
            began = time.monotonic()
            found, done, left = make(scratch / str(number), scratch, **way, seconds=seconds)
            if not kills:
                seconds = (time.monotonic() - began) / (workers if executor == "inline" else 1)
            hashes.add(found)
            rows.append((f"{executor}, {workers} {'worker' if executor == 'ray' else 'part'}{'s' if workers > 1 else ''}", batch, done, left, found[:16]))
    say(head("Determinism, fake core", ("ray", "numpy"), target="one hash"))
    say(table(("made by", "batch", "kills", "processes left over", "tree hash"), rows))
    say(f"{len(hashes)} hash{'es' if len(hashes) > 1 else ''} in {len(rows)} runs, {time.monotonic() - start:.0f} s.\n")
    raise SystemExit(0 if len(hashes) == 1 else 1)


if __name__ == "__main__":
    main()
