"""Turns what a plan refers to into condition tables: embeddings of people, references of expressions, backgrounds with their masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.identity_prior import Accepts, sample_identities
from jobs.axes import Screenings, sampled_name
from jobs.bundle import EXPRESSION_BANK, IDENTITY_PRIOR, SCENE_BANK
from jobs.conditions import ConditionTables, Person, Scene, ShownExpression, read_rows, recognisers_of, scene_of_row, shown_expression
from jobs.config import RunConfig
from jobs.images import encode
from jobs.models import PortraitReading, ReferenceNets
from jobs.proofs import Proofs
from jobs.references import Reference, Screening
from manifests.errors import InputError
from manifests.rows import AS_BACKGROUND
from manifests.spec import PlanSpec
from manifests.vocabulary import find_word

OpenNets = Callable[[], ReferenceNets]


class _Pictures:
    """Readings of reference pictures; a picture that serves twice is read once, and the nets are opened for the first one."""

    def __init__(self, open_nets: OpenNets) -> None:
        self._open_nets = open_nets
        self._nets: ReferenceNets | None = None
        self._readings: dict[tuple[Path, str], PortraitReading] = {}

    def read(self, folder: Path, reference: Reference) -> PortraitReading:
        key = (folder, reference.file)
        if key not in self._readings:
            self._nets = self._nets or self._open_nets()
            points = np.asarray(reference.landmarks5_px, dtype=np.float32)
            self._readings[key] = self._nets.read(reference.read(folder), points)
        return self._readings[key]


def prepare_tables(config: RunConfig, spec: PlanSpec, screenings: Screenings, open_nets: OpenNets, *,
                   sampled_before: Sequence[int] = (), proofs: Proofs | None = None) -> ConditionTables:  # fmt: skip
    """Condition tables of a plan. `open_nets` is called only when there are photographs to read.

    sampled_before  how many people were sampled before each extension of the run; those keep their embeddings to the last bit
    proofs          say whether a candidate may be a sampled person; None: whoever the prior draws
    """
    pictures = _Pictures(open_nets)
    scenes, expressions = _scenes(config, spec, screenings, pictures), _expressions(config, spec, screenings.expressions, pictures)
    if config.mode == "reenact":
        people = [scene.person for scene in scenes]
    else:
        people = _people_of_folder(config, screenings.identities, pictures) + _sampled_people(
            config, sampled_before, proofs.among(expressions, scenes) if proofs else None
        )
    return ConditionTables(people, expressions, scenes)


def _people_of_folder(config: RunConfig, screening: Screening | None, pictures: _Pictures) -> list[Person]:
    if screening is None:
        return []
    folder = Path(str(config.identities.path))
    by_name: dict[str, list[Reference]] = {}
    for reference in screening.usable:
        by_name.setdefault(reference.name, []).append(reference)
    people = []
    for name, references in by_name.items():
        readings = [pictures.read(folder, reference) for reference in references]
        people.append(Person(identity_id=name, source="licensed-reference", embeddings=_mean_embeddings([reading.embeddings for reading in readings])))
    return people


def _sampled_people(config: RunConfig, before: Sequence[int], accepts: Accepts | None) -> list[Person]:
    count = config.identities.sampled.count
    if not count:
        return []
    embeddings = sample_identities(IDENTITY_PRIOR, count, config.seed, grown_from=before, accepts=accepts)
    return [
        Person(identity_id=sampled_name(index), source="sampled", embeddings={name: rows[index] for name, rows in embeddings.items()})
        for index in range(count)
    ]


def _expressions(config: RunConfig, spec: PlanSpec, screening: Screening | None, pictures: _Pictures) -> list[ShownExpression]:
    wanted = {expression.word for expression in spec.expressions} | {"neutral"}  # neutral: where weaker expressions start from
    if screening is None:
        found = [shown_expression(row["word"], row["embedding"], row["units"]) for row in read_rows(EXPRESSION_BANK)]
    else:
        folder = Path(str(config.expressions.path))
        found = []
        for reference in screening.usable:
            reading = pictures.read(folder, reference)
            found.append(ShownExpression(word=find_word(reference.name).word, embedding=reading.expression, units=reading.units))
        if min(config.expressions.intensities, default=1.0) < 1 and not any(shown.word == "neutral" for shown in found):
            raise InputError(f"references: {folder} has no pictures of neutral, where weaker expressions start from. Add a folder neutral.")
    return sorted((shown for shown in found if shown.word in wanted), key=lambda shown: shown.word)


def _scenes(config: RunConfig, spec: PlanSpec, screenings: Screenings, pictures: _Pictures) -> list[Scene]:
    wanted = set(spec.scene_ids)
    screening, folder = screenings.scenes, config.scenes.path
    if screening is None and config.scenes.from_identities:
        screening, folder = screenings.identities, config.identities.path
    if screening is None:
        found = [scene_of_row(row) for row in read_rows(SCENE_BANK)]
    else:
        found = [_scene_of_picture(reference.file, pictures.read(Path(str(folder)), reference)) for reference in screening.usable]
    return sorted((scene for scene in found if scene.scene_id in wanted), key=lambda scene: scene.scene_id)


def _scene_of_picture(scene_id: str, reading: PortraitReading) -> Scene:
    return Scene(
        scene_id=scene_id,
        image_png=encode(reading.image_rgb, "png"),
        face_mask_png=encode(reading.face_mask * np.uint8(255), "png"),
        pose_deg=reading.pose_deg,
        landmarks5_px=reading.landmarks5_px,
        person=Person(identity_id=scene_id, source="licensed-reference", embeddings=reading.embeddings),
        expression=ShownExpression(word=AS_BACKGROUND, embedding=reading.expression, units=reading.units),
    )


def _mean_embeddings(readings: Sequence[Mapping[str, NDArray[np.float32]]]) -> dict[str, NDArray[np.float32]]:
    """Unit mean of several pictures' embeddings, per recogniser."""
    means = {name: np.mean([reading[name] for reading in readings], axis=0) for name in recognisers_of(readings[0])}
    return {name: np.asarray(mean / np.linalg.norm(mean), dtype=np.float32) for name, mean in means.items()}
