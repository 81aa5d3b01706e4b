"""Faces of sampled people: each with several expressions in different scenes, made once and unjudged, and what recognisers see in them."""

# N pictures, M of them with a face, D width of an embedding, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.identity_prior import sample_identities
from jobs.attempts import Attempt
from jobs.axes import Screenings, bank_words, plan_spec
from jobs.bundle import BUNDLED, IDENTITY_PRIOR
from jobs.conditions import AUDITOR
from jobs.config import RunConfig
from jobs.drawing import draw_attempts
from jobs.models import ReferenceNets
from jobs.prepare import prepare_tables
from jobs.sections import ExpressionsSection, IdentitiesSection, SampledSection
from manifests.errors import ConfigError
from manifests.ledger import read_ledger
from manifests.planner import Plan
from manifests.vocabulary import AFFECTNET8
from qc.alignment import recogniser_crops
from qc.faces import FaceDetector
from qc.packs import Detector, insightface_pack
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models

NO_FOLDERS = Screenings(identities=None, expressions=None, scenes=None)


@dataclass(frozen=True, kw_only=True)
class PeoplePictures:
    """N first attempts at a plan of people x expressions, in the order of its slots."""

    images_rgb: NDArray[np.uint8]  # (N, H, W, 3)
    people: NDArray[np.str_]  # (N,) identity ids
    words: NDArray[np.str_]  # (N,)


@dataclass(frozen=True, kw_only=True)
class Eye:
    """A detector and a recogniser that look together."""

    name: str  # of the recogniser
    detector_name: str
    detector: Detector
    recogniser: Recogniser


@dataclass(frozen=True, kw_only=True)
class SeenFaces:
    """What an eye sees; pictures without a face have no embedding."""

    num_faces: NDArray[np.int64]  # (N,)
    rows: NDArray[np.int64]  # (M,) places of the pictures with a face
    embeddings: NDArray[np.float32]  # (M, D) of the best face


def people_config(config: RunConfig, *, num_people: int, num_expressions: int) -> RunConfig:
    """The recipe: sampled people, the AffectNet classes first and then the other words of the vocabulary, all scenes of the bank dealt out evenly."""
    words = [*AFFECTNET8, *(word for word in bank_words() if word not in AFFECTNET8)]
    if num_people < 2 or not 2 <= num_expressions <= len(words):
        raise ConfigError(f"people: {num_people} people and {num_expressions} expressions were asked for, expected 2 or more people and 2 to {len(words)}.")
    return dataclasses.replace(
        config,
        identities=IdentitiesSection(sampled=SampledSection(count=num_people)),
        expressions=ExpressionsSection(words=tuple(words[:num_expressions])),
    )


def draw_people(config: RunConfig, *, tick: Callable[[int], None]) -> PeoplePictures:
    """One picture of each person with each expression. No check refuses any, so that the figures are those of the generator alone."""
    plan = Plan(plan_spec(config, NO_FOLDERS))
    rows = plan.row_list(0, plan.num_slots)
    tables = prepare_tables(config, plan.spec, NO_FOLDERS, _no_nets)
    attempts = [Attempt(row=row, attempt=0, seed=row.seed(config.seed, 0)) for row in rows]
    return PeoplePictures(
        images_rgb=draw_attempts(config, tables, attempts, tick=tick),
        people=np.array([row.identity_id for row in rows]),
        words=np.array([row.expression for row in rows]),
    )


def auditor_vectors(config: RunConfig) -> NDArray[np.float32]:
    """(I, D) what the prior expects the auditor to see in the people, before any picture is made."""
    return sample_identities(IDENTITY_PRIOR, config.identities.sampled.count, config.seed)[AUDITOR]


def open_eyes(pack: Path | None, *, threads: int = 1) -> list[Eye]:
    """The bundled detector with the auditor, and those of an insightface pack. RoleError when one of them conditions."""
    auditor = Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=threads)
    eyes = [Eye(name=AUDITOR, detector_name="face_detector", detector=FaceDetector(BUNDLED / "faces" / "face_detector.onnx"), recogniser=auditor)]
    if pack is not None:
        found = insightface_pack(pack, threads=threads)
        eyes.append(Eye(name=found.recogniser.name, detector_name=found.name, detector=found.detector, recogniser=found.recogniser))
    conditioners = {weight.name: weight.sha256 for weight in read_ledger(BUNDLED).with_role("conditioner")}
    first, *others = [(eye.name, eye.recogniser.sha256) for eye in eyes]
    refuse_shared_models(conditioners, first, others[0] if others else None)
    return eyes


def look(eye: Eye, images_rgb: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> SeenFaces:
    """Finds the faces of N pictures and embeds the best one of each."""
    faces = [eye.detector.detect(image) for image in images_rgb]
    rows = np.array([place for place, found in enumerate(faces) if found], dtype=np.int64)
    crops = recogniser_crops([images_rgb[row] for row in rows], [faces[row][0].landmarks5_px for row in rows])
    return SeenFaces(num_faces=np.array([len(found) for found in faces], dtype=np.int64), rows=rows, embeddings=eye.recogniser.embed(crops))


def _no_nets() -> ReferenceNets:
    raise AssertionError("there are no photographs to read")
