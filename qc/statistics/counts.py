"""Scores as sparse counts by identity and threshold, from which every replicate of the identity bootstrap is a few products."""

# I identities, B thresholds, R replicates, Q rows (threshold, identity) that hold a non-mated score

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import ndtr, ndtri

from qc.statistics.intervals import draws
from qc.statistics.scores import ScoreSet

MAX_THRESHOLDS = 2000
HELD_AT_ONCE = 8_000_000  # numbers of one block of replicates


@dataclass(frozen=True, kw_only=True)
class Rates:
    """FMR and FNMR at each threshold: of the scores themselves, or (R, B) of the replicates."""

    thresholds: NDArray[np.float64]  # (B,) ascending; at the last no score matches
    fmr: NDArray[np.float64]  # (B,) or (R, B), falls
    fnmr: NDArray[np.float64]  # the same shape, rises


def rates(scores: ScoreSet, thresholds: NDArray[np.float64]) -> Rates:
    """Exact rates at the thresholds."""
    misses = np.searchsorted(np.sort(scores.mated), thresholds, side="left") / len(scores.mated)
    below = np.searchsorted(np.sort(scores.nonmated), thresholds, side="left") / len(scores.nonmated)
    return Rates(thresholds=thresholds, fmr=1 - below, fnmr=misses)


