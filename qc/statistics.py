"""Verification figures in the words of ISO/IEC 19795-1, with intervals that draw identities and not pairs.

mated      scores of pictures against their own identity
non-mated  scores of pictures against another identity
FMR        share of non-mated scores >= threshold; FNMR  share of mated scores < threshold; TAR = 1 - FNMR
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from manifests.errors import InputError

# Doddington's rule of 30: at least 30 expected errors, or a rate is not estimable.
RULE_OF = 30


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, kw_only=True)
class ScoreSet:
    """Mated and non-mated scores with the identities (integers from 0) that each comparison involves."""

    mated: NDArray[np.float64]  # (M,)
    mated_identity: NDArray[np.int64]  # (M,)
    nonmated: NDArray[np.float64]  # (K,)
    nonmated_identities: NDArray[np.int64]  # (K, 2), two different ones
    num_identities: int

    def __post_init__(self) -> None:
        if len(self.mated) != len(self.mated_identity) or self.nonmated_identities.shape != (len(self.nonmated), 2):
            raise InputError("scores: the identities don't belong to the scores, expected one per mated and two per non-mated comparison.")
        if not (np.isfinite(self.mated).all() and np.isfinite(self.nonmated).all()):
            raise InputError("scores: a score is not finite. Leave out pictures that could not be compared.")


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The smallest threshold whose FMR is at most the target, and whether that many comparisons support it."""

    threshold: float
    target_fmr: float
    achieved_fmr: float
    num_comparisons: int
    estimable: bool  # the rule of 30 holds: target x comparisons >= 30


def pairwise_scores(embeddings: NDArray[np.floating], identities: NDArray[np.int64]) -> ScoreSet:
    """Cosines of all pairs of N unit embeddings (N, D), labelled by identity (N,)."""
    labels = _integers(identities)
    first, second = np.triu_indices(len(labels), k=1)
    scores = np.einsum("nd,nd->n", np.asarray(embeddings, np.float64)[first], np.asarray(embeddings, np.float64)[second])
    mated = labels[first] == labels[second]
    pairs = np.stack([labels[first], labels[second]], axis=1)
    return ScoreSet(
        mated=scores[mated],
        mated_identity=pairs[mated, 0],
        nonmated=scores[~mated],
        nonmated_identities=pairs[~mated],
        num_identities=int(labels.max(initial=-1)) + 1,
    )


def reference_scores(embeddings: NDArray[np.floating], own: NDArray[np.int64], references: NDArray[np.floating]) -> ScoreSet:
    """Cosines of N pictures (N, D) with I references (I, D): mated with reference own[n], non-mated with all others."""
    scores = np.asarray(embeddings, np.float64) @ np.asarray(references, np.float64).T  # (N, I)
    other = np.arange(len(references))[None, :] != np.asarray(own)[:, None]
    rows, columns = np.nonzero(other)
    return ScoreSet(
        mated=scores[np.arange(len(own)), own],
        mated_identity=np.asarray(own, np.int64),
        nonmated=scores[other],
        nonmated_identities=np.stack([np.asarray(own, np.int64)[rows], columns], axis=1),
        num_identities=len(references),
    )


def fmr(nonmated: NDArray[np.floating], threshold: float) -> float:
    """False-match rate: share of non-mated scores that reach the threshold; nan without scores."""
    return float(np.mean(nonmated >= threshold)) if len(nonmated) else math.nan


def fnmr(mated: NDArray[np.floating], threshold: float) -> float:
    """False-non-match rate: share of mated scores below the threshold; nan without scores."""
    return float(np.mean(mated < threshold)) if len(mated) else math.nan


def threshold_at_fmr(nonmated: NDArray[np.floating], target_fmr: float) -> Threshold:
    """Smallest threshold with FMR <= target."""
    if not 0 < target_fmr < 1:
        raise InputError(f"threshold: target false-match rate is {target_fmr}, expected a number above 0 and below 1.")
    if not len(nonmated):
        raise InputError("threshold: there are no non-mated scores, so none can be chosen. Give pictures of at least two identities.")
    ordered = np.sort(np.asarray(nonmated, np.float64))[::-1]
    allowed = math.floor(target_fmr * len(ordered) + 1e-9)
    # subtle: the highest score that must be refused is number `allowed`, counted from 0; the threshold is the next number above it.
    threshold = float(np.nextafter(ordered[allowed], np.inf))
    return Threshold(
        threshold=threshold,
        target_fmr=target_fmr,
        achieved_fmr=fmr(ordered, threshold),
        num_comparisons=len(ordered),
        estimable=target_fmr * len(ordered) >= RULE_OF,
    )


def tar_at_fmr(mated: NDArray[np.floating], nonmated: NDArray[np.floating], target_fmr: float) -> float:
    """True-accept rate at the smallest threshold with FMR <= target."""
    return 1.0 - fnmr(mated, threshold_at_fmr(nonmated, target_fmr).threshold)


