"""Who may be a sampled person: the auditor looks at pictures of a candidate and refuses those that look like somebody who is known already."""

# I people taken so far, D width of an embedding

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from generator.identity_prior import Accepts
from jobs.axes import sampled_name
from jobs.conditions import Scene, ShownExpression
from jobs.config import RunConfig
from jobs.files import read_json, write_json
from jobs.locations import Location
from jobs.previews import PreviewRows, preview_rows
from jobs.proof_pictures import Centre, Embeddings, ProofPictures
from manifests.planner import Plan

# Other pictures of two people are a little nearer or farther than their proofs. Among 300 people with five other pictures each, 0.11 % of the pairs that a
# limit at the threshold itself lets through match there, no fewer than the threshold's own rate; with this distance to it 0.05 %.
PROOF_MARGIN = 0.04
# A run makes its previews again, in batches of another size, which changes a picture's last bits, and tries again where a check refuses one.
PREVIEW_MARGIN = 0.01
FAULTS = ("no_face", "training_person", "earlier_person")
TOLD_EVERY_S = 10.0


class Proofs:
    """Takes or refuses candidates one after the other; `accepts` is what IdentityPrior.sample asks.

    A candidate is looked at once or twice, each time on a few pictures whose auditor's embeddings are averaged: on proofs, which have the same bundled
    scenes, expressions and noise for everybody, and on previews, which are the first attempts at rows of the recipe that would be its own. It is refused when
    a look comes within a margin of the auditor's threshold at FMR 1e-3 to an earlier person on the same look, or as near to a training person as 1e-3 of
    held-out people's comparisons with them are. So an answer depends on the candidate, its place and the people before it only.
    """

    def __init__(self, config: RunConfig, previews: PreviewRows | None = None, *, kept: Location | None = None, key: str = "") -> None:
        """Loads nothing yet: the core comes with the first candidate that nothing is known of.

        config    of a recipe with sampled people; `identities.sampled.proofs` 0: no such look
        previews  rows that would be a person's own, by identity id; None: no such look
        kept      file of the answers so far, written now and then, so that a choice that was killed goes on; None: they are not kept
        key       of everything else that answers depend on; answers under another one are not taken up
        """
        self._config, self._previews = config, previews
        self._kept, self._key = kept, key
        self._answers = _read_answers(kept, key)
        self._place = 0  # of the next answer
        self._pictures: ProofPictures | None = None
        self._references: tuple[Sequence[ShownExpression], Sequence[Scene]] = ((), ())
        proofs = config.identities.sampled.proofs
        self._looks = [_Look(name="proofs", pictures=proofs, margin=PROOF_MARGIN, see=ProofPictures.proofs)] if proofs else []
        if previews:
            self._looks.append(_Look(name="previews", pictures=max(map(len, previews.values())), margin=PREVIEW_MARGIN, see=self._preview))
        self._candidates = self._taken = 0
        self._start = self._told = time.monotonic()

    def among(self, expressions: Sequence[ShownExpression], scenes: Sequence[Scene]) -> Accepts:
        """`accepts`, with the recipe's references, which previews are drawn from."""
        self._references = (expressions, scenes)
        return self.accepts

    def accepts(self, embeddings: Embeddings) -> bool:
        """Whether somebody with these embeddings (encoder -> (E,), unit length) is distinct; if so it is one of the people from now on."""
        digest = _digest(embeddings)
        answer = self._answers[self._place] if self._place < len(self._answers) else None
        if answer is None or answer.candidate != digest:
            answer = self._answer(digest, embeddings)
            self._answers[self._place :] = [answer]
        self._place += 1
        self._candidates += 1
        if answer.fault:
            self._looks[answer.look].refused[answer.fault] += 1
        else:
            self._taken += 1
            for look, centre in zip(self._looks, answer.centres, strict=True):
                look.centres.append(centre)
        self._tell()
        return not answer.fault

    def record(self) -> dict[str, Any]:
        """What was decided so far, as plain values."""
        pictures = self._open()
        return {
            "candidates": self._candidates,
            "people": self._taken,
            "training_limit": pictures.training_limit,
            "looks": [look.to_json(pictures.threshold) for look in self._looks],
        }

    def line(self) -> str:
        """The record as a sentence."""
        refused = {fault: sum(look.refused[fault] for look in self._looks) for fault in FAULTS}
        looks = " and ".join(numbered(look.name, look.pictures) for look in self._looks)
        return (
            f"{self._taken:,} people of {self._candidates:,} candidates by {looks} each; refused: {refused['earlier_person']:,} like an earlier person, "
            f"{refused['training_person']:,} like a training person, {refused['no_face']:,} without a face"
        )

    def close(self) -> None:
        """Drops the kept answers, when what was chosen by them is written."""
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)

    def _open(self) -> ProofPictures:
        self._pictures = self._pictures or ProofPictures(self._config)
        return self._pictures

    def _answer(self, digest: str, embeddings: Embeddings) -> _Answer:
        pictures = self._open()
        centres: list[Centre] = []
        for number, look in enumerate(self._looks):
            centre = look.see(pictures, embeddings)
            fault = look.fault(centre, pictures)
            if centre is None or fault:
                return _Answer(candidate=digest, look=number, fault=fault)
            centres.append(centre)
        return _Answer(candidate=digest, centres=tuple(centres))

    def _preview(self, pictures: ProofPictures, embeddings: Embeddings) -> Centre | None:
        assert self._previews is not None
        return pictures.previews(embeddings, self._previews[sampled_name(self._taken)], *self._references)

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            sys.stderr.write(f"preparing: {self.line()} ({now - self._start:.0f} s)\n")
            sys.stderr.flush()
            if self._kept is not None:
                write_json(self._kept, {"key": self._key, "answers": [answer.to_json() for answer in self._answers]})


