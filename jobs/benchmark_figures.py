"""The swap benchmark's figures: whose face, which expression, which pose, how near to the exact answer, each with its interval."""

# N quadruples, H W pixels, D width of an embedding

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobs.benchmark import EXACT, Quadruples
from qc.alignment import recogniser_crops
from qc.checks.pose import pose_angle_deg
from qc.expression import ExpressionEstimator, ExpressionReading
from qc.packs import Detector
from qc.recognition import Recogniser
from qc.statistics import bootstrap_mean

BOOTSTRAP_SEED = 0
BOOTSTRAP_REPLICATES = 2000


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


@dataclass(frozen=True, kw_only=True)
class References:
    """What the judges see in the pictures that a swap was made from; every face is cut at true five points."""

    identity: dict[str, NDArray[np.float32]]  # recogniser -> (N, D)
    background: dict[str, NDArray[np.float32]]
    background_readings: list[ExpressionReading]


def read_references(quadruples: Quadruples, judges: Judges) -> References:
    """Reads identity pictures and backgrounds once for all methods."""
    people = recogniser_crops(quadruples.identity.images_rgb, list(quadruples.identity.landmarks5_px))
    scenes = recogniser_crops(quadruples.background.images_rgb, list(quadruples.background.landmarks5_px))
    # subtle: poses are compared on crops cut at the same points, so that an equal head reads as equal
    at_target = recogniser_crops(quadruples.background.images_rgb, list(quadruples.target.landmarks5_px))
    return References(
        identity={name: recogniser.embed(people) for name, recogniser in judges.recognisers.items()},
        background={name: recogniser.embed(scenes) for name, recogniser in judges.recognisers.items()},
        background_readings=judges.estimator.read(at_target),
    )


def measure_methods(methods: Mapping[str, NDArray[np.uint8]], quadruples: Quadruples, judges: Judges, references: References) -> dict[str, dict[str, Figure]]:
    """Figures by method and name; faces are cut at the exact target's five points, whatever the method."""
    rows = {name: measure_rows(images, quadruples, judges, references) for name, images in methods.items()}
    figures = {name: {key: summarise(values) for key, values in measured.items()} for name, measured in rows.items()}
    best = float(rows[EXACT]["expression_error"].mean()) if EXACT in rows else math.nan
    for name, measured in rows.items():
        ratio = float(measured["expression_error"].mean()) / best if best > 0 else math.nan
        figures[name]["expression_error_over_exact"] = Figure(mean=_number(ratio))
        figures[name]["changed_outside_px_max"] = Figure(mean=float(measured["changed_outside_px"].max()))
    return figures


def measure_rows(images_rgb: NDArray[np.uint8], quadruples: Quadruples, judges: Judges, references: References) -> dict[str, NDArray[np.float64]]:
    """Figures of each of N pictures (N, H, W, 3) by name, (N,) each."""
    crops = recogniser_crops(images_rgb, list(quadruples.target.landmarks5_px))
    rows: dict[str, NDArray[np.float64]] = {}
    for name, recogniser in judges.recognisers.items():
        rows |= {f"{name}.{key}": values for key, values in identity_rows(recogniser.embed(crops), references, name).items()}
    readings = judges.estimator.read(crops)
    rows |= expression_rows(readings, quadruples)
    rows |= pose_rows(readings, references.background_readings)
    rows |= pixel_rows(images_rgb, quadruples)
    for name, detector in judges.detectors.items():
        rows[f"{name}.one_face"] = np.array([len(detector.detect(image)) == 1 for image in images_rgb], dtype=np.float64)
    return rows


def identity_rows(embedding: NDArray[np.float32], references: References, recogniser: str) -> dict[str, NDArray[np.float64]]:
    """Rank-1 retrieval among all identity pictures, cosines to the identity and to the background's person, and which is larger."""
    cosine = np.asarray(embedding, np.float64) @ references.identity[recogniser].T  # (N, N)
    own = np.diagonal(cosine)
    other = np.einsum("nd,nd->n", np.asarray(embedding, np.float64), references.background[recogniser])
    rank1 = cosine.argmax(axis=1) == np.arange(len(cosine))
    return {"rank1": rank1.astype(np.float64), "cosine_identity": own, "cosine_background": other, "prefers_identity": (own > other).astype(np.float64)}


def expression_rows(readings: list[ExpressionReading], quadruples: Quadruples) -> dict[str, NDArray[np.float64]]:
    """Root mean square error over the 35 units to the request, and whether the request is nearer than the background's own expression."""
    units = np.stack([reading.units for reading in readings]).astype(np.float64)
    error = np.sqrt(((units - quadruples.requested_units) ** 2).mean(axis=1))
    to_own = np.sqrt(((units - quadruples.own_units) ** 2).mean(axis=1))
    return {"expression_error": error, "expression_nearer_request": (error < to_own).astype(np.float64)}


def pose_rows(readings: list[ExpressionReading], background: list[ExpressionReading]) -> dict[str, NDArray[np.float64]]:
    """Mean difference of yaw, pitch and roll to the background as the estimator reads both, and the angle between the rotations; degrees."""
    pairs = list(zip(readings, background, strict=True))
    mean = [np.abs(np.subtract(a.pose_deg, b.pose_deg)).mean() for a, b in pairs]
    return {"pose_error_deg": np.array(mean), "pose_angle_deg": np.array([pose_angle_deg(a.pose_deg, b.pose_deg) for a, b in pairs])}


def pixel_rows(images_rgb: NDArray[np.uint8], quadruples: Quadruples) -> dict[str, NDArray[np.float64]]:
    """Inside the hole: peak signal-to-noise ratio (dB, infinite when equal) and mean absolute error (grey levels) to the exact target.

    Outside it: how many pixels differ from the background.
    """
    inside = quadruples.hole > 0
    difference = images_rgb.astype(np.float64) - quadruples.target.images_rgb
    squared = np.array([(d[area] ** 2).mean() for d, area in zip(difference, inside, strict=True)])
    absolute = np.array([np.abs(d[area]).mean() for d, area in zip(difference, inside, strict=True)])
    changed = (images_rgb != quadruples.background.images_rgb).any(axis=-1) & ~inside
    with np.errstate(divide="ignore"):
        psnr = 10 * np.log10(255.0**2 / squared)
    return {"psnr_hole_db": psnr, "error_hole": absolute, "changed_outside_px": changed.sum(axis=(1, 2)).astype(np.float64)}


def summarise(values: NDArray[np.float64]) -> Figure:
    """Mean and interval of a figure; None when a value is infinite."""
    if not np.isfinite(values).all():
        return Figure(mean=None)
    interval = bootstrap_mean(values, np.arange(len(values)), seed=BOOTSTRAP_SEED, replicates=BOOTSTRAP_REPLICATES)
    return Figure(mean=_number(float(values.mean())), low=_number(interval.low), high=_number(interval.high))


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
