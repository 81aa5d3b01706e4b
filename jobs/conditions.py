"""The condition tables of a run, and the conditions of a batch of attempts taken from them."""

# N attempts, D width of an embedding, H W pixels

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.attempts import Attempt
from jobs.files import open_read, write_whole
from jobs.images import decode_grey, decode_rgb
from jobs.locations import Location
from manifests.errors import InputError
from manifests.rows import AS_BACKGROUND, ConditionBatch

GATE, AUDITOR = "gate", "auditor"
NEUTRAL = "neutral"
PROOFS_SO_FAR = "proofs.unfinished.json"  # while they are chosen
PROOFS = "proofs.json"  # beside the tables: how many candidates for sampled people were refused, and why


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whom a picture shows, to every recogniser that knows the person."""

    identity_id: str
    source: str  # sampled, licensed-reference
    embeddings: Mapping[str, NDArray[np.float32]]  # recogniser -> (D,), unit length


@dataclass(frozen=True, kw_only=True)
class ShownExpression:
    """One reference of an expression."""

    word: str
    embedding: NDArray[np.float32]  # (32,), as the expression encoder gives it
    units: NDArray[np.float32]  # (35,) 34 units 0..1 and lateral -1..1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One background picture with the person that was on it."""

    scene_id: str
    image_png: bytes
    face_mask_png: bytes
    pose_deg: tuple[float, float, float]  # yaw, pitch, roll
    landmarks5_px: NDArray[np.float32]  # (5, 2)
    person: Person
    expression: ShownExpression


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Everything that one attempt asks for."""

    attempt: Attempt
    person: Person
    expression: ShownExpression
    scene: Scene


class ConditionTables:
    """Identities, expressions and scenes of a run by name."""

    def __init__(self, people: Sequence[Person], expressions: Sequence[ShownExpression], scenes: Sequence[Scene]) -> None:
        self.people = {person.identity_id: person for person in people}
        self.expressions: dict[str, list[ShownExpression]] = {}
        for expression in expressions:
            self.expressions.setdefault(expression.word, []).append(expression)
        self.scenes = {scene.scene_id: scene for scene in scenes}

    def wish(self, attempt: Attempt) -> Wish:
        """What an attempt asks for; which of several references of a word it uses follows from its seed."""
        row = attempt.row
        scene = _find(self.scenes, row.scene_id, "scene")
        person = scene.person if row.mode == "reenact" else _find(self.people, row.identity_id, "identity")
        expression = scene.expression if row.expression == AS_BACKGROUND else self._expression(row.expression, row.intensity, attempt.seed)
        return Wish(attempt=attempt, person=person, expression=expression, scene=scene)

    def _expression(self, word: str, intensity: float, seed: int) -> ShownExpression:
        """A reference of the word, moved towards the mean neutral face when less than its typical strength is asked for."""
        references = _find(self.expressions, word, "expression")
        shown = references[seed % len(references)]
        if intensity == 1:
            return shown
        neutral = _find(self.expressions, NEUTRAL, "expression")
        rest, rest_units = np.mean([n.embedding for n in neutral], axis=0), np.mean([n.units for n in neutral], axis=0)
        return ShownExpression(
            word=word,
            embedding=np.asarray(rest + intensity * (shown.embedding - rest), dtype=np.float32),
            units=np.asarray(rest_units + intensity * (shown.units - rest_units), dtype=np.float32),
        )


def condition_batch(wishes: Sequence[Wish], encoders: Sequence[str]) -> ConditionBatch:
    """Arrays for the core; `encoders` are the identity encoders that it reads."""
    return ConditionBatch(
        identity_embeddings={name: np.stack([wish.person.embeddings[name] for wish in wishes]) for name in encoders},
        expression_embedding=np.stack([wish.expression.embedding for wish in wishes]),
        background_rgb=np.stack([decode_rgb(wish.scene.image_png) for wish in wishes]),
        face_mask=np.stack([(decode_grey(wish.scene.face_mask_png) > 0).astype(np.uint8) for wish in wishes]),
    )


def write_tables(folder: Location, tables: ConditionTables) -> dict[str, str]:
    """Writes identities.parquet, expressions.parquet and scenes.parquet; returns their sha256 by name."""
    people = [{"identity_id": p.identity_id, "source": p.source, **_lists(p.embeddings)} for p in tables.people.values()]
    expressions = [
        {"word": e.word, "embedding": e.embedding.tolist(), "units": e.units.tolist()} for references in tables.expressions.values() for e in references
    ]
    scenes = [
        {
            "scene_id": s.scene_id,
            "image": s.image_png,
            "face_mask": s.face_mask_png,
            "yaw": s.pose_deg[0],
            "pitch": s.pose_deg[1],
            "roll": s.pose_deg[2],
            "landmarks5": s.landmarks5_px.ravel().tolist(),
            "expression": s.expression.embedding.tolist(),
            "units": s.expression.units.tolist(),
            **_lists(s.person.embeddings),
        }
        for s in tables.scenes.values()
    ]
    return {name: write_whole(folder / f"{name}.parquet", _parquet(rows)) for name, rows in
            (("identities", people), ("expressions", expressions), ("scenes", scenes))}  # fmt: skip


def read_tables(folder: Location) -> ConditionTables:
    """The tables that `write_tables` wrote."""
    return ConditionTables(
        [_person(row["identity_id"], row["source"], row) for row in read_rows(folder / "identities.parquet")],
        [shown_expression(row["word"], row["embedding"], row["units"]) for row in read_rows(folder / "expressions.parquet")],
        [scene_of_row(row) for row in read_rows(folder / "scenes.parquet")],
    )


def read_rows(path: Location) -> list[dict[str, Any]]:
    """Rows of a Parquet file. Raises InputError when it can't be read."""
    try:
        with open_read(path) as stream:
            rows: list[dict[str, Any]] = pq.read_table(stream).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        message = f'condition tables: {path} can\'t be read ({error}). Run "facemint prepare", or "facemint weights verify" for a bundled bank.'
        raise InputError(message) from error
    return rows


