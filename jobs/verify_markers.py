"""The marker of a shard: complete, of the right types, and in agreement with the plan and with what its attempts came to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from jobs.shards import MARKER_VERSION
from jobs.verify_attempts import Attempts
from jobs.waves import GivenUp
from manifests.rows import ManifestRow, ShardPlan

FIELDS: dict[str, type] = {
    "version": int, "shard": str, "split": str, "start": int, "stop": int, "run_hash": str, "counts": dict, "unfilled": list,
    "quarantined": list, "files": dict,
}  # fmt: skip
COUNTS = ("slots", "accepted", "rejected", "attempts", "unfilled", "quarantined")
OPEN_REASONS = {"unfilled": ("attempts", "recheck", *get_args(GivenUp)), "quarantined": ("raised", "died")}
_HASH = re.compile(r"[0-9a-f]{64}")


def shape_problems(marker: Mapping[str, Any], shard: ShardPlan) -> Iterator[str]:
    """What makes a marker one that can't be read further; none when every field is there with its type."""
    for name in sorted({*marker, *FIELDS}):
        if name not in marker:
            yield f"has no {name}"
        elif name not in FIELDS:
            yield f"has {name[:60]!r}, which no marker has"
        elif type(marker[name]) is not FIELDS[name]:
            yield f"has {name} {str(marker[name])[:60]}, expected {FIELDS[name].__name__}"
        elif name == "counts" and (set(marker[name]) != set(COUNTS) or any(type(number) is not int for number in marker[name].values())):
            yield f"has counts {str(marker[name])[:200]}, expected whole numbers of {', '.join(COUNTS)}"
    files = marker.get("files")
    for file, promise in files.items() if isinstance(files, dict) else ():
        good = isinstance(promise, dict) and set(promise) == {"bytes", "sha256"} and type(promise["bytes"]) is int and isinstance(promise["sha256"], str)
        if not good or promise["bytes"] < 0 or not _HASH.fullmatch(promise["sha256"]):
            yield f"promises {file[:80]} without a size and a sha256"


def plan_problems(marker: Mapping[str, Any], shard: ShardPlan) -> Iterator[str]:
    """Where a marker of the right shape differs from the plan's shard."""
    expected = {"version": MARKER_VERSION, "shard": shard.name, "split": shard.split, "start": shard.start, "stop": shard.stop}
    for name, value in expected.items():
        if marker[name] != value:
            yield f"has {name} {str(marker[name])[:60]}, the plan has {value}"
    if marker["counts"]["slots"] != shard.num_slots:
        yield f"counts {marker['counts']['slots']} slots, the plan has {shard.num_slots}"


def expected_files(name: str, counts: Mapping[str, int]) -> set[str]:
    """Files that a shard with these counts has; an empty tar is never written."""
    places = [place for place, count in (("data", "accepted"), ("rejected", "rejected")) if counts[count]]
    return {f"attempts/{name}.parquet", f"slots/{name}.parquet", *(f"{place}/{name}.{suffix}" for place in places for suffix in ("tar", "parquet"))}


def outcome_problems(marker: Mapping[str, Any], rows: Mapping[int, ManifestRow], found: Attempts) -> Iterator[str]:
    """Where a marker's counts and its lists of slots differ from what the attempts came to."""
    open_slots = [slot for slot in rows if slot not in found.filled]
    listed = {kind: _by_slot(marker[kind]) for kind in ("unfilled", "quarantined")}
    counts = {"accepted": len(found.filled), "rejected": len(found.rejected), "attempts": len(found.rows)}
    counts |= {kind: len(marker[kind]) for kind in listed}
    for name, number in counts.items():
        if marker["counts"][name] != number:
            yield f"counts {marker['counts'][name]} {name}, its files come to {number}"
    both = sorted([*listed["unfilled"], *listed["quarantined"]])
    if both != open_slots or sum(len(marker[kind]) for kind in listed) != len(both):
        yield f"lists {len(both)} slots as unfilled or quarantined, its attempts leave {len(open_slots)}, or others"
        return
    for kind, entries in listed.items():
        if [entry["slot"] for entry in marker[kind]] != sorted(entries):
            yield f"lists {kind} slots out of order"
        for slot, entry in entries.items():
            expected = _open_slot(rows[slot], kind, entry.get("reason"), found)
            if entry != expected or entry["reason"] not in OPEN_REASONS[kind]:
                yield f"lists {kind} slot {slot} with other fields than its row and attempts have"


def _by_slot(entries: list[Any]) -> dict[int, dict[str, Any]]:
    return {entry["slot"]: entry for entry in entries if isinstance(entry, dict) and type(entry.get("slot")) is int}


def _open_slot(row: ManifestRow, kind: str, reason: object, found: Attempts) -> dict[str, Any]:
    """What a marker says of a slot that isn't filled."""
    asked = {name: getattr(row, name) for name in ("slot", "cell", "identity_id", "expression", "scene_id")}
    if kind == "quarantined":
        return {**asked, "attempt": found.counts[row.slot], "reason": reason}
    return {**asked, "attempts": found.counts[row.slot], "reason": reason, "reasons": dict(sorted(found.reasons.get(row.slot, {}).items()))}