@dataclass(kw_only=True)
class _Look:
    """One kind of pictures that candidates are judged by, and the people who passed."""

    name: str
    pictures: int  # of a candidate
    margin: float  # of the auditor's threshold, in cosine
    see: Callable[[ProofPictures, Embeddings], Centre | None]
    centres: list[Centre] = field(default_factory=list)  # I of (D,)
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))

    def fault(self, centre: Centre | None, pictures: ProofPictures) -> str:
        """Why a candidate who looks so can't be the next person; "": nothing is against it."""
        if centre is None:
            return "no_face"
        if pictures.training_limit is not None and float((pictures.training @ centre).max()) >= pictures.training_limit:
            return "training_person"
        if self.centres and float((np.stack(self.centres) @ centre).max()) >= pictures.threshold - self.margin:
            return "earlier_person"
        return ""

    def to_json(self, threshold: float) -> dict[str, Any]:
        """What was decided by it, as plain values."""
        rows = np.stack(self.centres) if len(self.centres) > 1 else None
        return {
            "name": self.name,
            "pictures": self.pictures,
            "limit": threshold - self.margin,
            "refused": dict(self.refused),
            "max_cosine": None if rows is None else float((rows @ rows.T)[np.triu_indices(len(rows), 1)].max()),
        }


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What was said of a candidate."""

    candidate: str  # digest of its embeddings
    look: int = 0  # that refused it
    fault: str = ""  # "": none
    centres: tuple[Centre, ...] = ()  # of somebody who was taken, one a look

    def to_json(self) -> list[Any]:
        return [self.candidate, self.look, self.fault, *(centre.tobytes().hex() for centre in self.centres)]

    @staticmethod
    def from_json(fields: Sequence[Any]) -> _Answer:
        candidate, look, fault, *centres = fields
        return _Answer(candidate=candidate, look=look, fault=fault, centres=tuple(np.frombuffer(bytes.fromhex(one), np.float32) for one in centres))


def proofs_of(config: RunConfig, plan: Plan, *, kept: Location | None = None, key: str = "") -> Proofs | None:
    """The recipe's proofs and previews of its plan; None where it has no sampled people or wants neither."""
    sampled = config.identities.sampled
    if not sampled.count or config.mode == "reenact" or not (sampled.proofs or sampled.previews):
        return None
    people = [sampled_name(number) for number in range(sampled.count)]
    return Proofs(config, preview_rows(plan, people, sampled.previews) if sampled.previews else None, kept=kept, key=key)


def numbered(name: str, count: int) -> str:
    """"1 proof", "3 proofs", "5 previews"."""
    return f"{count} {name if count > 1 else name.removesuffix('s')}"


def _read_answers(path: Location | None, key: str) -> list[_Answer]:
    if path is None or not path.is_file():
        return []
    kept = read_json(path)
    return [_Answer.from_json(fields) for fields in kept["answers"]] if kept["key"] == key else []


def _digest(embeddings: Embeddings) -> str:
    return hashlib.sha256(b"".join(embeddings[name].tobytes() for name in sorted(embeddings))).hexdigest()
