"""Pictures for a sheet: the same people in the same scene, from the same noise, who differ in nothing but the expression that is asked for."""

# P people, S steps of a sheet, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.identity_prior import sample_identities
from generator.travel import travel
from jobs.attempts import Attempt
from jobs.axes import sampled_name
from jobs.bundle import EXPRESSION_BANK, IDENTITY_PRIOR, SCENE_BANK
from jobs.conditions import ConditionTables, Person, Scene, ShownExpression, read_rows, scene_of_row, shown_expression
from jobs.config import RunConfig
from jobs.drawing import draw_attempts, lone_row
from manifests.errors import ConfigError
from manifests.rows import row_seed
from manifests.vocabulary import find_word, vocabulary


@dataclass(frozen=True, kw_only=True)
class Step:
    """One expression of a sheet."""

    caption: str  # unique on its sheet
    word: str  # of the vocabulary, or "" between two words
    shown: ShownExpression


@dataclass(frozen=True, kw_only=True)
class SheetPictures:
    """What was made."""

    images_rgb: NDArray[np.uint8]  # (P, S, H, W, 3)
    people: tuple[str, ...]
    steps: tuple[Step, ...]
    scene_id: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Sampled people, a scene and the bundled references of expressions."""

    people: tuple[Person, ...]
    scene: Scene
    tables: ConditionTables
    seed: int  # of the run; which of several references of a word is taken follows from it

    @staticmethod
    def of(config: RunConfig, *, num_people: int, scene_id: str | None) -> Stage:
        """The first people of config.seed as the prior draws them, without proofs.

        scene_id  of the bundled bank; None: the one that looks most straight into the camera
        """
        embeddings = sample_identities(IDENTITY_PRIOR, num_people, config.seed)
        people = tuple(
            Person(identity_id=sampled_name(index), source="sampled", embeddings={name: rows[index] for name, rows in embeddings.items()})
            for index in range(num_people)
        )
        bank = [shown_expression(row["word"], row["embedding"], row["units"]) for row in read_rows(EXPRESSION_BANK)]
        scene = _scene(scene_id)
        return Stage(people=people, scene=scene, tables=ConditionTables(people, bank, [scene]), seed=config.seed)

    def words(self, wanted: Sequence[str] = ()) -> list[Step]:
        """The wanted words; empty: every word of the vocabulary that the bank shows, neutral first."""
        known = list(dict.fromkeys(find_word(name).word for name in wanted)) or [
            word.word for word in vocabulary() if word.word in self.tables.expressions
        ]
        return [Step(caption=word, word=word, shown=self.find(word)) for word in known]

    def way(self, first: str, last: str, num_steps: int) -> list[Step]:
        """From one word to another on a straight line of embeddings, both included; units are interpolated likewise."""
        a, b = (self.find(find_word(name).word) for name in (first, last))
        if a.word == b.word:
            raise ConfigError(f'sheet: the way from "{a.word}" to itself is a single picture. Name two different words.')
        embeddings, units = travel(a.embedding, b.embedding, num_steps), travel(a.units, b.units, num_steps)
        captions = [a.word, *(f"{share:.0%}" for share in np.linspace(0, 1, num_steps)[1:-1]), b.word]
        return [
            Step(caption=caption, word="", shown=ShownExpression(word=caption, embedding=embedding, units=wanted))
            for caption, embedding, wanted in zip(captions, embeddings, units, strict=True)
        ]

    def dial(self, name: str, intensities: Sequence[float]) -> list[Step]:
        """A word at several intensities, as recipes ask for them."""
        word = find_word(name).word
        return [Step(caption=f"{word} {value:g}", word="", shown=self.find(word, value)) for value in intensities]

    def find(self, word: str, intensity: float = 1.0) -> ShownExpression:
        """The reference of a word, at an intensity of 0 (neutral) .. 1."""
        row = lone_row(0, self.people[0].identity_id, 0, word, self.scene.scene_id, intensity)
        return self.tables.wish(Attempt(row=row, attempt=0, seed=row_seed(self.seed, 0, 0))).expression

    def draw(self, config: RunConfig, steps: Sequence[Step], *, tick: Callable[[int], None]) -> SheetPictures:
        """Pictures of every person with every step, each person's from one noise."""
        names = [f"step {place}" for place in range(len(steps))]
        shown = [dataclasses.replace(step.shown, word=name) for name, step in zip(names, steps, strict=True)]
        attempts = [
            Attempt(row=lone_row(place * len(steps) + at, person.identity_id, place, name, self.scene.scene_id), attempt=0, seed=row_seed(self.seed, place, 0))
            for place, person in enumerate(self.people)
            for at, name in enumerate(names)
        ]
        images = draw_attempts(config, ConditionTables(self.people, shown, [self.scene]), attempts, tick=tick)
        return SheetPictures(
            images_rgb=images.reshape(len(self.people), len(steps), *images.shape[1:]),
            people=tuple(person.identity_id for person in self.people),
            steps=tuple(steps),
            scene_id=self.scene.scene_id,
        )


def _scene(scene_id: str | None) -> Scene:
    rows = {row["scene_id"]: row for row in read_rows(SCENE_BANK)}
    if scene_id is None:
        scene_id = min(rows, key=lambda name: (abs(rows[name]["yaw"]) + abs(rows[name]["pitch"]) + abs(rows[name]["roll"]), name))
    if scene_id not in rows:
        raise ConfigError(f'sheet: there is no scene "{scene_id}" in the bundled bank, which has {min(rows)} to {max(rows)}. Choose one of them.')
    return scene_of_row(rows[scene_id])
