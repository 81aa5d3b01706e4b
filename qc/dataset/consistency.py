"""Is each identity one person, and still not one picture? Consistency, diversity and outliers per identity, and identity lost to expressions."""

# N pictures, I identities, D width of an embedding, P measurements

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.dataset.uniqueness import unit_rows
from qc.statistics.intervals import REPLICATES, Interval, bootstrap_mean, integers, not_estimable
from qc.statistics.plain import Figures

BLOCK = 4096


@dataclass(frozen=True, kw_only=True)
class IdentityConsistency(Figures):
    """One identity."""

    identity_id: str
    n: int
    share_consistent: float  # pictures whose cosine to the centre of the others is at least the threshold; nan for a single picture
    mean_mated: float  # mean cosine of its pairs; nan for a single picture
    outliers: tuple[int, ...]  # pictures, by their places in the input, that lie nearer to another identity's centre
    measurement_sd: dict[str, float]  # standard deviation of each measurement, in its unit; nan below two values
    pixel_diversity: float  # root mean square distance of its pairs in a pixel feature space; nan where not given
    too_easy: bool  # mean mated cosine above the limit: copies rather than pictures


@dataclass(frozen=True, kw_only=True)
class Consistency(Figures):
    """All identities."""

    threshold: float  # cosine
    too_easy_cosine: float | None  # None: not judged
    n: int
    num_identities: int
    share_consistent: float  # of all pictures whose identity has two or more
    share_consistent_ci: Interval
    mean_mated: float  # over identities
    mean_mated_ci: Interval
    rank_one: float  # pictures nearest to their own identity's centre
    rank_one_ci: Interval
    num_outliers: int
    num_too_easy: int
    identities: tuple[IdentityConsistency, ...]  # lowest mean mated cosine first; identities with one picture last


@dataclass(frozen=True, kw_only=True)
class ExpressionDrop(Figures):
    """Identity that an expression costs."""

    expression: str
    n: int
    num_identities: int  # with this expression and with the neutral one
    mean: float  # cosine of its pictures to the identity
    drop: float  # neutral mean - this mean, of the same identities; > 0: identity is lost; nan: no identity has both
    drop_ci: Interval


def consistency(
    embeddings: NDArray[np.floating],
    identities: NDArray[Any],
    *,
    threshold: float,
    too_easy_cosine: float | None = None,
    measurements: pd.DataFrame | None = None,
    pixel_features: NDArray[np.floating] | None = None,
    seed: int,
    replicates: int = REPLICATES,
) -> Consistency:
    """Unit embeddings (N, D) by the auditor, in blocks.

    measurements    (N, P) such as expression units, valence, yaw; nan: not measured
    pixel_features  (N, F) of `qc.dataset.duplicates.pixel_features`
    A picture's own centre is made from the others of its identity, so that it doesn't vouch for itself.
    """
    rows = np.asarray(embeddings, np.float32)
    names, people = np.unique(np.asarray(identities).astype(str)), integers(np.asarray(identities).astype(str))
    if rows.ndim != 2 or len(rows) != len(people) or not len(rows):
        raise InputError(f"consistency: got embeddings {rows.shape} of {len(people)} pictures, expected one row each and at least one.")
    size = np.bincount(people)
    sums = np.zeros((len(size), rows.shape[1]))
    np.add.at(sums, people, rows.astype(np.float64))
    own = np.full(len(rows), math.nan)
    nearest_other = np.full(len(rows), -math.inf)
    centres = unit_rows(sums)
    for start in range(0, len(rows), BLOCK):
        block, of = rows[start : start + BLOCK], people[start : start + BLOCK]
        rest = unit_rows(sums[of] - block)
        own[start : start + BLOCK] = np.where(size[of] > 1, np.einsum("nd,nd->n", block, rest), np.nan)
        if len(size) > 1:
            cosines = block @ centres.T
            cosines[np.arange(len(block)), of] = -np.inf
            nearest_other[start : start + BLOCK] = cosines.max(axis=1)
    several = size[people] > 1
    outlier = several & (nearest_other > own)
    mated = np.where(size > 1, ((sums**2).sum(axis=1) - size) / np.maximum(size * (size - 1), 1), np.nan)
    easy = mated > too_easy_cosine if too_easy_cosine is not None else np.zeros(len(size), bool)
    spread = _spreads(measurements, people, len(size))
    diversity = _diversity(pixel_features, people, size)
    share = np.bincount(people, np.where(several, own >= threshold, 0.0)) / size
    places = np.flatnonzero(outlier)
    by_person: dict[int, list[int]] = {}
    for place in places.tolist():
        by_person.setdefault(int(people[place]), []).append(place)
    found = [
        IdentityConsistency(
            identity_id=str(names[k]),
            n=int(size[k]),
            share_consistent=float(share[k]) if size[k] > 1 else math.nan,
            mean_mated=float(mated[k]),
            outliers=tuple(by_person.get(k, ())),
            measurement_sd={name: float(values[k]) for name, values in spread.items()},
            pixel_diversity=float(diversity[k]),
            too_easy=bool(easy[k]),
        )
        for k in np.argsort(np.where(np.isnan(mated), np.inf, mated), kind="stable").tolist()
    ]
    options = {"seed": seed, "replicates": replicates}
    known, judged = np.isfinite(mated), own[several] >= threshold
    right = ~outlier[several]
    return Consistency(
        threshold=threshold,
        too_easy_cosine=too_easy_cosine,
        n=len(rows),
        num_identities=len(size),
        share_consistent=float(judged.mean()) if several.any() else math.nan,
        share_consistent_ci=_mean_interval(judged, people[several], **options),
        mean_mated=float(mated[known].mean()) if known.any() else math.nan,
        mean_mated_ci=_mean_interval(mated[known], np.flatnonzero(known), **options),
        rank_one=float(right.mean()) if several.any() else math.nan,
        rank_one_ci=_mean_interval(right, people[several], **options),
        num_outliers=len(places),
        num_too_easy=int(easy.sum()),
        identities=tuple(found),
    )


