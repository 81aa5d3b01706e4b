"""Does a classifier see the expressions that were asked for? Confusion, calibration, and agreement on valence and arousal."""

# N pictures, K classes, R replicates

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from manifests.errors import InputError
from qc.statistics.intervals import REPLICATES, Interval, Proportion, draws, integers, not_estimable, percentile_interval, proportions
from qc.statistics.plain import Figures

BINS = 15


@dataclass(frozen=True, kw_only=True)
class ClassRow(Figures):
    """One asked-for class."""

    name: str
    n: int
    recall: Proportion  # seen as asked
    precision: float  # of the pictures seen so, those that were asked so; nan where none is seen so
    f1: float  # nan where the class was neither asked for nor seen


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin(Figures):
    """Pictures whose highest probability lies in low .. high."""

    low: float
    high: float
    n: int
    confidence: float  # mean highest probability; nan for an empty bin
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class ExpressionAgreement(Figures):
    """Asked-for classes against the most probable ones. The classifier errs too, so this is no rate of wrong pictures."""

    classes: tuple[str, ...]
    n: int
    counts: NDArray[np.int64]  # (K, K) asked x seen
    shares: NDArray[np.float64]  # (K, K) rows sum to 1; nan where a class was not asked for
    agreement: Proportion
    macro_f1: float  # mean F1 of the asked-for classes
    macro_f1_ci: Interval
    balanced_accuracy: float  # mean recall of the asked-for classes
    balanced_accuracy_ci: Interval
    ece: float  # expected calibration error, 0 .. 1
    reliability: tuple[ReliabilityBin, ...]
    rows: tuple[ClassRow, ...]


@dataclass(frozen=True, kw_only=True)
class Scale(Figures):
    """Agreement on valence or arousal (-1 .. 1); nan below two pictures or where a side is constant."""

    name: str
    n: int
    ccc: float  # concordance, Lin 1989
    ccc_ci: Interval
    pcc: float  # Pearson
    rmse: float
    sagr: float  # share of equal signs


def expression_agreement(
    asked: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    identities: NDArray[Any],
    *,
    classes: Sequence[str],
    seed: int,
    replicates: int = REPLICATES,
) -> ExpressionAgreement | None:
    """Agreement of N asked-for classes with probabilities (N, K).

    asked  place in `classes`, below 0: none was asked for, left out, as are rows of probabilities with a nan. None: no row is left.
    ECE: Guo et al. 2017, 15 bins of equal width. Intervals draw identities: each has a K x K table, and a replicate adds up the drawn tables.
    """
    count = len(classes)
    wanted, scores = np.asarray(asked), np.asarray(probabilities)
    if scores.shape != (len(wanted), count) or wanted.max(initial=-1) >= count:
        raise InputError(f"expression: probabilities are {scores.shape} for {len(wanted)} pictures and {count} classes.")
    known = (wanted >= 0) & np.isfinite(scores).all(axis=1)
    if not known.any():
        return None
    wanted, scores, people = wanted[known].astype(np.int64), scores[known], integers(np.asarray(identities)[known])
    seen = scores.argmax(axis=1)
    right = seen == wanted
    counts = np.bincount(wanted * count + seen, minlength=count * count).reshape(count, count)
    both = proportions(right, wanted, count, people, seed=seed, replicates=replicates)
    overall = proportions(right, np.zeros(len(right), np.int64), 1, people, seed=seed, replicates=replicates)[0]
    recalls, precisions, f1 = _class_rates(counts[None].astype(np.float64))
    balanced, macro = _macro(recalls, f1, counts[None])
    balanced_ci, macro_ci = _table_intervals(wanted * count + seen, people, count, seed, replicates)
    asked_for = counts.sum(axis=1, keepdims=True)
    bins, ece = _reliability(scores.max(axis=1), right)
    return ExpressionAgreement(
        classes=tuple(classes),
        n=len(wanted),
        counts=counts,
        shares=np.where(asked_for > 0, counts / np.maximum(asked_for, 1), np.nan),
        agreement=overall,
        macro_f1=float(macro[0]),
        macro_f1_ci=macro_ci,
        balanced_accuracy=float(balanced[0]),
        balanced_accuracy_ci=balanced_ci,
        ece=ece,
        reliability=bins,
        rows=tuple(
            ClassRow(name=classes[k], n=both[k].trials, recall=both[k], precision=float(precisions[0, k]), f1=float(f1[0, k])) for k in range(count)
        ),
    )


