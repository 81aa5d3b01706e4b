"""One image in ten is rejected: whether the labels are spread as they were asked for, and every cell is full."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.attempts import Answer, Attempt
from manifests.planner import Plan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from tests.bench.machine import head, say, table
from tests.jobs.coloured import ColouredSpec, ColouredWorker, fill

WORDS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
AXES = ("identity_id", "expression", "scene_id")


@dataclass(frozen=True, kw_only=True)
class BiasedSpec(ColouredSpec):
    """The fake core with an acceptance of its own for some expressions."""

    of_words: Mapping[str, float] = field(default_factory=dict)

    def build(self) -> BiasedWorker:
        return BiasedWorker(self)


class BiasedWorker(ColouredWorker):
    """Rejects by a hash of the seed; how often depends on the expression."""

    spec: BiasedSpec

    def answer(self, attempt: Attempt) -> Answer:
        acceptance = self.spec.of_words.get(attempt.row.expression, self.spec.acceptance)
        return ColouredWorker(replace(self.spec, acceptance=acceptance)).answer(attempt)


SETTINGS = {
    "no rejections": BiasedSpec(acceptance=1.0),
    "10 % of all": BiasedSpec(acceptance=0.9),
    "10 % in all, 38 % of fear and contempt": BiasedSpec(acceptance=0.9933, of_words={"fear": 0.62, "contempt": 0.62}),
}


def eight_by_forty() -> Plan:
    """40 people x 8 expressions x 4 views = 1,280 slots."""
    return Plan(
        PlanSpec(
            identities=tuple(Identity(identity_id=f"i{number:04d}") for number in range(40)),
            expressions=tuple(Expression(word=word, intensity=1.0) for word in WORDS),
            scene_ids=tuple(f"s{number}" for number in range(10)),
            scenes="spread",
            views_per_cell=4,
            mode="all",
            split=SplitFractions(train=0.8, val=0.1, test=0.1),
            run_seed=3,
            shard_size=100,
        )
    )


def shares(rows: list[dict[str, object]], axis: str) -> dict[object, float]:
    """Value of an axis -> its share of the rows."""
    counts = Counter(row[axis] for row in rows)
    return {value: count / len(rows) for value, count in counts.items()}


def distance(one: Mapping[object, float], other: Mapping[object, float]) -> float:
    """Total variation: the share of rows that would have to change their value."""
    return sum(abs(one.get(value, 0.0) - other.get(value, 0.0)) for value in {*one, *other}) / 2


def main() -> None:
    plan = eight_by_forty()
    asked = plan.rows(0, plan.num_slots).to_pylist()
    quotas = Counter(row["cell"] for row in asked)
    of_slot = {row["slot"]: row for row in asked}
    rows = []
    with tempfile.TemporaryDirectory(prefix="facemint-rejections-") as scratch:
        for number, (setting, spec) in enumerate(SETTINGS.items()):
            folder = Path(scratch) / str(number)
            assert fill(folder, plan=plan, spec=spec, batch_size=16, max_attempts=64)
            attempts = pa.concat_tables([pq.read_table(path) for path in sorted((folder / "attempts").glob("*.parquet"))]).to_pylist()
            kept = [of_slot[attempt["slot"]] for attempt in attempts if attempt["accepted"]]
            first = [of_slot[attempt["slot"]] for attempt in attempts if attempt["accepted"] and attempt["attempt"] == 0]
            rejected = sum(not attempt["accepted"] for attempt in attempts) / len(attempts)
            for name, made in (("first attempts only, rejected ones dropped", first), ("facemint", kept)):
                full = sum(count == quotas[cell] for cell, count in Counter(row["cell"] for row in made).items())
                distances = [distance(shares(asked, axis), shares(made, axis)) for axis in AXES]
                rows.append((setting, name, f"{rejected:.1%}", len(made), f"{full} of {len(quotas)}", *(f"{each:.2%}" for each in distances)))
    say(head(f"Rejections: {plan.num_slots:,} slots in {len(quotas)} cells", ("numpy", "pyarrow"), target="every cell full, label distribution unchanged"))
    columns = ("rejected attempts", "kept", "of all attempts rejected", "samples", "cells full", *(f"{axis}: moved" for axis in AXES))
    say(table(columns, rows))
    say("moved: total variation distance between the shares of the labels asked for and made.\n")


if __name__ == "__main__":
    main()