def expression_drops(
    cosines: NDArray[np.floating],
    expressions: Sequence[str] | NDArray[Any],
    identities: NDArray[Any],
    *,
    neutral: str = "neutral",
    seed: int,
    replicates: int = REPLICATES,
) -> tuple[ExpressionDrop, ...]:
    """Mean cosine (N,) to the identity (its reference, or its centre) by expression, and the drop against neutral.

    The drop is a mean over identities of (mean neutral cosine - mean cosine with the expression): each is its own control, and the interval draws
    identities. Largest drop first; nan cosines are left out.
    """
    table = pd.DataFrame({"cosine": np.asarray(cosines, np.float64), "expression": np.asarray(expressions, object), "identity": np.asarray(identities)})
    table = table[table["cosine"].notna()]
    means = table.pivot_table(index="identity", columns="expression", values="cosine", aggfunc="mean")
    drops = []
    for expression, group in table.groupby("expression", sort=True):
        both = (means[neutral] - means[expression]).dropna() if neutral in means.columns else pd.Series(dtype=np.float64)
        usable = len(both) > 0 and expression != neutral
        drops.append(
            ExpressionDrop(
                expression=str(expression),
                n=len(group),
                num_identities=len(both),
                mean=float(group["cosine"].mean()),
                drop=float(both.mean()) if usable else math.nan,
                drop_ci=bootstrap_mean(both.to_numpy(), np.arange(len(both)), seed=seed, replicates=replicates) if usable else not_estimable(0.95),
            )
        )
    return tuple(sorted(drops, key=lambda row: (-row.drop if math.isfinite(row.drop) else math.inf, row.expression)))


def _mean_interval(values: NDArray[Any], identities: NDArray[np.int64], *, seed: int, replicates: int) -> Interval:
    return bootstrap_mean(np.asarray(values, np.float64), identities, seed=seed, replicates=replicates) if len(values) else not_estimable(0.95)


def _spreads(measurements: pd.DataFrame | None, people: NDArray[np.int64], count: int) -> dict[str, NDArray[np.float64]]:
    if measurements is None:
        return {}
    spread = measurements.reset_index(drop=True).astype(np.float64).groupby(people).std(ddof=1).reindex(range(count))
    return {str(name): spread[name].to_numpy() for name in spread.columns}


def _diversity(features: NDArray[np.floating] | None, people: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.float64]:
    """Root mean square distance of an identity's pairs: |x - y|^2 over pairs averages to 2n / (n - 1) times the variance."""
    if features is None:
        return np.full(len(size), math.nan)
    rows = np.asarray(features, np.float64)
    sums, squares = np.zeros((len(size), rows.shape[1])), np.bincount(people, (rows**2).sum(axis=1), len(size))
    np.add.at(sums, people, rows)
    variance = np.clip(squares / size - ((sums / size[:, None]) ** 2).sum(axis=1), 0, None)
    return np.where(size > 1, np.sqrt(2 * size / np.maximum(size - 1, 1) * variance), np.nan)
