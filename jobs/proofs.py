"""Proofs: pictures of a candidate for a sampled person, by which the auditor tells it from earlier people and from training people, or refuses it."""

# K proofs, I people taken so far, G training people, D width of an embedding

from __future__ import annotations

import dataclasses
import hashlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.attempts import Attempt
from jobs.bundle import BUNDLED, EXPRESSION_BANK, SCENE_BANK, core_folder, core_size
from jobs.conditions import ConditionTables, Person, Scene, ShownExpression, read_rows, scene_of_row, shown_expression
from jobs.config import RunConfig
from jobs.drawing import lone_row
from jobs.eyes import Eye, look, open_eyes
from jobs.figure_config import sampler_of
from jobs.files import read_json, write_json
from jobs.generating import Core, Generate
from jobs.images import decode_grey, decode_rgb, encode
from jobs.locations import Location
from jobs.summary_pictures import read_gallery
from manifests.rows import row_seed
from qc.calibration import CALIBRATION_FILE, find_calibration, read_calibrations
from qc.dataset.leakage import leakage
from qc.dataset.uniqueness import unit_rows

TARGET_FMR = 1e-3
# Other pictures of two people are a little nearer or farther than their proofs. Among 300 people with five other pictures each, 0.11 % of the pairs that a
# limit at the threshold itself lets through match there, no fewer than the threshold's own rate; with this distance to it 0.05 %.
MARGIN = 0.04
WORDS = ("neutral", "sadness", "surprise", "happiness", "fear")  # of the proofs, again and again: the auditor sees expressions too
CANDIDATE = "candidate"
TOLD_EVERY_S = 10.0