def equal_error_rate(mated: NDArray[np.floating], nonmated: NDArray[np.floating]) -> float:
    """Rate at which FMR and FNMR meet; the mean of both where they step past each other."""
    return _weighted_eer(mated, np.ones(len(mated)), nonmated, np.ones(len(nonmated)))


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion whose trials are independent."""
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"interval: got {successes} of {trials}, expected at least one trial and no more successes than trials.")
    z = float(ndtri(0.5 + level / 2))
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return Interval(low=low, high=high, level=level, method="Wilson")


def bootstrap_mean(values: NDArray[np.floating], identities: NDArray[np.int64], *, seed: int, replicates: int = 600, level: float = 0.95) -> Interval:
    """Interval of a mean whose values come in groups: identities are drawn with replacement, each with all of its values."""
    labels = _integers(identities)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return Interval(low=math.nan, high=math.nan, level=level, method="identity bootstrap, not estimable below two identities")
    sums = np.bincount(labels, np.asarray(values, np.float64), count)
    sizes = np.bincount(labels, minlength=count)
    weights = _draws(count, replicates, seed)
    return _percentiles((weights @ sums) / np.maximum(weights @ sizes, 1e-12), level)


def bootstrap_eer(scores: ScoreSet, *, seed: int, replicates: int = 300, level: float = 0.95) -> Interval:
    """Interval of the equal error rate."""
    return bootstrap_verification(scores, _weighted_eer, seed=seed, replicates=replicates, level=level)


def bootstrap_tar(scores: ScoreSet, target_fmr: float, *, seed: int, replicates: int = 300, level: float = 0.95) -> Interval:
    """Interval of TAR at a false-match rate; the threshold is chosen anew in each replicate."""

    def tar(mated: NDArray[np.floating], mated_weight: NDArray[np.floating], nonmated: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
        order = np.argsort(nonmated)[::-1]
        reached = np.cumsum(weight[order]) <= target_fmr * weight.sum()
        allowed = int(reached.sum())
        threshold = -np.inf if allowed >= len(order) else np.nextafter(nonmated[order[allowed]], np.inf)
        return float(mated_weight[mated >= threshold].sum() / mated_weight.sum())

    return bootstrap_verification(scores, tar, seed=seed, replicates=replicates, level=level)


def bootstrap_verification(
    scores: ScoreSet,
    statistic: Callable[[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]], float],
    *,
    seed: int,
    replicates: int,
    level: float = 0.95,
) -> Interval:
    """Interval of statistic(mated, weights, non-mated, weights) with identities drawn with replacement.

    A non-mated comparison weighs the product of its two identities' draws. Pairs share identities, so treating them as
    independent gives intervals that are far too narrow.
    """
    if scores.num_identities < 2 or not len(scores.mated) or not len(scores.nonmated):
        return Interval(low=math.nan, high=math.nan, level=level, method="identity bootstrap, not estimable below two identities")
    values = []
    for weights in _draws(scores.num_identities, replicates, seed):
        mated_weight = weights[scores.mated_identity]
        nonmated_weight = weights[scores.nonmated_identities].prod(axis=1)
        if mated_weight.sum() > 0 and nonmated_weight.sum() > 0:
            values.append(statistic(scores.mated, mated_weight, scores.nonmated, nonmated_weight))
    return _percentiles(np.asarray(values), level)


def _weighted_eer(mated: NDArray[np.floating], mated_weight: NDArray[np.floating], nonmated: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
    if not len(mated) or not len(nonmated):
        return math.nan
    mated_order, nonmated_order = np.argsort(mated), np.argsort(nonmated)
    mated_sorted, nonmated_sorted = mated[mated_order], nonmated[nonmated_order]
    mated_sum = np.concatenate([[0.0], np.cumsum(mated_weight[mated_order])])
    nonmated_sum = np.concatenate([[0.0], np.cumsum(weight[nonmated_order])])
    thresholds = np.unique(np.concatenate([mated_sorted, nonmated_sorted]))
    misses = mated_sum[np.searchsorted(mated_sorted, thresholds, side="left")] / mated_sum[-1]
    matches = 1 - nonmated_sum[np.searchsorted(nonmated_sorted, thresholds, side="left")] / nonmated_sum[-1]
    nearest = int(np.argmin(np.abs(misses - matches)))
    return float((misses[nearest] + matches[nearest]) / 2)


def _draws(count: int, replicates: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=replicates).astype(np.float64)


def _percentiles(values: NDArray[np.floating], level: float) -> Interval:
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(low=float(low), high=float(high), level=level, method="identity bootstrap")


def _integers(identities: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(np.asarray(identities), return_inverse=True)[1].astype(np.int64)
