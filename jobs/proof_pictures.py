"""What the auditor sees in pictures of a candidate for a sampled person: proofs, which are the same for everybody, and previews of its own rows."""

# K pictures, G training people, D width of an embedding

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence

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
from jobs.generating import Core, Generate
from jobs.images import decode_grey, decode_rgb, encode
from jobs.summary_pictures import read_gallery
from manifests.rows import ManifestRow, row_seed
from qc.calibration import CALIBRATION_FILE, find_calibration, read_calibrations
from qc.dataset.leakage import leakage
from qc.dataset.uniqueness import unit_rows

TARGET_FMR = 1e-3
WORDS = ("neutral", "sadness", "surprise", "happiness", "fear")  # of the proofs, again and again: the auditor sees expressions too
CANDIDATE = "candidate"

Embeddings = Mapping[str, NDArray[np.float32]]  # encoder -> (E,), unit length
Centre = NDArray[np.float32]  # (D,) mean of the auditor's embeddings, unit length


class ProofPictures:
    """Draws pictures of candidates and shows them to the auditor.

    threshold          auditor's at FMR 1e-3
    training           (G, D) its centres of training people
    training_limit     cosine to them that 1e-3 of held-out people's comparisons reach; None where held-out people are too few to know it
    """

    def __init__(self, config: RunConfig) -> None:
        import torch

        from generator.loading import load_core

        torch.set_num_threads(config.threads)
        on_gpu = config.device == "cuda" and torch.cuda.is_available()
        if config.device == "cuda" and not on_gpu:  # who prepares may have no GPU where the workers have some
            sys.stderr.write(
                "preparing: this machine has no GPU, so its CPU draws the pictures that sampled people are chosen by "
                "(identities.sampled.proofs=0 identities.sampled.previews=0 draws none)\n"
            )
        self._core: Core = load_core(core_folder(config.models), device="cuda" if on_gpu else "cpu", dtype=config.models.dtype)
        self._encoders = list(self._core.conditions.config.identity_dims)  # type: ignore[attr-defined]
        self._sampler, self._seed, self._batch_size = sampler_of(config), config.seed, config.batch_size
        self._eye: Eye = open_eyes(None, threads=config.threads)[0]
        self._scenes, self._expressions = _scenes(config), _expressions()
        calibrations = read_calibrations(BUNDLED / CALIBRATION_FILE)
        self.threshold = find_calibration(calibrations, self._eye.recogniser.sha256, TARGET_FMR).require().threshold
        self.training, self.training_limit = _training_people(config)

    def proofs(self, candidate: Embeddings) -> Centre | None:
        """Centre of the proofs: bundled scenes and expressions and the same noise for everybody. None when one of them shows no face."""
        attempts = [
            Attempt(row=lone_row(number, CANDIDATE, 0, WORDS[number % len(WORDS)], scene.scene_id), attempt=0, seed=row_seed(0, number, 0))
            for number, scene in enumerate(self._scenes)
        ]
        tables = ConditionTables([Person(identity_id=CANDIDATE, source="sampled", embeddings=candidate)], self._expressions, self._scenes)
        return self._centre(tables, attempts, at_once=len(attempts), needed=len(attempts))

    def previews(self, candidate: Embeddings, rows: Sequence[ManifestRow], expressions: Sequence[ShownExpression], scenes: Sequence[Scene]) -> Centre | None:
        """Centre of the first attempts at some rows of one person. None when none of them shows a face: checks of a run refuse some of them, too."""
        attempts = [Attempt(row=row, attempt=0, seed=row.seed(self._seed, 0)) for row in rows]
        tables = ConditionTables([Person(identity_id=rows[0].identity_id, source="sampled", embeddings=candidate)], expressions, scenes)
        return self._centre(tables, attempts, at_once=min(len(attempts), self._batch_size), needed=1)

    def _centre(self, tables: ConditionTables, attempts: Sequence[Attempt], *, at_once: int, needed: int) -> Centre | None:
        generate = Generate(tables, self._core, self._sampler, encoders=self._encoders, batch_size=at_once)
        parts = [generate(attempts[start : start + at_once]) for start in range(0, len(attempts), at_once)]
        finite = np.concatenate([part.finite for part in parts])
        seen = look(self._eye, np.concatenate([part.images_rgb for part in parts])[finite])
        if len(seen.rows) < needed:
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
