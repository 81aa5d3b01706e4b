"""What the estimator, which conditions nothing, reads from the pictures of a sheet: error to the reference, class, nearest word, progress on a way."""

# P people, S steps, W words, N pictures

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.sheet_pictures import SheetPictures, Step
from manifests.vocabulary import AFFECTNET8, find_word
from qc.expression import ExpressionReading, unit_error
from qc.judge import Judge
from qc.statistics.plain import Figures


@dataclass(frozen=True, kw_only=True)
class StepReading(Figures):
    """One picture. None where no face was found, or where there is nothing to compare with."""

    identity_id: str
    caption: str
    asked_class: str | None  # AffectNet's class of the word; None: no honest mapping exists
    face_found: bool
    error: float | None  # RMS of 35 units to the word's reference
    neutral_error: float  # the same distance of a face that shows no unit
    read_class: str | None  # the estimator's most probable one
    class_right: bool | None
    class_probability: float | None  # of the asked class
    nearest_word: str | None  # of all words of the sheet, by the mean of its references
    rank: int | None  # of the asked word among them; 1 is the nearest
    reference_rank: int | None  # the same of the reference's own units: what an exact picture would get, since words overlap
    progress: float | None  # on the straight line from the sheet's first reference (0) to its last (1)


def read_sheet(judge: Judge, pictures: SheetPictures, centres: Mapping[str, NDArray[np.float32]]) -> list[StepReading]:
    """A reading for each picture, people by people. centres: word -> (35,) mean units of its references, empty where steps are no words."""
    count = len(pictures.steps)
    first, last = pictures.steps[0].shown.units, pictures.steps[-1].shown.units
    seen = judge.observe(pictures.images_rgb.reshape(-1, *pictures.images_rgb.shape[2:]))
    return [
        read_step(pictures.people[place // count], pictures.steps[place % count], found.reading, centres=centres, way=(first, last))
        for place, found in enumerate(seen)
    ]


def read_step(
    identity_id: str, step: Step, reading: ExpressionReading | None, *, centres: Mapping[str, NDArray[np.float32]],
    way: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> StepReading:  # fmt: skip
    """One picture's reading; None: no face was found."""
    asked = find_word(step.word).affectnet8 if step.word else None
    order = [] if reading is None else nearest_words(reading.units, centres)
    exact = nearest_words(step.shown.units, centres)
    return StepReading(
        identity_id=identity_id,
        caption=step.caption,
        asked_class=asked,
        face_found=reading is not None,
        error=None if reading is None else unit_error(reading.units, step.shown.units),
        neutral_error=unit_error(np.zeros_like(step.shown.units), step.shown.units),
        read_class=None if reading is None else reading.expression,
        class_right=None if reading is None or asked is None else reading.expression == asked,
        class_probability=None if reading is None or asked is None else _probability(reading, asked),
        nearest_word=order[0] if order else None,
        rank=order.index(step.word) + 1 if step.word in order else None,
        reference_rank=exact.index(step.word) + 1 if step.word in exact else None,
        progress=None if reading is None or step.word else progress(reading.units, *way),
    )


def nearest_words(units: NDArray[np.float32], centres: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Words by their distance to a reading (35,), nearest first."""
    distance = {word: unit_error(units, centre) for word, centre in centres.items()}
    return sorted(distance, key=lambda word: (distance[word], word))


def progress(units: NDArray[np.float32], first: NDArray[np.float32], last: NDArray[np.float32]) -> float | None:
    """Where the foot of the perpendicular from a reading lies on the line between two references, 0 .. 1 between them; None where they are equal."""
    way = np.asarray(last, np.float64) - first
    length = float(way @ way)
    return float((np.asarray(units, np.float64) - first) @ way) / length if length > 0 else None


def summary(rows: Sequence[StepReading]) -> dict[str, object]:
    """Means over the pictures of a sheet in which a face was found; words without a class don't count in the share of right ones."""
    ranks = np.array([row.rank for row in rows if row.rank is not None])
    exact = np.array([row.reference_rank for row in rows if row.reference_rank is not None])
    return {
        "pictures": len(rows),
        "people": len({row.identity_id for row in rows}),
        "faces_found": _mean([float(row.face_found) for row in rows]),
        "error_mean": _mean([row.error for row in rows if row.error is not None]),
        "neutral_error_mean": _mean([row.neutral_error for row in rows]),
        "class_right": _mean([float(row.class_right) for row in rows if row.class_right is not None]),
        "class_judged": sum(row.class_right is not None for row in rows),
        "rank1": _mean((ranks == 1).tolist()),
        "rank5": _mean((ranks <= 5).tolist()),
        "rank_median": float(np.median(ranks)) if len(ranks) else None,
        "reference_rank1": _mean((exact == 1).tolist()),
        "reference_rank5": _mean((exact <= 5).tolist()),
    }


def by_step(rows: Sequence[StepReading]) -> list[dict[str, object]]:
    """Means over the people for each step, in the order of the sheet."""
    steps: dict[str, list[StepReading]] = {}
    for row in rows:
        steps.setdefault(row.caption, []).append(row)
    return [
        {
            "caption": caption,
            "asked_class": found[0].asked_class,
            "error": _mean([row.error for row in found if row.error is not None]),
            "neutral_error": round(found[0].neutral_error, 6),
            "class_right": _mean([float(row.class_right) for row in found if row.class_right is not None]),
            "class_probability": _mean([row.class_probability for row in found if row.class_probability is not None]),
            "read_classes": [row.read_class for row in found],
            "rank_median": float(np.median([row.rank for row in found if row.rank is not None])) if any(row.rank for row in found) else None,
            "progress": _mean([row.progress for row in found if row.progress is not None]),
        }
        for caption, found in steps.items()
    ]


def _probability(reading: ExpressionReading, name: str) -> float:
    return float(reading.probabilities[AFFECTNET8.index(name)])


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 6) if len(values) else None
