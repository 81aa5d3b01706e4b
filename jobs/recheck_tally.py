"""What a check changes, counted: pictures, open slots and reasons before and after, from tables alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from jobs.files import open_read
from jobs.locations import Location
from jobs.recheck_outcome import LeftOpen, outcome_again
from jobs.recheck_shards import open_spare, verdicts_by_slot
from jobs.recheck_verdicts import StoredJudge
from jobs.scheduler import ShardOutcome
from jobs.shards import read_markers
from jobs.staging import Quarantined
from manifests.planner import Plan
from manifests.rows import ShardPlan
from manifests.verdicts import REJECT_REASONS, QCVerdict

COUNTS = ("slots", "accepted", "unfilled", "quarantined", "rejected")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Figures of a run folder."""

    counts: Mapping[str, int]  # of COUNTS
    reasons: Mapping[str, int]  # first reject reason -> rejected pictures of the data set
    recheck: int  # unfilled slots whose picture fails by limits that were set after it was made, and that could be tried further

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def tally(folder: Location) -> Tally:
    """Figures of the committed shards."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    recheck = 0
    for name, marker in read_markers(folder).items():
        counts.update({key: marker["counts"][key] for key in COUNTS})
        recheck += sum(entry["reason"] == "recheck" for entry in marker["unfilled"])
        reasons.update(row["reasons"][0] for row in attempt_rows(folder, name, ["reasons"]) if row["reasons"])
    return _tally(counts, reasons, recheck)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """What a run folder would be by other limits, and which slots change."""

    after: Tally
    lost: int  # slots that have a picture and would have none
    regained: int  # slots that have none and would have one
    exchanged: int  # slots that would have another of their pictures


def project(folder: Location, plan: Plan, judge: StoredJudge) -> Projection:
    """Judges what is stored by the new limits and writes nothing."""
    markers = read_markers(folder)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    recheck = lost = regained = exchanged = 0
    for shard in plan.shards():
        before, outcome, verdicts = _shard_again(folder, shard, markers[shard.name], plan, judge)
        counted = {pair: found for pair, found in verdicts.items() if outcome.counts(*pair)}
        counts.update(slots=shard.num_slots, accepted=len(outcome.filled), unfilled=len(outcome.unfilled), quarantined=len(outcome.quarantined))
        counts.update(rejected=sum(not found.accepted for found in counted.values()))
        reasons.update(found.reasons[0] for found in counted.values() if found.reasons)
        recheck += sum(reason == "recheck" for reason in outcome.given_up.values())  # type: ignore[comparison-overlap] # a reason of this command
        lost += len(before.keys() - outcome.filled.keys())
        regained += len(outcome.filled.keys() - before.keys())
        exchanged += sum(before[slot] != attempt for slot, attempt in outcome.filled.items() if slot in before)
    return Projection(after=_tally(counts, reasons, recheck), lost=lost, regained=regained, exchanged=exchanged)


def verdicts_stay(folder: Location, shard: ShardPlan, plan: Plan, judge: StoredJudge) -> bool:
    """Whether no verdict of a committed shard changes."""
    rows = {row.slot: row for row in plan.row_list(shard.start, shard.stop)}
    return all(judge.again(stored, rows[slot], attempt, seed).reasons == stored.reasons for slot, attempt, seed, stored in _stored(folder, shard.name))


def lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The figures side by side, a line each."""
    yield f"{'':24}{'before':>12}{'after':>12}{'change':>12}"
    reasons = [reason for reason in REJECT_REASONS if reason in before["reasons"] or reason in after["reasons"]]
    rows = [(name, before["counts"].get(name, 0), after["counts"].get(name, 0)) for name in COUNTS]
    rows += [(f"  {reason}", before["reasons"].get(reason, 0), after["reasons"].get(reason, 0)) for reason in reasons]
    for name, old, new in rows:
        yield f"{name:24}{old:>12,}{new:>12,}{new - old:>+12,}"


def attempt_rows(folder: Location, shard: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a shard's table of attempts."""
    with open_read(folder / "attempts" / f"{shard}.parquet") as stream:
        rows: list[dict[str, Any]] = pq.read_table(stream, columns=columns).to_pylist()
    return rows


def _shard_again(
    folder: Location, shard: ShardPlan, marker: Mapping[str, Any], plan: Plan, judge: StoredJudge
) -> tuple[dict[int, int], ShardOutcome, dict[tuple[int, int], QCVerdict]]:
    """Slot -> attempt that fills it now, the outcome by the new limits, and all verdicts by them."""
    rows = {row.slot: row for row in plan.row_list(shard.start, shard.stop)}
    before: dict[int, int] = {}
    verdicts: dict[tuple[int, int], QCVerdict] = {}
    for slot, attempt, seed, stored in _stored(folder, shard.name):
        verdicts[slot, attempt] = judge.again(stored, rows[slot], attempt, seed)
        if stored.accepted:
            before[slot] = attempt
    spare = open_spare(folder)
    for staged in spare.read(shard.name).answers:
        answer = staged.answer
        if (answer.slot, answer.attempt) not in verdicts:
            verdicts[answer.slot, answer.attempt] = judge.anew(answer.verdict, rows[answer.slot], answer.attempt, answer.seed)
    spare.close()
    failures = [Quarantined(slot=entry["slot"], attempt=entry["attempt"], kind=entry["reason"], message="") for entry in marker["quarantined"]]
    left_open = LeftOpen.read(folder, shard.name).joined(marker, failures)
    ordered = sorted((slot, attempt, found.accepted) for (slot, attempt), found in verdicts.items())
    return before, outcome_again(shard, verdicts_by_slot(ordered), left_open), verdicts


def _stored(folder: Location, shard: str) -> Iterator[tuple[int, int, int, QCVerdict]]:
    """(slot, attempt, seed, verdict) of the attempts of a committed shard."""
    for row in attempt_rows(folder, shard):
        measured = {item["name"]: item["value"] for item in row["measurements"]}
        yield row["slot"], row["attempt"], row["seed"], QCVerdict(accepted=row["accepted"], reasons=tuple(row["reasons"]), measurements=measured)


def _tally(counts: Mapping[str, int], reasons: Mapping[str, int], recheck: int) -> Tally:
    known = {name: reasons[name] for name in REJECT_REASONS if reasons.get(name)}
    return Tally(counts={name: counts.get(name, 0) for name in COUNTS}, reasons=known, recheck=recheck)