def scale_agreement(
    name: str, asked: NDArray[np.floating], observed: NDArray[np.floating], identities: NDArray[Any], *, seed: int, replicates: int = REPLICATES
) -> Scale:
    """Agreement of asked-for and observed valence, or arousal (N,); rows with a nan are left out.

    CCC = 2 cov / (var + var + (mean - mean)^2); every figure is a function of six sums, so a replicate adds up the drawn identities' sums.
    """
    x, y = np.asarray(asked, np.float64), np.asarray(observed, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y, people = x[known], y[known], integers(np.asarray(identities)[known])
    count = int(people.max(initial=-1)) + 1
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Scale(name=name, n=len(x), ccc=math.nan, ccc_ci=not_estimable(0.95), pcc=math.nan, rmse=math.nan, sagr=math.nan)
    sums = np.stack([np.bincount(people, values, count) for values in (np.ones(len(x)), x, y, x * x, y * y, x * y)])  # (6, I)
    ccc, pcc = _concordance(sums.sum(axis=1, keepdims=True))
    interval = not_estimable(0.95)
    if count > 1:
        drawn = np.concatenate([_concordance(sums @ weights.T)[0] for weights in draws(count, replicates, seed)])
        interval = percentile_interval(drawn[np.isfinite(drawn)], 0.95, count)
    return Scale(
        name=name,
        n=len(x),
        ccc=float(ccc[0]),
        ccc_ci=interval,
        pcc=float(pcc[0]),
        rmse=float(np.sqrt(np.mean((x - y) ** 2))),
        sagr=float(np.mean(np.sign(x) == np.sign(y))),
    )


def _concordance(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, x, y, xx, yy, xy = sums
    n = np.maximum(n, 1e-12)
    mean_x, mean_y = x / n, y / n
    var_x, var_y, shared = np.clip(xx / n - mean_x**2, 0, None), np.clip(yy / n - mean_y**2, 0, None), xy / n - mean_x * mean_y
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * shared / (var_x + var_y + (mean_x - mean_y) ** 2), shared / np.sqrt(var_x * var_y)


def _class_rates(tables: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Recall, precision and F1 (R, K) of tables (R, K, K); nan without a case."""
    right, asked, seen = np.diagonal(tables, axis1=1, axis2=2), tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return right / asked, right / seen, 2 * right / (asked + seen)


def _macro(recalls: NDArray[np.float64], f1: NDArray[np.float64], tables: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over the classes that were asked for."""
    asked = tables.sum(axis=2) > 0
    classes = np.maximum(asked.sum(axis=1), 1)
    return np.where(asked, np.nan_to_num(recalls), 0).sum(axis=1) / classes, np.where(asked, np.nan_to_num(f1), 0).sum(axis=1) / classes


def _table_intervals(cells: NDArray[np.int64], people: NDArray[np.int64], count: int, seed: int, replicates: int) -> tuple[Interval, Interval]:
    identities = int(people.max()) + 1
    if identities < 2:
        return not_estimable(0.95), not_estimable(0.95)
    by_identity = csr_matrix((np.ones(len(cells)), (cells, people)), shape=(count * count, identities))
    balanced, macro = [], []
    for weights in draws(identities, replicates, seed):
        tables = (by_identity @ weights.T).T.reshape(-1, count, count)
        recalls, _, f1 = _class_rates(tables)
        first, second = _macro(recalls, f1, tables)
        balanced.append(first)
        macro.append(second)
    return percentile_interval(np.concatenate(balanced), 0.95, identities), percentile_interval(np.concatenate(macro), 0.95, identities)


def _reliability(confidence: NDArray[np.floating], right: NDArray[np.bool_]) -> tuple[tuple[ReliabilityBin, ...], float]:
    place = np.minimum((np.asarray(confidence, np.float64) * BINS).astype(np.int64), BINS - 1)
    n = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean, accuracy = np.bincount(place, confidence, BINS) / n, np.bincount(place, right, BINS) / n
    ece = float((n * np.abs(np.nan_to_num(mean - accuracy))).sum() / n.sum())
    bins = (ReliabilityBin(low=k / BINS, high=(k + 1) / BINS, n=int(n[k]), confidence=float(mean[k]), accuracy=float(accuracy[k])) for k in range(BINS))
    return tuple(bins), ece