class Proofs:
    """Takes or refuses candidates one after the other; `accepts` is what IdentityPrior.sample asks.

    Every candidate is drawn in the same bundled scenes, with the same expressions and from the same noise, K pictures in one batch, so that an answer
    depends on the candidate and on the people before it only. A candidate is refused when the auditor's mean of its proofs comes within `limit` (its
    threshold at FMR 1e-3, less MARGIN) of an earlier person's, or as near to a training person as 1e-3 of held-out people's comparisons with them are.
    """

    def __init__(self, config: RunConfig, *, kept: Location | None = None, key: str = "") -> None:
        """Loads nothing yet: the core comes with the first candidate that nothing is known of.

        config  of a recipe with `identities.sampled.proofs` of 1 or more
        kept    file of the answers so far, written now and then, so that a choice that was killed goes on; None: they are not kept
        key     of everything else that answers depend on; answers under another one are not taken up
        """
        self._config = config
        self._kept, self._key = kept, key
        self._answers = _read_answers(kept, key)
        self._place = 0  # of the next answer
        self._count = config.identities.sampled.proofs  # K
        self._stage: _Stage | None = None
        self._centres: list[NDArray[np.float32]] = []  # I of (D,)
        self._refused = {"no_face": 0, "training_person": 0, "earlier_person": 0}
        self._start = self._told = time.monotonic()

    def accepts(self, embeddings: Mapping[str, NDArray[np.float32]]) -> bool:
        """Whether somebody with these embeddings (encoder -> (E,), unit length) is distinct; if so it is one of the people from now on."""
        digest = _digest(embeddings)
        answer = self._answers[self._place] if self._place < len(self._answers) else None
        if answer is None or answer.candidate != digest:
            answer = self._answer(digest, embeddings)
            self._answers[self._place :] = [answer]
        self._place += 1
        if answer.centre is not None:
            self._centres.append(answer.centre)
        else:
            self._refused[answer.fault] += 1
        self._tell()
        return answer.centre is not None

    def record(self) -> dict[str, Any]:
        """What was decided so far, as plain values."""
        taken = len(self._centres)
        self._stage = self._stage or _Stage(self._config)
        return {
            "proofs": self._count,
            "candidates": taken + sum(self._refused.values()),
            "people": taken,
            "refused": dict(self._refused),
            "limit": self._stage.limit,
            "training_limit": self._stage.training_limit,
            "max_cosine": _highest_pair(np.stack(self._centres)) if taken > 1 else None,
        }

    def line(self) -> str:
        """The record as a sentence."""
        refused, taken = self._refused, len(self._centres)
        return (
            f"{taken:,} people of {taken + sum(refused.values()):,} candidates by {numbered_proofs(self._count)} each; refused: "
            f"{refused['earlier_person']:,} like an earlier person, {refused['training_person']:,} like a training person, "
            f"{refused['no_face']:,} without a face"
        )

    def close(self) -> None:
        """Drops the kept answers, when what was chosen by them is written."""
        if self._kept is not None:
            self._kept.unlink(missing_ok=True)

    def _answer(self, digest: str, embeddings: Mapping[str, NDArray[np.float32]]) -> _Answer:
        self._stage = self._stage or _Stage(self._config)
        centre = self._stage.centre(Person(identity_id=CANDIDATE, source="sampled", embeddings=embeddings))
        fault = self._fault(centre, self._stage)
        return _Answer(candidate=digest, fault=fault or "", centre=None if fault else centre)

    def _fault(self, centre: NDArray[np.float32] | None, stage: _Stage) -> str | None:
        if centre is None:
            return "no_face"
        if stage.training_limit is not None and float((stage.training @ centre).max()) >= stage.training_limit:
            return "training_person"
        if self._centres and float((np.stack(self._centres) @ centre).max()) >= stage.limit:
            return "earlier_person"
        return None

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            sys.stderr.write(f"preparing: {self.line()} ({now - self._start:.0f} s)\n")
            sys.stderr.flush()
            if self._kept is not None:
                write_json(self._kept, {"key": self._key, "answers": [answer.to_json() for answer in self._answers]})


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What was said of a candidate."""

    candidate: str  # digest of its embeddings
    fault: str  # "": none
    centre: NDArray[np.float32] | None  # (D,) of somebody who was taken

    def to_json(self) -> list[str]:
        return [self.candidate, self.fault, "" if self.centre is None else self.centre.tobytes().hex()]

    @staticmethod
    def from_json(fields: Sequence[str]) -> _Answer:
        candidate, fault, centre = fields
        return _Answer(candidate=candidate, fault=fault, centre=None if fault else np.frombuffer(bytes.fromhex(centre), np.float32))


def _read_answers(path: Location | None, key: str) -> list[_Answer]:
    if path is None or not path.is_file():
        return []
    kept = read_json(path)
    return [_Answer.from_json(fields) for fields in kept["answers"]] if kept["key"] == key else []


def _digest(embeddings: Mapping[str, NDArray[np.float32]]) -> str:
    return hashlib.sha256(b"".join(embeddings[name].tobytes() for name in sorted(embeddings))).hexdigest()


def proofs_of(config: RunConfig, *, kept: Location | None = None, key: str = "") -> Proofs | None:
    """The recipe's proofs; None where it has no sampled people or wants none."""
    sampled = config.identities.sampled
    return Proofs(config, kept=kept, key=key) if sampled.count and sampled.proofs and config.mode != "reenact" else None


def numbered_proofs(count: int) -> str:
    """"1 proof", "3 proofs"."""
    return f"{count} proof{'s' if count > 1 else ''}"


