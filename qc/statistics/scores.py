"""Mated and non-mated scores and their error rates, in the words of ISO/IEC 19795-1.

mated      scores of pictures against their own identity
non-mated  scores of pictures against another identity
FMR        share of non-mated scores >= threshold; FNMR  share of mated scores < threshold; TAR = 1 - FNMR
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.statistics.intervals import integers
from qc.statistics.plain import Figures

# Doddington's rule of 30: at least 30 expected errors, or a rate is not estimable.
RULE_OF = 30


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
class Threshold(Figures):
    """The smallest threshold whose FMR is at most the target, and whether that many comparisons support it."""

    threshold: float
    target_fmr: float
    achieved_fmr: float
    num_comparisons: int
    estimable: bool  # the rule of 30 holds: target x comparisons >= 30


def pairwise_scores(embeddings: NDArray[np.floating], identities: NDArray[np.int64]) -> ScoreSet:
    """Cosines of all pairs of N unit embeddings (N, D), labelled by identity (N,)."""
    labels = integers(identities)
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


def sampled_scores(embeddings: NDArray[np.floating], identities: NDArray[np.int64], *, num_mated: int, num_nonmated: int, seed: int) -> ScoreSet:
    """Cosines of at most so many pairs of N unit embeddings (N, D), drawn at random with replacement; for sets whose pairs are too many.

    Every non-mated pair is equally likely; a mated pair's identity is drawn by its number of pictures.
    """
    labels = integers(identities)
    generator = np.random.default_rng(seed)
    order, sizes = np.argsort(labels, kind="stable"), np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    usable = np.flatnonzero(sizes[labels] > 1)
    first = generator.choice(usable, num_mated) if len(usable) else np.zeros(0, np.int64)
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels)) - starts[labels[order]]
    shift = generator.integers(1, np.maximum(sizes[labels[first]], 2))
    second = order[starts[labels[first]] + (place[first] + shift) % sizes[labels[first]]]
    left, right = generator.integers(len(labels), size=(2, num_nonmated if len(sizes) > 1 else 0))
    different = labels[left] != labels[right]
    left, right = left[different], right[different]
    return ScoreSet(
        mated=_cosines(embeddings, first, second),
        mated_identity=labels[first],
        nonmated=_cosines(embeddings, left, right),
        nonmated_identities=np.stack([labels[left], labels[right]], axis=1),
        num_identities=len(sizes),
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
    allowed = math.floor(target_fmr * len(nonmated) + 1e-9)
    place = len(nonmated) - 1 - allowed
    # subtle: the highest score that must be refused is number `allowed`, counted from 0; the threshold is the next number above it.
    threshold = float(np.nextafter(np.partition(np.asarray(nonmated, np.float64), place)[place], np.inf))
    return Threshold(
        threshold=threshold,
        target_fmr=target_fmr,
        achieved_fmr=fmr(nonmated, threshold),
        num_comparisons=len(nonmated),
        estimable=target_fmr * len(nonmated) >= RULE_OF,
    )


def tar_at_fmr(mated: NDArray[np.floating], nonmated: NDArray[np.floating], target_fmr: float) -> float:
    """True-accept rate at the smallest threshold with FMR <= target."""
    return 1.0 - fnmr(mated, threshold_at_fmr(nonmated, target_fmr).threshold)


def equal_error_rate(mated: NDArray[np.floating], nonmated: NDArray[np.floating]) -> float:
    """Rate at which FMR and FNMR meet; the mean of both where they step past each other."""
    return weighted_eer(mated, np.ones(len(mated)), nonmated, np.ones(len(nonmated)))


def d_prime(mated: NDArray[np.floating], nonmated: NDArray[np.floating]) -> float:
    """Separation of the means in pooled standard deviations, d' = (m1 - m0) / sqrt((s1^2 + s0^2) / 2); nan below two scores of a kind."""
    if len(mated) < 2 or len(nonmated) < 2:
        return math.nan
    spread = math.sqrt((float(np.var(mated, ddof=1)) + float(np.var(nonmated, ddof=1))) / 2)
    return float(np.mean(mated) - np.mean(nonmated)) / spread if spread > 0 else math.nan


def weighted_eer(mated: NDArray[np.floating], mated_weight: NDArray[np.floating], nonmated: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
    """Equal error rate of weighted scores; nan without scores of a kind."""
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


def _cosines(embeddings: NDArray[np.floating], first: NDArray[np.int64], second: NDArray[np.int64], block: int = 65_536) -> NDArray[np.float64]:
    parts = [
        np.einsum("nd,nd->n", embeddings[first[k : k + block]], embeddings[second[k : k + block]], dtype=np.float64) for k in range(0, len(first), block)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)
