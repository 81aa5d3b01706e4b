"""Plans and schedules many slots with answers accepted by hash: seconds, microseconds per sample, and how much the driver's memory grows."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator

from jobs.scheduler import Scheduler
from jobs.waves import CellLimits
from manifests.planner import Plan
from manifests.rows import ShardPlan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from manifests.vocabulary import vocabulary
from tests.bench.machine import head, peak_mb, resident_mb, say, table

BATCH = 32
MAX_ATTEMPTS = 8
LIMITS = {"none": None, "cell_attempts=2000, min_acceptance=0.05": CellLimits(cell_attempts=2000, min_acceptance=0.05)}


def plan_of(num_slots: int, shard_size: int) -> Plan:
    """1,000 people and 100 expressions, with as many views as the number asks for."""
    words = [word.word for word in vocabulary()][:100]
    return Plan(
        PlanSpec(
            identities=tuple(Identity(identity_id=f"sampled-{number:06d}") for number in range(1000)),
            expressions=tuple(Expression(word=word, intensity=1.0) for word in words),
            scene_ids=tuple(f"scene-{number}" for number in range(50)),
            scenes="spread",
            views_per_cell=num_slots // 100_000,
            mode="all",
            split=SplitFractions(train=0.9, val=0.05, test=0.05),
            run_seed=1,
            shard_size=shard_size,
        )
    )


def accepted(slot: int, attempt: int) -> bool:
    """Seven of ten."""
    return ((slot * 0x9E3779B97F4A7C15 + attempt * 0xC2B2AE3D27D4EB4F) >> 20) % 10 < 7


def schedule(shards: Iterator[ShardPlan], limits: CellLimits | None, cells_of: Callable[[ShardPlan], list[int]]) -> tuple[int, float]:
    """Filled slots, and the largest resident size on the way; answers come back in the opposite order."""
    scheduler = Scheduler(shards, max_attempts=MAX_ATTEMPTS, limits=limits, cells_of=cells_of)
    largest, turn = 0.0, 0
    while not scheduler.done:
        for slot, attempt in reversed(scheduler.take(BATCH)):
            if scheduler.is_open(slot):
                scheduler.answer(slot, attempt, accepted=accepted(slot, attempt))
        scheduler.finished()
        turn += 1
        if turn % 5000 == 0:
            largest = max(largest, resident_mb())
    return scheduler.num_filled, max(largest, resident_mb())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, nargs="+", default=[100_000, 10_000_000], help="multiples of 100,000")
    parser.add_argument("--shard-size", type=int, default=1000)
    words = parser.parse_args()
    title = "Planning and scheduling"
    say(head(title, ("numpy", "pyarrow", "scipy"), target="growth of the driver from 0.1 M to 10 M slots at most 32 MB; at most 2 us per sample"))
    rows = []
    for name, limits in LIMITS.items():
        for number in words.slots:
            gc.collect()
            begin = time.perf_counter()
            plan = plan_of(number, words.shard_size)
            shards = plan.shards()
            planned = time.perf_counter() - begin
            rows_seconds = [0.0]

            def cells_of(shard: ShardPlan, plan: Plan = plan, spent: list[float] = rows_seconds) -> list[int]:
                start = time.process_time()
                cells: list[int] = plan.rows(shard.start, shard.stop)["cell"].to_pylist()
                spent[0] += time.process_time() - start
                return cells

            start = time.process_time()
            filled, largest = schedule(iter(shards), limits, cells_of)
            seconds = time.process_time() - start
            per_sample = [1e6 * (seconds - rows_seconds[0]) / filled, 1e6 * rows_seconds[0] / filled]
            rows.append([name, plan.num_slots, len(shards), planned, seconds, *per_sample, filled, largest])
            del plan, shards, cells_of
    columns = ["limits of cells", "slots", "shards", "plan s", "CPU s", "us/sample", "us/sample for cells", "filled", "resident MB"]
    say(table(columns, rows))
    for name in LIMITS:
        sizes = [row[-1] for row in rows if row[0] == name]
        say(f"Growth with limits {name}: {sizes[-1] - sizes[0]:.1f} MB. Peak of the process: {peak_mb():.0f} MB.\n")


if __name__ == "__main__":
    main()
