"""The swap benchmark's figures: whose face, which expression, which pose, how near to the exact answer, each with its interval."""

# N quadruples, H W pixels, D width of an embedding

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.training.corpus import Corpus
from jobs.benchmark import EXACT, Quadruples
from jobs.benchmark_pixels import pixel_rows
from qc.alignment import crop_turn_deg, recogniser_crops
from qc.checks.pose import pose_angle_deg
from qc.expression import ExpressionEstimator, ExpressionReading
from qc.packs import Detector
from qc.parsing import FaceParser
from qc.recognition import Recogniser
from qc.statistics import bootstrap_mean, wilson
from qc.statistics.intervals import draws, percentile_interval

BOOTSTRAP_SEED = 0
BOOTSTRAP_REPLICATES = 2000
SHARES = ("rank1", "prefers_identity", "expression_nearer_request", "one_face")  # ends of the names of figures that are 0 or 1 for each picture
OVER_EXACT = ("expression_error", "rank1")  # ends of the names of figures that are also given as a multiple of the exact target's

Rows = dict[str, NDArray[np.float64]]  # figure -> (N,)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A mean over quadruples with its 95 % interval, in which quadruples (one identity each) are drawn anew; None: there is no such number."""

    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judges:
    """Nets that judge and that condition nothing."""

    recognisers: Mapping[str, Recogniser]
    detectors: Mapping[str, Detector]
    estimator: ExpressionEstimator
    parser: FaceParser


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the judges see in one picture of each quadruple."""

    embeddings: Mapping[str, NDArray[np.float32]]  # recogniser -> (N, D)
    readings: list[ExpressionReading]

    @property
    def units(self) -> NDArray[np.float64]:
        """(N, 35) as the estimator reads them."""
        return np.stack([reading.units for reading in self.readings]).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class References:
    """What the judges see in the pictures that a swap was made from; faces are cut at true five points, but for `background`."""

    identity: Seen
    other_person: Seen
    shown: Seen  # the pictures that show the requested expression
    background: Seen  # cut as the results are, so that an equal head reads as equal
    target: Seen | None


def read_references(quadruples: Quadruples, judges: Judges) -> References:
    """Reads what the swaps were made from once for all methods."""

    def seen(pictures: Corpus) -> Seen:
        return see(pictures.images_rgb, pictures.landmarks5_px, judges)

    return References(
        identity=seen(quadruples.identity),
        other_person=seen(quadruples.other_person),
        shown=seen(quadruples.expression),
        background=see(quadruples.background.images_rgb, face_points(quadruples.background.images_rgb, quadruples, judges), judges),
        target=None if quadruples.target is None else seen(quadruples.target),
    )


def see(images_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.float32], judges: Judges) -> Seen:
    """The judges on N pictures (N, H, W, 3) cut at five points (N, 5, 2)."""
    crops = recogniser_crops(images_rgb, list(landmarks5_px))
    embeddings = {name: recogniser.embed(crops) for name, recogniser in judges.recognisers.items()}
    turns_deg = [crop_turn_deg(points) for points in landmarks5_px]
    return Seen(embeddings=embeddings, readings=[read.in_picture(turn) for read, turn in zip(judges.estimator.read(crops), turns_deg, strict=True)])


def face_points(images_rgb: NDArray[np.uint8], quadruples: Quadruples, judges: Judges) -> NDArray[np.float32]:
    """Five points (N, 5, 2) at which faces are cut: the exact target's, whatever the picture, or those that the parser reads in it.

    Without an exact target the true points aren't known. The background's are 3 px off another person's face, which halves the retrieval of perfect
    pictures (of 100 exact targets the auditor retrieves 37 at true points, 13 at the background's, 27 at the parser's, which are 1.8 px off).
    """
    if quadruples.target is not None:
        return quadruples.target.landmarks5_px
    return np.stack([five_points(parsed.landmarks68_px) for parsed in judges.parser.parse_pictures(images_rgb)])


def five_points(landmarks68_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """Middles of the eyes, tip of the nose and corners of the mouth (5, 2) of the usual 68 points (68, 2)."""
    eyes = landmarks68_px[36:42].mean(axis=0), landmarks68_px[42:48].mean(axis=0)
    return np.stack([*eyes, landmarks68_px[30], landmarks68_px[48], landmarks68_px[54]]).astype(np.float32)


def measure_methods(methods: Mapping[str, NDArray[np.uint8]], quadruples: Quadruples, judges: Judges, references: References) -> dict[str, dict[str, Figure]]:
    """Figures by method and name."""
    rows = {name: measure_rows(images, quadruples, judges, references) for name, images in methods.items()}
    own_error = units_error(references.shown.units, quadruples.requested_units)
    figures: dict[str, dict[str, Figure]] = {}
    for name, measured in rows.items():
        figures[name] = {key: summarise(values, share=key.endswith(SHARES)) for key, values in measured.items()}
        for key in [key for key in measured if key.endswith(OVER_EXACT) and EXACT in rows]:
            figures[name][f"{key}_over_exact"] = ratio(measured[key], rows[EXACT][key])
        figures[name]["expression_error_over_own"] = ratio(measured["expression_error"], own_error)
        figures[name]["changed_outside_px_max"] = Figure(mean=float(measured["changed_outside_px"].max()))
    return figures


def measure_rows(images_rgb: NDArray[np.uint8], quadruples: Quadruples, judges: Judges, references: References) -> Rows:
    """Figures of each of N pictures (N, H, W, 3) by name, (N,) each."""
    seen = see(images_rgb, face_points(images_rgb, quadruples, judges), judges)
    other = "shown" if quadruples.task == "swap-expression" else "background"
    rows: Rows = {}
    for name, embedding in seen.embeddings.items():
        found = identity_rows(embedding, references.identity.embeddings[name], references.other_person.embeddings[name], other)
        rows |= {f"{name}.{key}": values for key, values in found.items()}
    rows |= expression_rows(seen.units, quadruples)
    rows |= pose_rows(seen.readings, references.background.readings)
    rows |= pixel_rows(images_rgb, quadruples)
    if references.target is not None:
        rows |= feature_rows(seen, references.target)
    for name, detector in judges.detectors.items():
        rows[f"{name}.one_face"] = np.array([len(detector.detect(image)) == 1 for image in images_rgb], dtype=np.float64)
    return rows


def identity_rows(embedding: NDArray[np.float32], identity: NDArray[np.float32], other_person: NDArray[np.float32], other: str = "background") -> Rows:
    """Rank-1 retrieval among all identity pictures, cosines to the identity and to the person of the `other` picture, and which is larger.

    All embeddings are (N, D) of one recogniser.
    """
    cosine = np.asarray(embedding, np.float64) @ identity.T  # (N, N)
    own = np.diagonal(cosine)
    wrong = np.einsum("nd,nd->n", np.asarray(embedding, np.float64), other_person)
    rank1 = cosine.argmax(axis=1) == np.arange(len(cosine))
    return {
        "rank1": rank1.astype(np.float64),
        "cosine_identity": own,
        f"cosine_{other}": wrong,
        "cosine_margin": own - wrong,
        "prefers_identity": (own > wrong).astype(np.float64),
    }


def expression_rows(units: NDArray[np.floating], quadruples: Quadruples) -> Rows:
    """Root mean square error over the 35 units (N, 35) to the request, and whether the request is nearer than the expression that must not be kept."""
    error, to_other = (units_error(units, wanted) for wanted in (quadruples.requested_units, quadruples.other_units))
    return {"expression_error": error, "expression_nearer_request": (error < to_other).astype(np.float64)}


def units_error(units: NDArray[np.floating], wanted: NDArray[np.floating]) -> NDArray[np.float64]:
    """Root mean square difference (N,) of units (N, 35)."""
    return np.asarray(np.sqrt(((np.asarray(units, np.float64) - wanted) ** 2).mean(axis=1)))


def pose_rows(readings: list[ExpressionReading], background: list[ExpressionReading]) -> Rows:
    """Differences to the background's head as the estimator reads both, degrees.

    Of yaw, pitch and roll their mean and their Euclidean distance, which DiffSFSR reports (section 4.1); and the angle between the rotations.
    """
    pairs = list(zip(readings, background, strict=True))
    difference = np.array([np.subtract(a.pose_deg, b.pose_deg) for a, b in pairs])  # (N, 3)
    return {
        "pose_error_deg": np.abs(difference).mean(axis=1),
        "pose_distance_deg": np.linalg.norm(difference, axis=1),
        "pose_angle_deg": np.array([pose_angle_deg(a.pose_deg, b.pose_deg) for a, b in pairs]),
    }


def feature_rows(seen: Seen, target: Seen) -> Rows:
    """Distances to the exact target in features of our own nets: 1 - cosine of each recogniser, and the estimator's units (RMS)."""
    rows = {
        f"{name}.distance_exact": np.maximum(1 - np.einsum("nd,nd->n", np.asarray(embedding, np.float64), target.embeddings[name]), 0)
        for name, embedding in seen.embeddings.items()
    }
    return {**rows, "units_distance_exact": units_error(seen.units, target.units)}


