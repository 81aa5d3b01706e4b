"""The gate's score against the auditor's: what filtering by one gains by the other, and how both depend on the threshold."""

# N attempts, R replicates

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from qc.statistics.intervals import REPLICATES, Interval, bootstrap_mean, draws, integers, not_estimable
from qc.statistics.plain import Figures

STEP = 0.02  # cosine, around the threshold
SWEEP = 41


@dataclass(frozen=True, kw_only=True)
class Correlation(Figures):
    """How two scores go together; nan below three pictures or where a score is constant."""

    pearson: float
    pearson_ci: Interval
    spearman: float
    spearman_ci: Interval
    n: int
    num_identities: int


@dataclass(frozen=True, kw_only=True)
class Gain(Figures):
    """How far filtering lifts the mean of a score, in standard deviations of all attempts; nan where nothing was kept or nothing varies."""

    mean_unfiltered: float
    mean_accepted: float
    gain_sd: float
    gain_ci: Interval


@dataclass(frozen=True, kw_only=True)
class SweepPoint(Figures):
    """What a threshold would do, every other check unchanged."""

    threshold: float
    acceptance: float  # share of all attempts
    gate_mean: float  # of those accepted; nan where none is
    audit_mean: float
    n: int


@dataclass(frozen=True, kw_only=True)
class GateAudit(Figures):
    """Gate beside audit, before and after filtering."""

    unfiltered: Correlation
    accepted: Correlation
    gate: Gain  # apparent: the gate judged by its own score
    audit: Gain  # audited
    expected_audit_gain_sd: float  # rho x apparent gain, for scores that are jointly Gaussian
    threshold: float | None  # None: no threshold was given, so there is no sensitivity
    at: tuple[SweepPoint, ...]  # threshold - 0.02, threshold, threshold + 0.02
    sweep: tuple[SweepPoint, ...]


def gate_audit(
    gate: NDArray[np.floating],
    audit: NDArray[np.floating],
    identities: NDArray[Any],
    accepted: NDArray[np.bool_],
    *,
    threshold: float | None,
    other_checks: NDArray[np.bool_] | None = None,
    seed: int,
    replicates: int = REPLICATES,
    level: float = 0.95,
) -> GateAudit:
    """Both scores (N,) of all attempts, accepted or not; attempts without both (nan) are left out.

    other_checks  (N,) whether every check but the gate's was passed; None: only the gate counts in the sweep
    Selection by a gate that keeps the share p gains phi(z)/p standard deviations of its own score and rho times that of another (Cohen 1959 for the
    truncated normal; the regression of jointly Gaussian scores).
    """
    known = np.isfinite(gate) & np.isfinite(audit)
    by_gate, by_audit, kept = np.asarray(gate, np.float64)[known], np.asarray(audit, np.float64)[known], np.asarray(accepted, bool)[known]
    people = integers(np.asarray(identities)[known])
    passing = np.ones(len(by_gate), bool) if other_checks is None else np.asarray(other_checks, bool)[known]
    options = {"seed": seed, "replicates": replicates, "level": level}
    unfiltered = correlation(by_gate, by_audit, people, **options)  # type: ignore[arg-type]
    apparent = _gain(by_gate, people, kept, **options)  # type: ignore[arg-type]
    limits: Sequence[float] = () if threshold is None else (threshold - STEP, threshold, threshold + STEP)
    return GateAudit(
        unfiltered=unfiltered,
        accepted=correlation(by_gate[kept], by_audit[kept], people[kept], **options),  # type: ignore[arg-type]
        gate=apparent,
        audit=_gain(by_audit, people, kept, **options),  # type: ignore[arg-type]
        expected_audit_gain_sd=unfiltered.pearson * apparent.gain_sd,
        threshold=threshold,
        at=tuple(_sweep_point(limit, by_gate, by_audit, passing) for limit in limits),
        sweep=tuple(_sweep_point(limit, by_gate, by_audit, passing) for limit in _sweep_limits(by_gate)),
    )


