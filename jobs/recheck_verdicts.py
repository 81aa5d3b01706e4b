"""Stored verdicts under other limits: what a check says of the measurements that were kept, without the picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from jobs.attempts import Answer, Attempt
from jobs.conditions import AUDITOR, GATE, ConditionTables
from manifests.rows import ManifestRow
from manifests.verdicts import QCVerdict, verdict
from manifests.vocabulary import Word
from qc.checks import Check, QCRequest
from qc.judge import JudgeConfig

_REASONS = {"single_face": frozenset({"no_face", "many_faces"})}  # of checks whose reason isn't their name


class StoredJudge:
    """Judges measurements again by limits that differ from those that they were judged by.

    Only what changed is judged: files keep 32 bits of a number, so a verdict on the limit itself could turn out otherwise than it did on the picture.
    """

    def __init__(self, old: JudgeConfig, new: JudgeConfig, tables: ConditionTables, words: Mapping[str, Word]) -> None:
        before = {check.name: check for check in old.checks}
        self._all = [check for check in new.checks if check.name in new.rejecting]
        self.changed = [
            check.name for check in new.checks if before.get(check.name) != check or (check.name in old.rejecting) != (check.name in new.rejecting)
        ]
        self._judged = [check for check in self._all if check.name in self.changed]
        self._dropped = frozenset().union(*(_REASONS.get(name, frozenset({name})) for name in self.changed))
        self._tables, self._words = tables, words

    def again(self, stored: QCVerdict, row: ManifestRow, attempt: int, seed: int) -> QCVerdict:
        """The verdict by the new limits on an attempt that was judged by the old ones."""
        return self._verdict(stored, [reason for reason in stored.reasons if reason not in self._dropped], self._judged, row, attempt, seed)

    def anew(self, stored: QCVerdict, row: ManifestRow, attempt: int, seed: int) -> QCVerdict:
        """The verdict by the new limits on an attempt that was judged by any limits."""
        return self._verdict(stored, ["not_finite"] if "not_finite" in stored.reasons else [], self._all, row, attempt, seed)

    def answers_again(self, answers: Sequence[Answer], rows: Mapping[int, ManifestRow], spare: frozenset[tuple[int, int]]) -> list[Answer]:
        """Answers with their new verdicts; those at `spare` (slot, attempt) were judged by limits that nobody remembers."""
        judged = []
        for answer in answers:
            judge = self.anew if (answer.slot, answer.attempt) in spare else self.again
            judged.append(dataclasses.replace(answer, verdict=judge(answer.verdict, rows[answer.slot], answer.attempt, answer.seed)))
        return judged

    def _verdict(self, stored: QCVerdict, kept: list[str], checks: Sequence[Check], row: ManifestRow, attempt: int, seed: int) -> QCVerdict:
        if "not_finite" in stored.reasons or not checks:
            failed: list[str] = []
        else:
            request = self._request(row, attempt, seed)
            failed = [reason for check in checks if (reason := check.judge(stored.measurements, request)) is not None]
        reasons = verdict([], [*kept, *failed]).reasons
        return QCVerdict(accepted=not reasons, reasons=reasons, measurements=stored.measurements)

    def _request(self, row: ManifestRow, attempt: int, seed: int) -> QCRequest:
        """What was asked, as far as verdicts on stored measurements need it: no pixels."""
        wish = self._tables.wish(Attempt(row=row, attempt=attempt, seed=seed))
        word = self._words.get(row.expression)
        return QCRequest(
            gate_reference=wish.person.embeddings.get(GATE),
            audit_reference=wish.person.embeddings.get(AUDITOR),
            units=wish.expression.units,
            affectnet8=word.affectnet8 if word and row.intensity == 1 else None,
            pose_deg=wish.scene.pose_deg,
            landmarks5_px=wish.scene.landmarks5_px,
            background_sharpness=None,
            valence=word.valence * row.intensity if word else None,
            arousal=word.arousal * row.intensity if word else None,
        )