def scene_of_row(row: Mapping[str, Any]) -> Scene:
    """A scene from a row of the scene bank or of a run's table."""
    return Scene(
        scene_id=row["scene_id"],
        image_png=row["image"],
        face_mask_png=row["face_mask"],
        pose_deg=(float(row["yaw"]), float(row["pitch"]), float(row["roll"])),
        landmarks5_px=np.asarray(row["landmarks5"], dtype=np.float32).reshape(5, 2),
        person=_person(row["scene_id"], "parametric", row),
        expression=shown_expression(AS_BACKGROUND, row["expression"], row["units"]),
    )


def shown_expression(word: str, embedding: Sequence[float], units: Sequence[float]) -> ShownExpression:
    """A reference of an expression from lists."""
    return ShownExpression(word=word, embedding=np.asarray(embedding, dtype=np.float32), units=np.asarray(units, dtype=np.float32))


def recognisers_of(row: Mapping[str, Any]) -> list[str]:
    """Columns that hold identity embeddings: those of the conditioners, the gate and the auditor."""
    return [name for name in row if name in (GATE, AUDITOR) or (name.startswith("identity_") and name != "identity_id")]


def _person(identity_id: str, source: str, row: Mapping[str, Any]) -> Person:
    embeddings = {name: np.asarray(row[name], dtype=np.float32) for name in recognisers_of(row)}
    return Person(identity_id=identity_id, source=source, embeddings={name: e / np.linalg.norm(e) for name, e in embeddings.items()})


def _lists(embeddings: Mapping[str, NDArray[np.float32]]) -> dict[str, list[float]]:
    return {name: embedding.tolist() for name, embedding in sorted(embeddings.items())}


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    first = rows[0]
    kinds = {bytes: pa.binary(), str: pa.string(), float: pa.float32(), list: pa.list_(pa.float32())}
    schema = pa.schema([(name, kinds[type(value)]) for name, value in first.items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _find(table: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in table:
        raise InputError(f'condition tables: {what} "{name}" is not among the {len(table):,} of the run. Run "facemint prepare".')
    return table[name]