def correlation(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    identities: NDArray[Any],
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = 0.95,
) -> Correlation:
    """Pearson's and Spearman's correlation of two scores (N,) with intervals that draw identities; ranks are taken anew in each replicate."""
    people = integers(identities)
    count, n = int(people.max(initial=-1)) + 1, len(people)
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    x_place, y_place = integers(x), integers(y)
    usable = n >= 3 and float(np.ptp(x)) > 1e-12 and float(np.ptp(y)) > 1e-12
    ones = np.ones(n)
    linear, ranked = (_weighted_r(x, y, ones), _weighted_r(_ranks(x_place, ones), _ranks(y_place, ones), ones)) if usable else (math.nan, math.nan)
    linear_ci = ranked_ci = not_estimable(level)
    if usable and count > 1:
        values = []
        for block in draws(count, replicates, seed):
            for drawn in block:
                weight = drawn[people]
                values.append((_weighted_r(x, y, weight), _weighted_r(_ranks(x_place, weight), _ranks(y_place, weight), weight)))
        found = np.asarray(values)
        found = found[np.isfinite(found).all(axis=1)]
        linear_ci, ranked_ci = _fisher_interval(linear, found[:, 0], level, count), _fisher_interval(ranked, found[:, 1], level, count)
    return Correlation(pearson=linear, pearson_ci=linear_ci, spearman=ranked, spearman_ci=ranked_ci, n=n, num_identities=count)


def _fisher_interval(value: float, replicated: NDArray[np.float64], level: float, num_identities: int) -> Interval:
    """tanh(atanh r +- t s), s the spread of the replicates' atanh r: correlations are skewed, their atanh hardly is (Fisher 1921)."""
    if num_identities < 3 or len(replicated) < 2:
        return not_estimable(level, "identity bootstrap, not estimable below three identities")
    limit = 1 - 1e-12
    spread = float(np.arctanh(np.clip(replicated, -limit, limit)).std(ddof=1)) * math.sqrt(num_identities / (num_identities - 1))
    middle, half = math.atanh(min(max(value, -limit), limit)), float(stdtrit(num_identities - 1, 0.5 + level / 2)) * spread
    return Interval(low=math.tanh(middle - half), high=math.tanh(middle + half), level=level, method="identity bootstrap of atanh r")


def _gain(values: NDArray[np.float64], people: NDArray[np.int64], kept: NDArray[np.bool_], *, seed: int, replicates: int, level: float) -> Gain:
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    mean = float(values.mean()) if len(values) else math.nan
    if not kept.any() or spread <= 0:
        return Gain(mean_unfiltered=mean, mean_accepted=math.nan, gain_sd=math.nan, gain_ci=not_estimable(level, "not estimable: nothing was kept"))
    best = float(values[kept].mean())
    # subtle: the gain is a mean over attempts of (kept / share kept - 1) x value, to first order; its interval follows from that influence.
    share = kept.mean()
    influence = (kept * (values - best) / share - (values - mean)) / spread
    around = bootstrap_mean(influence, people, seed=seed, replicates=replicates, level=level)
    gain = (best - mean) / spread
    interval = Interval(low=gain + around.low, high=gain + around.high, level=level, method=around.method)
    return Gain(mean_unfiltered=mean, mean_accepted=best, gain_sd=gain, gain_ci=interval)


def _sweep_point(threshold: float, gate: NDArray[np.float64], audit: NDArray[np.float64], passing: NDArray[np.bool_]) -> SweepPoint:
    kept = passing & (gate >= threshold)
    count = int(kept.sum())
    return SweepPoint(
        threshold=float(threshold),
        acceptance=count / len(gate) if len(gate) else math.nan,
        gate_mean=float(gate[kept].mean()) if count else math.nan,
        audit_mean=float(audit[kept].mean()) if count else math.nan,
        n=count,
    )


def _sweep_limits(gate: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(gate):
        return np.zeros(0)
    low, high = np.quantile(gate, [0.005, 0.995])
    return np.linspace(math.floor(low / STEP) * STEP, math.ceil(high / STEP) * STEP, SWEEP).round(4)


def _weighted_r(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    total = weight.sum()
    if total <= 0:
        return math.nan
    dx, dy = x - weight @ x / total, y - weight @ y / total
    scale = math.sqrt(float(weight @ (dx * dx)) * float(weight @ (dy * dy)))
    return float(weight @ (dx * dy)) / scale if scale > 0 else math.nan


def _ranks(places: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mid-ranks of weighted values; `places` are 0 .. distinct values - 1 in their order."""
    mass = np.bincount(places, weight)
    return (np.cumsum(mass) - mass / 2)[places]
