"""The figures of the report in one form, with the interval, the numbers behind them and where they come from."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from qc.report.inputs import SEED
from qc.statistics import Interval, Proportion, bootstrap_mean
from qc.statistics.intervals import REPLICATES, integers

Stage = Literal["unfiltered", "accepted"]
Direction = Literal["higher", "lower"]
STAGES: tuple[Stage, ...] = ("unfiltered", "accepted")

LINEARISED_FROM = 5000  # identities; beyond, a bootstrap costs minutes and gives the same ends
DRAWS = 3_000_000  # identities drawn in all replicates of one interval


def metric(
    identifier: str,
    label: str,
    value: float | None,
    *,
    unit: str,
    n: int,
    stage: Stage,
    n_clusters: int | None = None,
    ci: Interval | None = None,
    direction: Direction | None = None,
    role: str | None = None,
    threshold: float | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """One figure; null when it could not be measured. Its status is that of its contract line where it has one (`qc.report.contract`)."""
    known = value is not None and math.isfinite(value)
    return {
        "id": identifier,
        "label": label,
        "value": float(value) if known and value is not None else None,
        "ci": interval_json(ci) if known else None,
        "n": int(n),
        "n_clusters": n_clusters,
        "unit": unit,
        "direction": direction,
        "role": role,
        "stage": stage,
        "status": "info" if known else "not_measured",
        "threshold": threshold,
        "source": source,
    }


def interval_json(ci: Interval | None) -> dict[str, Any] | None:
    """An interval as the report has it; null where it is not estimable."""
    if ci is None or not (math.isfinite(ci.low) and math.isfinite(ci.high)):
        return None
    return {"lo": float(ci.low), "hi": float(ci.high), "level": ci.level, "method": ci.method}


def share_metric(identifier: str, label: str, found: Proportion | None, *, stage: Stage, **fields: Any) -> dict[str, Any]:
    """A share of trials."""
    if found is None or not found.trials:
        return metric(identifier, label, None, unit="share", n=0, stage=stage, **fields)
    return metric(
        identifier, label, found.share, unit="share", n=found.trials, n_clusters=found.num_identities, ci=found.ci, stage=stage, **fields
    )  # fmt: skip


def mean_metric(
    identifier: str, label: str, values: NDArray[np.floating] | None, identities: NDArray[Any], unit: str, stage: Stage, **fields: Any
) -> dict[str, Any]:
    """Mean of a measurement with an interval that counts identities; missing values are left out."""
    if values is None or not np.isfinite(values).any():
        return metric(identifier, label, None, unit=unit, n=0, stage=stage, **fields)
    known = np.isfinite(values)
    kept, people = np.asarray(values[known], np.float64), integers(np.asarray(identities)[known])
    count = int(people.max()) + 1
    return metric(
        identifier, label, float(kept.mean()), unit=unit, n=len(kept), n_clusters=count, ci=mean_interval(kept, people, count), stage=stage, **fields
    )  # fmt: skip


def mean_interval(values: NDArray[np.float64], people: NDArray[np.int64], count: int, level: float = 0.95) -> Interval:
    """Interval of a mean by identity: the bootstrap, or from 5,000 identities on the sandwich of their sums, which then has the same ends."""
    if count < LINEARISED_FROM:
        return bootstrap_mean(values, people, seed=SEED, replicates=replicates(count), level=level)
    middle = float(values.mean())
    sums = np.bincount(people, values - middle, count)
    half = float(ndtri(0.5 + level / 2)) * math.sqrt(float((sums**2).sum())) / len(values)
    return Interval(low=middle - half, high=middle + half, level=level, method="clustered by identity, linearised")


def replicates(num_identities: int) -> int:
    """Replicates of a bootstrap over so many identities: 600, and fewer, at least 100, where each costs more."""
    return int(np.clip(DRAWS // max(num_identities, 1), 100, REPLICATES))


def histogram(values: NDArray[np.floating], bins: int = 24, low: float | None = None, high: float | None = None) -> dict[str, Any] | None:
    """Edges, counts and median of the finite values; null without any."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return None
    least, most = float(known.min()) if low is None else low, float(known.max()) if high is None else high
    most = max(most, least + 1e-6)
    counts, edges = np.histogram(np.clip(known, least, most), bins=bins, range=(least, most))
    return {"edges": [float(f"{edge:.6g}") for edge in edges], "counts": counts.tolist(), "median": float(np.median(known)), "n": len(known)}
