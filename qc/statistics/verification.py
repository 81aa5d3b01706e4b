"""One call from scores to everything a verification section shows: DET with band, equal error rate, FNMR at false-match rates, thresholds."""

# T targets, P points of a curve

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from qc.statistics.counts import Rates, crossing, fnmr_at_fmr, rates, replicate_rates, threshold_grid
from qc.statistics.intervals import ON_IDENTITIES, REPLICATES, Interval, expanded_tail, not_estimable, percentile_interval, wilson
from qc.statistics.plain import Figures
from qc.statistics.scores import RULE_OF, ScoreSet, d_prime, equal_error_rate, fmr, fnmr, threshold_at_fmr

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MAX_POINTS = 200
MIN_REPLICATES, MAX_WEIGHTS = 200, 180_000_000


@dataclass(frozen=True, kw_only=True)
class OperatingPoint(Figures):
    """FNMR at a false-match rate. Everything measured is nan where the rule of 30 leaves it not estimable."""

    target_fmr: float
    estimable: bool  # target x non-mated comparisons >= 30
    num_nonmated: int
    num_mated: int
    threshold: float  # smallest with FMR <= target; cosine
    fmr: float  # at the threshold, 0 .. 1
    fnmr: float
    tar: float  # 1 - fnmr
    fmr_ci: Interval  # at this very threshold
    fnmr_ci: Interval  # the threshold is chosen anew in each replicate


@dataclass(frozen=True, kw_only=True)
class DetCurve(Figures):
    """Points of a DET curve (P,), FMR rising; a ROC curve is 1 - fnmr over fmr. The band holds FNMR at each point's FMR."""

    threshold: NDArray[np.float64]
    fmr: NDArray[np.float64]
    fnmr: NDArray[np.float64]
    low: NDArray[np.float64]  # nan without replicates
    high: NDArray[np.float64]
    estimable: NDArray[np.bool_]  # FMR x comparisons >= 30; points left of that rest on a few pairs
    level: float
    method: str


@dataclass(frozen=True, kw_only=True)
class Verification(Figures):
    """How well scores tell identities apart."""

    num_mated: int
    num_nonmated: int
    num_identities: int
    num_identity_pairs: int  # distinct; more pictures of the same people add comparisons, not independence
    d_prime: float
    eer: float
    eer_ci: Interval
    points: tuple[OperatingPoint, ...]
    det: DetCurve


@dataclass(frozen=True, kw_only=True)
class RatesAt(Figures):
    """Both rates at a given threshold, such as one that was calibrated on other people."""

    threshold: float
    fmr: float
    fmr_ci: Interval
    num_false_matches: int
    num_nonmated: int
    fnmr: float
    fnmr_ci: Interval
    num_false_nonmatches: int
    num_mated: int
    estimable: bool  # at least 30 false matches were seen; below that `fmr_ci` is a guide only


