"""What the pipeline adds to the core: batches of a fixed latency in a bare loop and through make_shards, and what more actors bring."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.attempts import Attempt, Outcome
from jobs.executors import Executor, InlineExecutor
from jobs.make import MakeLimits, make_shards
from jobs.progress import ProgressLine
from jobs.ray_actors import RayWorker
from jobs.ray_executor import RayExecutor
from jobs.ray_session import SMALLEST_STORE_BYTES, close_ray, open_ray
from jobs.sections import PlacementSection
from manifests.planner import Plan
from tests.bench.machine import head, say, table
from tests.jobs.coloured import ColouredSpec, provenance, small_plan

ROUNDS = 5
BATCH_SIZE = 16
SHARD_BATCHES = 60
SLOTS_OF_AN_IDENTITY = 6  # of small_plan
TARGETS = {0.25: "1 %", 0.1: "2 %", 0.02: "6 %"}  # of a batch of so many seconds
SCALING_SECONDS = 0.25
WORKERS = (1, 2, 4, 8)


def bare_loop(spec: ColouredSpec, batches: int) -> float:
    """Seconds a batch of the core alone, in its steady part."""
    rows = plan_of(batches).row_list(0, batches * BATCH_SIZE)
    attempts = [Attempt(row=row, attempt=0, seed=row.seed(5, 0)) for row in rows]
    worker = spec.build()
    ends = []
    for start in range(0, len(attempts), BATCH_SIZE):
        worker(attempts[start : start + BATCH_SIZE])
        ends.append(time.perf_counter())
    return steady(ends, at_once=1)


def pipeline(spec: ColouredSpec, batches: int, workers: int) -> float:
    """Seconds a batch through scheduler, log, shards and progress, in the steady part; workers = 0: in this process."""
    ends: list[float] = []

    def executor() -> Executor:
        chosen = RayExecutor(spec, workers, placement=PlacementSection(), address=None) if workers else InlineExecutor(spec)
        chosen.collect = _noting(chosen.collect, ends)  # type: ignore[method-assign]
        return chosen

    with tempfile.TemporaryDirectory() as folder:
        limits = MakeLimits(max_attempts=1, batch_size=BATCH_SIZE)
        assert make_shards(Path(folder), plan_of(batches), limits, provenance(), executor, ProgressLine(Path(folder)))
    return steady(ends, at_once=max(workers, 1))


def bare_ray(spec: ColouredSpec, batches: int) -> float:
    """Seconds a batch of the core in one Ray actor with two batches in flight, and nothing else: what Ray takes by itself."""
    rows = plan_of(batches).row_list(0, batches * BATCH_SIZE)
    attempts = [Attempt(row=row, attempt=0, seed=row.seed(5, 0)) for row in rows]
    open_ray(None, num_cpus=1, num_gpus_per_worker=0.0, store=SMALLEST_STORE_BYTES)
    try:
        import ray

        actor = ray.remote(num_cpus=1)(RayWorker).remote()
        ray.get(actor.start.remote(spec, "worker"))
        left = [attempts[start : start + BATCH_SIZE] for start in range(0, len(attempts), BATCH_SIZE)]
        flying = [actor.run.remote(left.pop()) for _ in range(2)]
        ends = []
        while flying:
            ready, flying = ray.wait(flying, num_returns=1)
            if left:
                flying.append(actor.run.remote(left.pop()))
            ray.get(ready)
            ends.append(time.perf_counter())
    finally:
        close_ray()
    return steady(ends, at_once=1)


def steady(ends: Sequence[float], *, at_once: int) -> float:
    """Seconds a batch without the first and the last tenth: workers are started there, and run out of work."""
    cut = max(len(ends) // 10, 2 * at_once)
    middle = ends[cut:-cut]
    return (middle[-1] - middle[0]) / (len(middle) - 1)


def plan_of(batches: int) -> Plan:
    """At least so many batches, in shards of about a recipe's 1,000 slots."""
    return small_plan(shard_size=SHARD_BATCHES * BATCH_SIZE, identities=-(-batches * BATCH_SIZE // SLOTS_OF_AN_IDENTITY))


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=6.0, help="of work in a round")
    parser.add_argument("--batch-ms", type=int, nargs="+", default=[round(1000 * latency) for latency in TARGETS], help="latencies to measure")
    parser.add_argument("--no-actors", action="store_true", help="leave the second table out")
    words = parser.parse_args()
    rows: list[Sequence[object]] = []
    for latency, target in ((latency, target) for latency, target in TARGETS.items() if round(1000 * latency) in words.batch_ms):
        spec, batches = ColouredSpec(acceptance=1.0, batch_seconds=latency), max(3 * SHARD_BATCHES // 2, round(words.seconds / latency))
        sides: dict[str, list[float]] = {"bare": [], "inline": [], "bare Ray": [], "Ray": []}
        for _ in range(words.rounds):  # in turn, so that a busy moment of the machine meets all of them
            sides["bare"].append(bare_loop(spec, batches))
            sides["inline"].append(pipeline(spec, batches, 0))
            sides["bare Ray"].append(bare_ray(spec, batches))
            sides["Ray"].append(pipeline(spec, batches, 1))
        bare = statistics.median(sides["bare"])
        for name in ("inline", "bare Ray", "Ray"):
            through = statistics.median(sides[name])
            wanted = "none" if name == "bare Ray" else f"<= {target}"
            rows.append((f"{latency * 1000:.0f}", name, bare * 1000, through * 1000, f"{through / bare - 1:+.1%}", wanted))
    packages = ("ray", "numpy", "pyarrow")
    say(head("Overhead of the pipeline over the bare core", packages, target="<= 1 / 2 / 6 % at batches of 250 / 100 / 20 ms"))
    say(table(("batch, ms", "executor", "bare loop, ms a batch", "pipeline, ms a batch", "overhead", "target"), rows))
    say(f"Fake core of {BATCH_SIZE} rows a batch that sleeps; 1 worker, median of {words.rounds} rounds, steady part.\n")

    if words.no_actors:
        return
    spec = ColouredSpec(acceptance=1.0, batch_seconds=SCALING_SECONDS)
    rates: list[tuple[int, float]] = []
    for workers in WORKERS:
        batches = max(12, round(words.seconds / SCALING_SECONDS)) * workers
        rates.append((workers, 1 / statistics.median(pipeline(spec, batches, workers) for _ in range(words.rounds))))
    say(head("Efficiency of more actors", packages, target=">= 95 % from 1 to 8 actors, core of fixed latency"))
    say(table(("actors", "batches a second", "efficiency"), [(n, rate, f"{rate / (n * rates[0][1]):.1%}") for n, rate in rates]))
    say(f"Batches of {SCALING_SECONDS * 1000:.0f} ms that sleep, so that actors don't compete for cores; median of {words.rounds} rounds, steady part.\n")


def _noting(collect: Callable[[], list[Outcome]], ends: list[float]) -> Callable[[], list[Outcome]]:
    def noting() -> list[Outcome]:
        outcomes = collect()
        ends.extend([time.perf_counter()] * len(outcomes))
        return outcomes

    return noting


if __name__ == "__main__":
    main()