def summarise(values: NDArray[np.float64], *, share: bool = False) -> Figure:
    """Mean and interval of a figure; None when a value is infinite. `share`: values are 0 or 1, and Wilson's interval is taken where all are equal."""
    if not np.isfinite(values).all():
        return Figure(mean=None)
    if share and len(values) > 1 and np.ptp(values) == 0:  # no replicate would differ
        interval = wilson(float(values.sum()), len(values))
    else:
        interval = bootstrap_mean(values, np.arange(len(values)), seed=BOOTSTRAP_SEED, replicates=BOOTSTRAP_REPLICATES)
    return Figure(mean=_number(float(values.mean())), low=_number(interval.low), high=_number(interval.high))


def ratio(values: NDArray[np.float64], base: NDArray[np.float64]) -> Figure:
    """Mean over the mean of another method's values on the same quadruples, which are drawn together; None where the base is 0."""
    if base.mean() <= 0:
        return Figure(mean=None)
    count = len(values)
    weights = np.concatenate(list(draws(count, BOOTSTRAP_REPLICATES, BOOTSTRAP_SEED)))  # (R, N)
    with np.errstate(divide="ignore", invalid="ignore"):
        replicated = (weights @ values) / (weights @ base)
    interval = percentile_interval(replicated if np.isfinite(replicated).all() else np.zeros(0), 0.95, count)
    return Figure(mean=_number(float(values.mean() / base.mean())), low=_number(interval.low), high=_number(interval.high))


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
