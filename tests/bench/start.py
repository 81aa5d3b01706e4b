"""From the start of a process to the first batch that it issues, inline and with Ray, and to the sentence of a configuration error."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.machine import head, say, table

ROUNDS = 5
RECIPE = ("smallest", "sampler.steps=2", "qc.rejecting=[]", "max_attempts=1")
LIMIT_SECONDS = 120.0
# What no command can be quicker than: the packages, and Ray with one actor, on the loop-back address as facemint starts it.
BARE = {
    "numpy, pyarrow and omegaconf are imported": "import numpy, pyarrow.parquet, omegaconf",
    "a bare Ray has answered by one actor": """
import logging, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False, logging_level=logging.ERROR)

@ray.remote
class Actor:
    def here(self):
        return 1

ray.get(Actor.remote().here.remote())
""",
}


@dataclass(frozen=True, kw_only=True)
class NoModelSpec:
    """The bundled worker's description, with a worker that loads nothing."""

    folder: str
    config: object
    weights: Mapping[str, str] = field(default_factory=dict)
    num_gpus: float = 0.0
    batch_bytes: int = 1 << 20

    def build(self) -> Callable[[Sequence[object]], list[object]]:
        """A worker of hashed colours."""
        from tests.jobs.coloured import ColouredSpec

        return ColouredSpec(acceptance=1.0).build()  # type: ignore[return-value]


def child(folder: str, executor: str, model: str) -> None:
    """Runs "facemint make" and prints when the first batch was issued, and how long the building of an inline worker took."""
    times = {"built": 0.0}
    import jobs.executors
    import jobs.ray_executor

    for owner in (jobs.executors.InlineExecutor, jobs.ray_executor.RayExecutor):
        _note_first(owner, times)
    import jobs.worker

    if model == "none":
        jobs.worker.GenerateAndJudgeSpec = NoModelSpec  # type: ignore[assignment, misc]
    else:
        _note_building(jobs.worker.GenerateAndJudgeSpec, times)
    from jobs.cli import main

    try:
        main(["make", RECIPE[0], "--out", folder, *(["--local"] if executor == "inline" else []), *RECIPE[1:]], standalone_mode=False)
    finally:
        sys.stdout.write("\n" + json.dumps(times) + "\n")


def measure(executor: str, model: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds to the first batch, and of them for building the worker, per round; every round has a prepared run folder that is otherwise new."""
    totals, builds = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        _facemint("prepare", RECIPE[0], "--out", str(folder), *RECIPE[1:])
        prepared = {path for path in folder.rglob("*") if path.is_file()}
        for _ in range(rounds):
            code = f"from tests.bench.start import child; child({str(folder)!r}, {executor!r}, {model!r})"
            start = time.time()
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
            lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
            assert lines, result.stderr
            times = json.loads(lines[-1])
            assert "first" in times, result.stderr
            totals.append(times["first"] - start)
            builds.append(times["built"])
            for path in {path for path in folder.rglob("*") if path.is_file()} - prepared:
                path.unlink()
    return totals, builds


def measure_bare(code: str, rounds: int) -> list[float]:
    """Seconds until a process has run the code; its end is not counted."""
    seconds = []
    for _ in range(rounds):
        start = time.time()
        program = code + "\nimport sys, time\nsys.stdout.write(str(time.time()))"
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
        seconds.append(float(result.stdout) - start)
    return seconds


def measure_error(rounds: int) -> list[float]:
    """Seconds until a wrong key has been said and the process is gone."""
    seconds = []
    for _ in range(rounds):
        start = time.time()
        result = _facemint("make", "smallest", "nokey=1")
        assert result.returncode == 2 and "there is no key" in result.stderr, result.stderr
        seconds.append(time.time() - start)
    return seconds


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    rows: list[Sequence[object]] = []
    for executor, target in (("inline", "1 s"), ("Ray", "3.5 s")):
        totals, _ = measure(executor.lower(), "none", rounds)
        rows.append((f"first batch, {executor}, model load excluded", statistics.median(totals), min(totals), max(totals), target))
    totals, builds = measure("inline", "bundled", rounds)
    rest = [total - build for total, build in zip(totals, builds, strict=True)]
    rows.append(("first batch, inline, with the bundled model", statistics.median(totals), min(totals), max(totals), "none"))
    rows.append(("the same without the building of the worker", statistics.median(rest), min(rest), max(rest), "1 s"))
    for name, code in BARE.items():
        bare = measure_bare(code, rounds)
        rows.append((f"for comparison: {name}", statistics.median(bare), min(bare), max(bare), "none"))
    errors = measure_error(rounds)
    rows.append(("a wrong key is said", statistics.median(errors), min(errors), max(errors), "0.7 s"))
    say(head("Start", ("ray", "torch", "pyarrow", "onnxruntime"), target="inline <= 1 s, Ray <= 3.5 s, a configuration error <= 0.7 s"))
    say(table(("from the start of the process until", "median s", "least s", "most s", "target"), rows))
    say(f"{rounds} rounds each, prepared run folder, warm file cache.\n")


def _facemint(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jobs.cli", *words], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)


def _note_first(owner: type, times: dict[str, float]) -> None:
    submit = owner.submit  # type: ignore[attr-defined]

    def noting(self: object, attempts: Sequence[object]) -> None:
        times.setdefault("first", time.time())
        submit(self, attempts)

    owner.submit = noting  # type: ignore[attr-defined]


def _note_building(owner: type, times: dict[str, float]) -> None:
    build = owner.build  # type: ignore[attr-defined]

    def noting(self: object) -> object:
        start = time.time()
        worker = build(self)
        times["built"] = time.time() - start
        return worker

    owner.build = noting  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
