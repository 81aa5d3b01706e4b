"""What becomes of a shard's slots when its stored attempts are judged again, and what make had found of those that it left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.files import read_json, write_json
from jobs.locations import Location
from jobs.scheduler import ShardOutcome
from jobs.staging import Quarantined
from manifests.rows import ShardPlan

RECHECK = "recheck"  # why a slot is unfilled whose picture fails now, and that make had no reason to try further


@dataclass(frozen=True, kw_only=True)
class LeftOpen:
    """Why make had left slots open; it holds as long as their attempts are those that make knew."""

    unfilled: Mapping[int, tuple[str, int]] = field(default_factory=dict)  # slot -> reason, attempts
    quarantined: Mapping[int, Quarantined] = field(default_factory=dict)  # slot -> failure

    @staticmethod
    def read(folder: Location, shard: str) -> LeftOpen:
        """What was kept of a shard; nothing without a file."""
        path = _place(folder, shard)
        if not path.is_file():
            return LeftOpen()
        written = read_json(path)
        return LeftOpen(
            unfilled={int(slot): (reason, attempts) for slot, (reason, attempts) in written["unfilled"].items()},
            quarantined={failure["slot"]: Quarantined(**failure) for failure in written["quarantined"]},
        )

    def write(self, folder: Location, shard: str) -> None:
        """Replaces what is kept of a shard, all at once; nothing to keep leaves no file."""
        if not self.unfilled and not self.quarantined:
            _place(folder, shard).unlink(missing_ok=True)
            return
        unfilled = {str(slot): list(kept) for slot, kept in sorted(self.unfilled.items())}
        write_json(_place(folder, shard), {"unfilled": unfilled, "quarantined": [vars(failure) for _, failure in sorted(self.quarantined.items())]})

    def joined(self, marker: Mapping[str, Any], failures: Iterable[Quarantined]) -> LeftOpen:
        """With what the marker says now, which is newer."""
        unfilled = {entry["slot"]: (entry["reason"], entry["attempts"]) for entry in marker["unfilled"] if entry["reason"] != RECHECK}
        return LeftOpen(unfilled={**self.unfilled, **unfilled}, quarantined={**self.quarantined, **{failure.slot: failure for failure in failures}})

    def without(self, marker: Mapping[str, Any]) -> LeftOpen:
        """What the marker doesn't say itself."""
        said = {entry["slot"]: entry["reason"] for kind in ("unfilled", "quarantined") for entry in marker[kind]}
        return LeftOpen(
            unfilled={slot: kept for slot, kept in self.unfilled.items() if said.get(slot) != kept[0]},
            quarantined={slot: failure for slot, failure in self.quarantined.items() if said.get(slot) != failure.kind},
        )


def outcome_again(plan: ShardPlan, verdicts: Mapping[int, Sequence[bool]], left_open: LeftOpen) -> ShardOutcome:
    """Every slot is filled by its smallest passing attempt; one without is quarantined where make had set it aside after these attempts, else unfilled.

    verdicts  slot -> whether each of its stored attempts 0, 1, 2, ... passes now
    """
    filled: dict[int, int] = {}
    unfilled: list[int] = []
    quarantined: list[int] = []
    given_up: dict[int, str] = {}
    tried: dict[int, int] = {}
    for slot in range(plan.start, plan.stop):
        passed = verdicts.get(slot, ())
        if True in passed:
            filled[slot] = list(passed).index(True)
            continue
        tried[slot] = len(passed)
        failure = left_open.quarantined.get(slot)
        if failure is not None and failure.attempt == len(passed):
            quarantined.append(slot)
            continue
        unfilled.append(slot)
        reason, attempts = left_open.unfilled.get(slot, (RECHECK, len(passed)))
        reason = reason if attempts == len(passed) else RECHECK
        if reason != "attempts":
            given_up[slot] = reason
    return ShardOutcome(
        plan=plan,
        filled=filled,
        unfilled=tuple(unfilled),
        given_up=given_up,  # type: ignore[arg-type] # of make's reasons and RECHECK
        quarantined=tuple(quarantined),
        tried=tried,
    )


def _place(folder: Location, shard: str) -> Location:
    return folder / "spare" / f"{shard}.json"
