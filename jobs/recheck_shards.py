"""Shards written again under other limits: first everything into the staging log, then the marker away, then the shard by the way of make."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jobs.attempts import Answer
from jobs.files import json_text, write_json, write_whole
from jobs.locations import Location
from jobs.recheck_outcome import LeftOpen, outcome_again
from jobs.reopen import answers_of_shard
from jobs.shards import Provenance, commit_shard
from jobs.staging import Quarantined, Staged, StagingLog
from manifests.planner import Plan
from manifests.rows import ManifestRow, ShardPlan, sample_id
from manifests.vocabulary import vocabulary

SPARE = "spare"  # folder of attempts that the data set doesn't count now, because one before them passes
_ANY_RUN = "0" * 64  # spare attempts outlive the run hash

Judging = Callable[[Sequence[Answer], Mapping[int, ManifestRow], frozenset[tuple[int, int]]], list[Answer]]


class ShardRewriter:
    """Rewrites the shards of a run, one after the other; killed at any moment, the same again leads to the same bytes.

    judging    answers with their new verdicts, from answers with their pictures; the third argument says which of them were spare
    unchanged  whether a committed shard keeps all of its verdicts, so that only its marker is to name the new run
    repeated   shards are written again even if their marker is of this run: measurements change and the run hash doesn't
    """

    def __init__(self, folder: Location, plan: Plan, provenance: Provenance, judging: Judging, *,
                 unchanged: Callable[[ShardPlan], bool], repeated: bool) -> None:  # fmt: skip
        self._folder, self._plan, self._provenance, self._judging = folder, plan, provenance, judging
        self._unchanged, self._repeated = unchanged, repeated
        self._words = {word.word: word for word in vocabulary()}
        self._log = StagingLog(folder, hashlib.sha256(f"check {provenance.run_hash}".encode()).hexdigest())
        self._spare = open_spare(folder)

    def rewrite(self, shard: ShardPlan, marker: Mapping[str, Any] | None) -> None:
        """Brings one shard to the new limits. `marker` is None where an interrupted check had taken it away."""
        name = shard.name
        if marker is not None and self._is_done(name, marker):
            self._log.drop(name)
            self._settle(name, marker)
            return
        if marker is not None and self._unchanged(shard):
            write_whole(self._marker(name), json_text({**marker, "run_hash": self._provenance.run_hash}))
            return
        rows = self._plan.row_list(shard.start, shard.stop)
        if marker is not None:
            self._take_out(name, marker, rows)
        self._commit(shard, rows)

    def close(self) -> None:
        """Closes the logs."""
        self._log.close()
        self._spare.close()

    def _is_done(self, name: str, marker: Mapping[str, Any]) -> bool:
        return bool(marker["run_hash"] == self._provenance.run_hash and (not self._repeated or done_note(self._folder, name).is_file()))

    def _take_out(self, name: str, marker: Mapping[str, Any], rows: Sequence[ManifestRow]) -> None:
        """All answers that there are go into the log with their new verdicts; then the marker goes."""
        answers, failures = answers_of_shard(self._folder, marker)
        counted = {(answer.slot, answer.attempt) for answer in answers}
        spare = [answer for answer in self._spare_answers(name) if (answer.slot, answer.attempt) not in counted]
        everything = sorted([*answers, *spare], key=lambda answer: (answer.slot, answer.attempt))
        judged = self._judging(everything, {row.slot: row for row in rows}, frozenset((answer.slot, answer.attempt) for answer in spare))
        self._log.drop(name)  # of a check that was interrupted here
        self._log.append(name, judged)
        self._log.sync()
        LeftOpen.read(self._folder, name).joined(marker, failures).write(self._folder, name)
        self._marker(name).unlink(missing_ok=True)

    def _spare_answers(self, name: str) -> Iterable[Answer]:
        for staged in self._spare.read(name).answers:
            image, label_map = self._spare.pictures(staged)
            yield dataclasses.replace(staged.answer, image=image, label_map=label_map)

    def _commit(self, shard: ShardPlan, rows: Sequence[ManifestRow]) -> None:
        name = shard.name
        staged = sorted(self._log.read(name).answers, key=lambda each: (each.slot, each.attempt))
        left_open = LeftOpen.read(self._folder, name)
        outcome = outcome_again(shard, verdicts_by_slot((each.slot, each.attempt, each.accepted) for each in staged), left_open)
        self._keep_spare(name, [each for each in staged if not outcome.counts(each.slot, each.attempt)])
        failures = [left_open.quarantined[slot] for slot in outcome.quarantined]
        self._write_quarantine(rows, left_open, {failure.slot for failure in failures})
        for place in ("data", "rejected"):  # a shard may have none of them now
            for extension in ("tar", "parquet"):
                (self._folder / place / f"{name}.{extension}").unlink(missing_ok=True)
        marker = commit_shard(self._folder, outcome, rows, staged, failures, self._provenance.at(shard.start), self._words, self._log.pictures)
        if self._repeated:
            write_json(done_note(self._folder, name), {})
        self._log.drop(name)
        self._settle(name, marker)

    def _keep_spare(self, name: str, staged: Sequence[Staged]) -> None:
        self._spare.drop(name)
        if staged:
            answers = []
            for each in staged:
                image, label_map = self._log.pictures(each)
                answers.append(dataclasses.replace(each.answer, image=image, label_map=label_map))
            self._spare.append(name, answers)
            self._spare.sync()

    def _write_quarantine(self, rows: Sequence[ManifestRow], left_open: LeftOpen, set_aside: set[int]) -> None:
        """One file for each slot that is set aside now, as make writes it; none for the others."""
        for row in rows:
            failure = left_open.quarantined.get(row.slot)
            path = self._folder / "quarantine" / f"{sample_id(row.slot)}.json"
            if failure is not None and row.slot in set_aside:
                write_json(path, quarantine_entry(row, failure, row.seed(self._plan.spec.run_seed, failure.attempt)))
            elif failure is not None:
                path.unlink(missing_ok=True)

    def _settle(self, name: str, marker: Mapping[str, Any]) -> None:
        LeftOpen.read(self._folder, name).without(marker).write(self._folder, name)

    def _marker(self, name: str) -> Location:
        return self._folder / "data" / f"{name}.json"


def quarantine_entry(row: ManifestRow, failure: Quarantined, seed: int) -> dict[str, Any]:
    """Content of the file that says why a slot was set aside."""
    asked = {name: getattr(row, name) for name in ("slot", "sample_id", "cell", "identity_id", "expression", "scene_id")}
    return {**asked, "attempt": failure.attempt, "seed": seed, "kind": failure.kind, "message": failure.message}


def open_spare(folder: Location) -> StagingLog:
    """The logs of spare attempts, one a shard."""
    return StagingLog(folder / SPARE, _ANY_RUN)


def done_note(folder: Location, shard: str) -> Location:
    """Says that a shard was measured again by the check that is under way."""
    return folder / SPARE / "done" / f"{shard}.json"


def verdicts_by_slot(verdicts: Iterable[tuple[int, int, bool]]) -> dict[int, list[bool]]:
    """Slot -> whether its attempts 0, 1, 2, ... pass, from (slot, attempt, passed) in the order of attempts; one after a gap is left out."""
    by_slot: dict[int, list[bool]] = {}
    for slot, attempt, passed in verdicts:
        known = by_slot.setdefault(slot, [])
        if attempt == len(known):
            known.append(passed)
    return by_slot