def verification(
    scores: ScoreSet,
    *,
    seed: int,
    targets: Sequence[float] = TARGETS,
    replicates: int = REPLICATES,
    level: float = 0.95,
    max_points: int = MAX_POINTS,
) -> Verification | None:
    """All figures of one set of scores; None without mated or without non-mated scores.

    Terms and the DET curve: ISO/IEC 19795-1. Intervals: identities drawn with replacement, see `replicate_rates`; above 300,000 comparisons of a kind
    with fewer replicates, at least 200.
    """
    if not len(scores.mated) or not len(scores.nonmated):
        return None
    total = len(scores.nonmated)
    replicates = min(replicates, max(MIN_REPLICATES, MAX_WEIGHTS // max(total, len(scores.mated))))
    chosen = {target: threshold_at_fmr(scores.nonmated, target) for target in targets}
    grid = threshold_grid(scores, tuple(found.threshold for found in chosen.values() if found.estimable))
    exact = rates(scores, grid)
    drawn = replicate_rates(scores, grid, seed=seed, replicates=replicates) if scores.num_identities > 1 else None
    points = []
    for target, found in chosen.items():
        common = {"target_fmr": target, "estimable": found.estimable, "num_nonmated": total, "num_mated": len(scores.mated)}
        if not found.estimable:
            gap = not_estimable(level, f"not estimable: {target:g} x {total} comparisons is below {RULE_OF}")
            missing = {"threshold": math.nan, "fmr": math.nan, "fnmr": math.nan, "tar": math.nan, "fmr_ci": gap, "fnmr_ci": gap}
            points.append(OperatingPoint(**common, **missing))  # type: ignore[arg-type]
            continue
        missed = fnmr(scores.mated, found.threshold)
        at = int(np.searchsorted(grid, found.threshold))
        matches = drawn.fmr[:, at] if drawn else np.zeros(0)
        misses = fnmr_at_fmr(drawn, np.array([target]))[:, 0] if drawn else np.zeros(0)
        points.append(
            OperatingPoint(
                **common,  # type: ignore[arg-type]
                threshold=found.threshold,
                fmr=found.achieved_fmr,
                fnmr=missed,
                tar=1 - missed,
                fmr_ci=_interval(matches, found.achieved_fmr, scores, level),
                fnmr_ci=_interval(misses, missed, scores, level),
            )
        )
    eer = equal_error_rate(scores.mated, scores.nonmated)
    return Verification(
        num_mated=len(scores.mated),
        num_nonmated=total,
        num_identities=scores.num_identities,
        num_identity_pairs=_identity_pairs(scores),
        d_prime=d_prime(scores.mated, scores.nonmated),
        eer=eer,
        eer_ci=_interval(crossing(drawn) if drawn else np.zeros(0), eer, scores, level),
        points=tuple(points),
        det=_det(scores, exact, drawn, level, min(max_points, 400)),
    )


def rates_at(scores: ScoreSet, threshold: float, *, seed: int, replicates: int = REPLICATES, level: float = 0.95) -> RatesAt | None:
    """FMR and FNMR at a given threshold with intervals; None without mated or without non-mated scores."""
    if not len(scores.mated) or not len(scores.nonmated):
        return None
    grid = np.array([threshold])
    drawn = replicate_rates(scores, grid, seed=seed, replicates=replicates) if scores.num_identities > 1 else None
    matched, missed = fmr(scores.nonmated, threshold), fnmr(scores.mated, threshold)
    false_matches = int((scores.nonmated >= threshold).sum())
    return RatesAt(
        threshold=threshold,
        fmr=matched,
        fmr_ci=_interval(drawn.fmr[:, 0] if drawn else np.zeros(0), matched, scores, level),
        num_false_matches=false_matches,
        num_nonmated=len(scores.nonmated),
        fnmr=missed,
        fnmr_ci=_interval(drawn.fnmr[:, 0] if drawn else np.zeros(0), missed, scores, level),
        num_false_nonmatches=int((scores.mated < threshold).sum()),
        num_mated=len(scores.mated),
        estimable=false_matches >= RULE_OF,
    )


def _det(scores: ScoreSet, exact: Rates, drawn: Rates | None, level: float, max_points: int) -> DetCurve:
    tail = min(0.25, 1 / len(scores.nonmated))
    wanted = ndtr(np.linspace(ndtri(tail), -ndtri(tail), max_points))
    first = np.unique(np.minimum(np.searchsorted(-exact.fmr, -wanted - 1e-12, side="left"), len(exact.fmr) - 1))[::-1]
    matches, misses = exact.fmr[first], exact.fnmr[first]
    low, high = np.full(len(first), math.nan), np.full(len(first), math.nan)
    if drawn is not None:
        replicated = fnmr_at_fmr(drawn, matches)  # (R, P)
        share = expanded_tail(level, scores.num_identities)
        low, high = np.quantile(replicated, [share, 1 - share], axis=0)
        bound = wilson(0, scores.num_identities, level).high
        high = np.where(high == 0, bound, high)
        low = np.where(low == 1, 1 - bound, low)
    method = "identity bootstrap, pointwise" if drawn is not None else "not estimable below two identities"
    estimable = matches * len(scores.nonmated) >= RULE_OF
    return DetCurve(
        threshold=exact.thresholds[first], fmr=matches, fnmr=misses, low=low, high=high, estimable=estimable, level=level, method=method
    )


def _interval(replicated: NDArray[np.float64], value: float, scores: ScoreSet, level: float) -> Interval:
    """Percentiles; where no replicate differs from 0 or 1, Wilson's interval with the identities as trials."""
    if scores.num_identities >= 2 and len(replicated) and value in (0.0, 1.0) and np.ptp(replicated) == 0:
        bound = wilson(value * scores.num_identities, scores.num_identities, level)
        return Interval(low=bound.low, high=bound.high, level=level, method=ON_IDENTITIES)
    return percentile_interval(replicated, level, scores.num_identities)


def _identity_pairs(scores: ScoreSet) -> int:
    low, high = scores.nonmated_identities.min(axis=1), scores.nonmated_identities.max(axis=1)
    return len(np.unique(low * scores.num_identities + high))
