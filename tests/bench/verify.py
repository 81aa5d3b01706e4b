"""How fast `facemint verify` reads a run, beside reading and hashing its files alone; for pictures of several sizes."""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from jobs.attempts import Answer, Attempt
from jobs.files import sha256_of
from jobs.verify import find_problems
from tests.bench.coloured_run import coloured_run
from tests.bench.machine import head, peak_mb, say, table
from tests.jobs.coloured import ColouredSpec, ColouredWorker


@dataclass(frozen=True, kw_only=True)
class HeavySpec(ColouredSpec):
    """The fake core with pictures of so many bytes, which nothing could decode."""

    image_bytes: int

    def build(self) -> HeavyWorker:
        return HeavyWorker(self)


class HeavyWorker(ColouredWorker):
    """Random bytes in place of pictures."""

    spec: HeavySpec

    def answer(self, attempt: Attempt) -> Answer:
        return replace(super().answer(attempt), image=np.random.default_rng(attempt.seed).bytes(self.spec.image_bytes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=200, help="of pictures in each run")
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="facemint-verify-") as scratch:
        for kilobytes in (8, 30, 100, 400):
            folder = Path(scratch) / str(kilobytes)
            people = max(4, words.mb * 1000 // kilobytes // 3 // 20)
            spec = HeavySpec(acceptance=0.9, image_bytes=kilobytes * 1000)
            coloured_run(folder, f"identities.sampled.count={people}", "views=20", "shard_size=1000", "batch_size=64", "max_attempts=30", spec=spec)
            files = [path for path in folder.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files)
            hashing, checking = [], []
            for _ in range(words.rounds):
                start = time.perf_counter()
                for path in files:
                    sha256_of(path)
                hashing.append(time.perf_counter() - start)
                start = time.perf_counter()
                problems = list(find_problems(folder))
                checking.append(time.perf_counter() - start)
                assert not problems, problems[0]
            slots, best = people * 60, min(checking)
            rows.append((kilobytes, slots, size / 1e6, size / min(hashing) / 1e6, size / best / 1e6, best / slots * 1e6, peak_mb()))
    block = bytes(64 << 20)
    start = time.perf_counter()
    hashlib.sha256(block).digest()
    rate = len(block) / (time.perf_counter() - start) / 1e6
    say(head("Verifying", ("pyarrow",), target="400 MB/s and core"))
    columns = ("kB a picture", "slots", "MB", "files hashed alone, MB/s", "verify, MB/s", "us a slot", "peak MB so far")
    say(table(columns, rows))
    say(f"SHA-256 in memory: {rate:,.0f} MB/s. A picture is hashed twice: with its tar, and for its label.\n")


if __name__ == "__main__":
    main()