def threshold_grid(scores: ScoreSet, also: tuple[float, ...] = (), max_thresholds: int = MAX_THRESHOLDS) -> NDArray[np.float64]:
    """All distinct scores where they are few, else quantiles of both kinds that are evenly spaced in probits, so that both tails are fine."""
    both = np.unique(np.concatenate([scores.mated, scores.nonmated]))
    if len(both) > max_thresholds:
        kinds = []
        for kind in (scores.mated, scores.nonmated):
            tail = max(1 / len(kind), 1e-12)
            probit = np.linspace(-_probit_limit(tail), _probit_limit(tail), max_thresholds // 2)
            kinds.append(np.quantile(kind, ndtr(probit), method="higher"))
        both = np.unique(np.concatenate([*kinds, [both[0]]]))
    top = np.nextafter(max(float(scores.mated.max()), float(scores.nonmated.max())), np.inf)
    return np.unique(np.concatenate([both, np.asarray(also, np.float64), [top]]))


def replicate_rates(scores: ScoreSet, thresholds: NDArray[np.float64], *, seed: int, replicates: int) -> Rates:
    """Rates of R replicates in which identities are drawn with replacement.

    w counts the draws of each identity. Mated scores weigh w_i, non-mated ones w_i w_j: with M the identity-by-identity counts of the scores at a
    threshold, their weight is w'Mw, and no identity is ever compared with its own second draw. Replicates without a score of a kind are left out.
    Products of draws overstate what a pair alone contributes (variance 3 where 1 is due; Owen 2007, "The pigeonhole bootstrap"), so that the
    deviations of the FMR are drawn in by `pair_correction`.
    """
    count, bins = scores.num_identities, len(thresholds) + 1
    place = np.searchsorted(thresholds, scores.mated, side="right")  # number of thresholds that the score reaches
    mated = csr_matrix((np.ones(len(place)), (place, scores.mated_identity)), shape=(bins, count))
    rows, row_identity, row_bin = _nonmated_counts(scores, thresholds, count)
    gather = csr_matrix((np.ones(len(row_bin)), (row_bin, np.arange(len(row_bin)))), shape=(bins, max(len(row_bin), 1)))
    at_once = max(1, HELD_AT_ONCE // max(len(row_bin), bins))
    matches, misses = [], []
    for block in draws(count, replicates, seed):
        for start in range(0, len(block), at_once):
            weights = np.ascontiguousarray(block[start : start + at_once].T)  # (I, r)
            of_mated = np.cumsum(mated @ weights, axis=0)  # (B + 1, r)
            products = rows @ weights
            products *= weights[row_identity]
            of_nonmated = np.cumsum(gather @ products, axis=0)
            usable = (of_mated[-1] > 0) & (of_nonmated[-1] > 0)
            misses.append((of_mated[:-1, usable] / of_mated[-1, usable]).T)
            matches.append((1 - of_nonmated[:-1, usable] / of_nonmated[-1, usable]).T)
    exact, factor = pair_correction(scores, thresholds)
    drawn = exact + factor * (np.concatenate(matches) - exact)
    return Rates(thresholds=thresholds, fmr=np.minimum.accumulate(np.clip(drawn, 0.0, 1.0), axis=1), fnmr=np.concatenate(misses))


def pair_correction(scores: ScoreSet, thresholds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """FMR at each threshold (B,), and the factor (B,) of its replicates' deviations, 0.58 .. 1.

    e_ij is an identity pair's matches less FMR times its comparisons, r_i the sum over an identity's pairs. The dyadic variance is
    sum r_i^2 - sum e_ij^2 (Fafchamps and Gubert 2007), that of the replicates sum r_i^2 + sum e_ij^2; the factor is the root of their ratio, which is
    1/3 where identities don't differ and only pairs do.
    """
    place = np.searchsorted(thresholds, scores.nonmated, side="right").astype(np.int64)
    low, high = scores.nonmated_identities.min(axis=1), scores.nonmated_identities.max(axis=1)
    pair = np.unique(low * scores.num_identities + high, return_inverse=True)[1]
    bins = len(thresholds) + 1
    matches = _reaching(place, np.ones(len(place)), bins)
    share = matches / len(place)
    by_identity = _squares(np.concatenate([place, place]), np.concatenate([low, high]), share, bins)
    by_pair = _squares(place, pair, share, bins)
    ratio = np.divide(by_identity - by_pair, by_identity + by_pair, out=np.ones(bins - 1), where=by_identity + by_pair > 1e-9)
    return share, np.sqrt(np.clip(ratio, 1 / 3, 1.0))


def _squares(place: NDArray[np.int64], group: NDArray[np.int64], share: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Sum over groups of (matches - share x comparisons)^2 at each threshold, without a table of groups by thresholds."""
    size = np.bincount(group).astype(np.float64)
    order = np.lexsort((-place, group))
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    rank = np.arange(len(place)) - starts[group[order]]  # 0 for the group's highest score
    squared = _reaching(place[order], 2 * rank + 1, bins)  # q^2 is the sum of the first q odd numbers
    mixed = _reaching(place, size[group], bins)
    return squared - 2 * share * mixed + share**2 * float((size**2).sum())


def _reaching(place: NDArray[np.int64], amount: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Sum of the amounts of scores that reach each threshold."""
    by_bin = np.bincount(place, amount, minlength=bins)
    return np.cumsum(by_bin[::-1])[::-1][1:].astype(np.float64)


def fnmr_at_fmr(found: Rates, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """FNMR at the smallest threshold whose FMR is at most each target (T,): (T,), or (R, T) of replicates."""
    matches, misses = np.atleast_2d(found.fmr), np.atleast_2d(found.fnmr)
    values = np.empty((len(matches), len(targets)))
    for row in range(len(matches)):
        # subtle: sums of weights carry rounding errors of about 1e-16, which must not move a rate past its target.
        first = np.searchsorted(-matches[row], -np.asarray(targets) - 1e-12, side="left")
        values[row] = misses[row, np.minimum(first, misses.shape[1] - 1)]
    return values if found.fmr.ndim == 2 else values[0]


def crossing(found: Rates) -> NDArray[np.float64]:
    """Equal error rate of each replicate (R,)."""
    matches, misses = np.atleast_2d(found.fmr), np.atleast_2d(found.fnmr)
    nearest = np.abs(matches - misses).argmin(axis=1)
    rows = np.arange(len(matches))
    return (matches[rows, nearest] + misses[rows, nearest]) / 2


def _nonmated_counts(
    scores: ScoreSet, thresholds: NDArray[np.float64], count: int
) -> tuple[csr_matrix, NDArray[np.int64], NDArray[np.int64]]:
    place = np.searchsorted(thresholds, scores.nonmated, side="right").astype(np.int64)
    low, high = scores.nonmated_identities.min(axis=1), scores.nonmated_identities.max(axis=1)
    row_keys, row_of = np.unique(place * count + low, return_inverse=True)
    rows = csr_matrix((np.ones(len(high)), (row_of, high)), shape=(len(row_keys), count))  # repeats are summed
    return rows, row_keys % count, row_keys // count


def _probit_limit(tail: float) -> float:
    return float(-ndtri(tail))
