"""Previews: the rows that a run would make of its sampled people first, so that a candidate is seen on the very faces that it would have there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from manifests.planner import Plan, manifest_rows
from manifests.rows import ManifestRow

PreviewRows = Mapping[str, Sequence[ManifestRow]]  # identity id -> rows


def preview_rows(plan: Plan, people: Collection[str], count: int) -> PreviewRows:
    """The first `count` rows of each of the people, in the order of slots; fewer where the plan has fewer.

    Only rows of the generation that a person came with, so that an extension of a run asks of it what the run had asked.
    """
    rows: dict[str, list[ManifestRow]] = {}
    known: set[str] = set()
    for generation in plan.generations:
        came = {identity.identity_id for identity in generation.identities} - known
        known |= came
        rows |= {person: [] for person in sorted(came & set(people))}
        wanted = {person for person in came if person in rows}
        for shard in generation.shards():
            open_people = sorted(person for person in wanted if len(rows[person]) < count)
            if not open_people:
                break
            table = plan.rows(shard.start, shard.stop)
            mine = table.filter(pc.is_in(table["identity_id"], value_set=pa.array(open_people)))
            for row in manifest_rows(mine):
                if len(rows[row.identity_id]) < count:
                    rows[row.identity_id].append(row)
    return rows