class _Stage:
    """The core, the scenes and expressions of proofs, the auditor with its limits."""

    def __init__(self, config: RunConfig) -> None:
        import torch

        from generator.loading import load_core

        torch.set_num_threads(config.threads)
        on_gpu = config.device == "cuda" and torch.cuda.is_available()
        if config.device == "cuda" and not on_gpu:  # who prepares may have no GPU where the workers have some
            sys.stderr.write("preparing: this machine has no GPU, so its CPU draws the proofs of sampled people (identities.sampled.proofs=0 draws none)\n")
        self._core: Core = load_core(core_folder(config.models), device="cuda" if on_gpu else "cpu", dtype=config.models.dtype)
        self._encoders = list(self._core.conditions.config.identity_dims)  # type: ignore[attr-defined]
        self._sampler = sampler_of(config)
        self._eye: Eye = open_eyes(None, threads=config.threads)[0]
        self._scenes, self._expressions = _scenes(config), _expressions()
        self._count = config.identities.sampled.proofs
        calibrations = read_calibrations(BUNDLED / CALIBRATION_FILE)
        self.limit = find_calibration(calibrations, self._eye.recogniser.sha256, TARGET_FMR).require().threshold - MARGIN
        self.training, self.training_limit = _training_people(config)

    def centre(self, person: Person) -> NDArray[np.float32] | None:
        """(D,) mean of the auditor's embeddings of K proofs, unit length; None when a proof shows no face."""
        attempts = [
            Attempt(row=lone_row(number, person.identity_id, 0, WORDS[number % len(WORDS)], scene.scene_id), attempt=0, seed=row_seed(0, number, 0))
            for number, scene in enumerate(self._scenes)
        ]
        tables = ConditionTables([person], self._expressions, self._scenes)
        pixels = Generate(tables, self._core, self._sampler, encoders=self._encoders, batch_size=self._count)(attempts)
        seen = look(self._eye, pixels.images_rgb)
        if not pixels.finite.all() or len(seen.rows) < self._count:
            return None
        return unit_rows(seen.embeddings.sum(axis=0, keepdims=True))[0]


def _scenes(config: RunConfig) -> list[Scene]:
    """K scenes at even steps over the bundled bank, at the core's size. Not the recipe's own, which an extension may add to."""
    rows = sorted(read_rows(SCENE_BANK), key=lambda row: str(row["scene_id"]))
    count, size = config.identities.sampled.proofs, core_size(config.models)
    # subtle: proofs beyond the number of scenes take a scene twice, under a name of its own
    chosen = [scene_of_row(rows[(2 * number + 1) * len(rows) // (2 * count)]) for number in range(count)]
    return [dataclasses.replace(_at_size(scene, size), scene_id=f"proof-{number}") for number, scene in enumerate(chosen)]


def _at_size(scene: Scene, size: int) -> Scene:
    image, mask = decode_rgb(scene.image_png), decode_grey(scene.face_mask_png)
    if image.shape[:2] == (size, size):
        return scene
    larger = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC if size > len(image) else cv2.INTER_AREA)
    hole = cv2.resize(mask, (size, size), interpolation=cv2.INTER_NEAREST)
    return dataclasses.replace(
        scene,
        image_png=encode(np.asarray(larger, np.uint8), "png"),
        face_mask_png=encode(np.asarray(hole, np.uint8), "png"),
        landmarks5_px=scene.landmarks5_px * np.float32(size / len(image)),
    )


def _expressions() -> list[ShownExpression]:
    """The first reference of each word."""
    found: dict[str, ShownExpression] = {}
    for row in read_rows(EXPRESSION_BANK):
        if row["word"] in WORDS and row["word"] not in found:
            found[row["word"]] = shown_expression(row["word"], row["embedding"], row["units"])
    return list(found.values())


def _training_people(config: RunConfig) -> tuple[NDArray[np.float32], float | None]:
    """(G, D) the auditor's centres of training people and the cosine to them that is too high; None where held-out people are too few to know it."""
    gallery = read_gallery(config)
    if gallery is None or not gallery.held_out.any() or gallery.held_out.all():
        return np.zeros((0, 1), np.float32), None
    training, held_out = unit_rows(gallery.auditor[~gallery.held_out]), unit_rows(gallery.auditor[gallery.held_out])
    threshold = leakage(held_out, training, held_out, target_fmr=TARGET_FMR, top=0).threshold
    return training, threshold if math.isfinite(threshold) else None


def _highest_pair(centres: NDArray[np.float32]) -> float:
    cosines = centres @ centres.T
    return float(cosines[np.triu_indices(len(centres), 1)].max())
