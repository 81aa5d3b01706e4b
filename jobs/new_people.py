"""Faces of sampled people: each with several expressions in different scenes, made once and unjudged, and what recognisers see in them."""

# N pictures, M of them with a face, D width of an embedding, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.attempts import Attempt
from jobs.axes import Screenings, bank_words, plan_spec
from jobs.conditions import AUDITOR, ConditionTables
from jobs.config import RunConfig
from jobs.drawing import draw_attempts
from jobs.models import ReferenceNets
from jobs.prepare import prepare_tables
from jobs.proofs import Proofs
from jobs.sections import ExpressionsSection, IdentitiesSection, SampledSection
from manifests.errors import ConfigError
from manifests.planner import Plan
from manifests.rows import ManifestRow
from manifests.vocabulary import AFFECTNET8

NO_FOLDERS = Screenings(identities=None, expressions=None, scenes=None)


@dataclass(frozen=True, kw_only=True)
class PeoplePictures:
    """N first attempts at rows of a plan of people x expressions, in their order."""

    images_rgb: NDArray[np.uint8]  # (N, H, W, 3)
    people: NDArray[np.str_]  # (N,) identity ids
    words: NDArray[np.str_]  # (N,)


def people_config(config: RunConfig, *, num_people: int, num_expressions: int, num_proofs: int = 0) -> RunConfig:
    """The recipe: sampled people, the AffectNet classes first and then the other words of the vocabulary, all scenes of the bank dealt out evenly.

    Chosen people have two views of each expression: the first ones decide, and the second ones tell what that is worth.
    """
    words = [*AFFECTNET8, *(word for word in bank_words() if word not in AFFECTNET8)]
    if num_people < 2 or not 2 <= num_expressions <= len(words):
        raise ConfigError(f"people: {num_people} people and {num_expressions} expressions were asked for, expected 2 or more people and 2 to {len(words)}.")
    return dataclasses.replace(
        config,
        identities=IdentitiesSection(sampled=SampledSection(count=num_people, proofs=num_proofs)),
        expressions=ExpressionsSection(words=tuple(words[:num_expressions])),
        views=2 if num_proofs else 1,
    )


def people_plan(config: RunConfig) -> Plan:
    """The plan of people x expressions."""
    return Plan(plan_spec(config, NO_FOLDERS))


def people_proofs(config: RunConfig, plan: Plan) -> Proofs | None:
    """By what people are chosen: proofs, and then all of the first views; None where they are taken as they come."""
    if not config.identities.sampled.proofs:
        return None
    own: dict[str, list[ManifestRow]] = {}
    for row in rows_of_view(plan, 0):
        own.setdefault(row.identity_id, []).append(row)
    return Proofs(config, own)


def rows_of_view(plan: Plan, view: int) -> list[ManifestRow]:
    """One row for each person and expression."""
    return [row for row in plan.row_list(0, plan.num_slots) if row.view == view]


def people_tables(config: RunConfig, plan: Plan, proofs: Proofs | None) -> ConditionTables:
    """The tables that the plan's rows refer to, with the people in them."""
    return prepare_tables(config, plan.spec, NO_FOLDERS, _no_nets, proofs=proofs)


def draw_people(config: RunConfig, rows: Sequence[ManifestRow], tables: ConditionTables, *, tick: Callable[[int], None]) -> PeoplePictures:
    """One picture of each row. No check refuses any, so that the figures are those of the generator alone."""
    attempts = [Attempt(row=row, attempt=0, seed=row.seed(config.seed, 0)) for row in rows]
    return PeoplePictures(
        images_rgb=draw_attempts(config, tables, attempts, tick=tick),
        people=np.array([row.identity_id for row in rows]),
        words=np.array([row.expression for row in rows]),
    )


def auditor_vectors(tables: ConditionTables) -> NDArray[np.float32]:
    """(I, D) what the prior expects the auditor to see in the people, before any picture is made."""
    return np.stack([person.embeddings[AUDITOR] for person in tables.people.values()])


def _no_nets() -> ReferenceNets:
    raise AssertionError("there are no photographs to read")
