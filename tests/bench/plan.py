"""Ten million slots: seconds and peak memory of planning all rows, and of writing the manifest."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from manifests.planner import Plan, manifest_parts
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from manifests.vocabulary import vocabulary
from tests.bench.machine import head, peak_mb, resident_mb, say, table

DEEDS = ("rows", "manifest")


def large_plan(num_rows: int) -> Plan:
    """Identities x 100 expressions x 10 views, in three splits, with 50 scenes dealt out."""
    words = [word.word for word in vocabulary()][:100]
    return Plan(
        PlanSpec(
            identities=tuple(Identity(identity_id=f"sampled-{number:06d}") for number in range(num_rows // 1000)),
            expressions=tuple(Expression(word=word, intensity=1.0) for word in words),
            scene_ids=tuple(f"scene-{number:03d}" for number in range(50)),
            scenes="spread",
            views_per_cell=10,
            mode="all",
            split=SplitFractions(train=0.8, val=0.1, test=0.1),
            run_seed=1,
            shard_size=1000,
        )
    )


def measure(deed: str, num_rows: int) -> None:
    """Does one thing and prints its seconds, its peak memory and what the process had before, in MB, and bytes written."""
    before = resident_mb()
    start = time.perf_counter()
    plan = large_plan(num_rows)
    written = 0
    if deed == "rows":
        for shard in plan.shards():
            assert plan.rows(shard.start, shard.stop).num_rows == shard.num_slots
    else:
        with tempfile.TemporaryDirectory(prefix="facemint-plan-") as folder:
            for name, content in manifest_parts(plan):
                written += (Path(folder) / name).write_bytes(content)
    say(f"{time.perf_counter() - start} {peak_mb()} {before} {written} {plan.num_slots}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--deed", choices=DEEDS, help="measure one of them in this process, as the benchmark does")
    words = parser.parse_args()
    if words.deed:
        measure(words.deed, words.rows)
        return
    rows = []
    for deed in DEEDS:
        command = [sys.executable, "-m", "tests.bench.plan", "--deed", deed, "--rows", str(words.rows)]
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=1800).stdout
        seconds, peak, before, written, slots = (float(text) for text in output.split())
        what = "every shard's rows, one after the other" if deed == "rows" else "manifest written, in parts of a million rows"
        rows.append((what, int(slots), seconds, slots / seconds / 1e6, peak, peak - before, written / 1e6))
    say(head("Planning", ("numpy", "pyarrow"), target="10 million rows in at most 60 s and 2 GB"))
    say(table(("deed", "rows", "seconds", "million rows a second", "peak MB", "of it beyond the imports", "MB written"), rows))


if __name__ == "__main__":
    main()
