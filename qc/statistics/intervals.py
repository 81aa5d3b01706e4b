"""Intervals that count identities and not pictures: Wilson's for independent trials, the bootstrap over identities for all else."""

# N values, I identities, G groups, R replicates

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import ndtr, ndtri, stdtrit

from manifests.errors import InputError
from qc.statistics.plain import Figures

REPLICATES = 600
BOOTSTRAP = "identity bootstrap"
TOO_FEW = "identity bootstrap, not estimable below two identities"
ON_IDENTITIES = "Wilson with identities as trials, because no replicate differs"
LINEARISED = "clustered by identity, linearised on the logit scale"
MANY_IDENTITIES = 1000  # from here on the bootstrap of a share gives the linearised interval, at a thousand times the cost
DRAWN_AT_ONCE = 4_000_000  # numbers held while identities are drawn


@dataclass(frozen=True, kw_only=True)
class Interval(Figures):
    """A confidence interval; both ends nan: not estimable, and `method` says why."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, kw_only=True)
class Proportion(Figures):
    """A share of trials with its interval; `share` nan without trials."""

    successes: int
    trials: int
    num_identities: int
    share: float  # 0 .. 1
    ci: Interval


def wilson(successes: float, trials: float, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion whose trials are independent (one picture per identity, or one identity's own pictures).

    Wilson (1927): (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"interval: got {successes} of {trials}, expected at least one trial and no more successes than trials.")
    low, high = wilson_ends(np.array([successes], np.float64), np.array([trials], np.float64), level)
    return Interval(low=float(low[0]), high=float(high[0]), level=level, method="Wilson")


def wilson_ends(successes: NDArray[Any], trials: NDArray[Any], level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of Wilson's interval for many proportions at once; 0 and 1 where there is no trial."""
    z = float(ndtri(0.5 + level / 2))
    count = np.maximum(np.asarray(trials, np.float64), 1e-12)
    share = np.asarray(successes, np.float64) / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(np.maximum(share * (1 - share), 0) / count + z * z / (4 * count * count))
    low = np.where(np.asarray(successes) == 0, 0.0, np.clip(middle - half, 0, 1))
    high = np.where(np.asarray(successes) == np.asarray(trials), 1.0, np.clip(middle + half, 0, 1))
    return low, high


def bootstrap_mean(
    values: NDArray[np.floating], identities: NDArray[Any], *, seed: int, replicates: int = REPLICATES, level: float = 0.95
) -> Interval:
    """Interval of a mean whose values come in groups: identities are drawn with replacement, each with all of its values."""
    labels = integers(identities)
    count = int(labels.max(initial=-1)) + 1
    if count < 2:
        return not_estimable(level)
    sums = np.bincount(labels, np.asarray(values, np.float64), count)
    sizes = np.bincount(labels, minlength=count)
    means = [(weights @ sums) / np.maximum(weights @ sizes, 1e-12) for weights in draws(count, replicates, seed)]
    return percentile_interval(np.concatenate(means), level, count)


def proportion(successes: NDArray[Any], identities: NDArray[Any], *, seed: int, replicates: int = REPLICATES, level: float = 0.95) -> Proportion:
    """Share of True among N trials: Wilson where each identity has one trial, else the identity bootstrap."""
    return proportions(successes, np.zeros(len(np.asarray(successes)), np.int64), 1, identities, seed=seed, replicates=replicates, level=level)[0]


def proportions(
    successes: NDArray[Any],
    groups: NDArray[np.int64],
    num_groups: int,
    identities: NDArray[Any],
    *,
    seed: int,
    replicates: int = REPLICATES,
    level: float = 0.95,
) -> list[Proportion]:
    """Share of True in each of G groups (N, 0 .. G-1) with intervals that draw identities.

    A group whose identities have one trial each, or that is one identity, gets Wilson's interval on its trials. Where all trials agree (share 0
    or 1) no replicate can differ, so Wilson's interval on the number of identities stands in; it is wider. A group of 1,000 identities or more gets
    the linearised interval: logit p +- z s, s from the identities' sums of (trial - p).
    """
    done, labels, group = np.asarray(successes, np.float64), integers(identities), np.asarray(groups, np.int64)
    count = int(labels.max(initial=-1)) + 1
    hits = csr_matrix((done, (group, labels)), shape=(num_groups, max(count, 1)))
    trials = csr_matrix((np.ones(len(done)), (group, labels)), shape=(num_groups, max(count, 1)))
    total, right, people = np.asarray(trials.sum(axis=1)).ravel(), np.asarray(hits.sum(axis=1)).ravel(), np.diff(trials.indptr)
    clustered = (people > 1) & (people < total) & (right > 0) & (right < total)
    low, high = wilson_ends(right, total, level)
    method = np.where(total > 0, "Wilson", "not estimable without trials").astype(object)
    agreed = (people > 1) & (people < total) & ~clustered
    stand_in = wilson_ends(np.where(right > 0, people, 0), people, level)
    low, high = np.where(agreed, stand_in[0], low), np.where(agreed, stand_in[1], high)
    method[agreed] = ON_IDENTITIES
    many = clustered & (people >= MANY_IDENTITIES)
    ends = _linearised(hits, trials, right, total, level)
    low, high = np.where(many, ends[0], low), np.where(many, ends[1], high)
    method[many] = LINEARISED
    chosen = np.flatnonzero(clustered & ~many)
    if len(chosen):
        few_hits, few_trials = hits[chosen], trials[chosen]
        shares = []
        for weights in draws(count, replicates, seed):
            drawn = few_trials @ weights.T  # (G, R)
            shares.append(np.where(drawn > 0, (few_hits @ weights.T) / np.maximum(drawn, 1e-12), np.nan))
        for place, row in zip(chosen, np.concatenate(shares, axis=1), strict=True):
            found = percentile_interval(row[np.isfinite(row)], level, int(people[place]))
            low[place], high[place], method[place] = found.low, found.high, found.method
    return [
        Proportion(
            successes=int(right[g]),
            trials=int(total[g]),
            num_identities=int(people[g]),
            share=float(right[g] / total[g]) if total[g] else math.nan,
            ci=Interval(low=float(low[g]) if total[g] else math.nan, high=float(high[g]) if total[g] else math.nan, level=level, method=str(method[g])),
        )
        for g in range(num_groups)
    ]


def _linearised(
    hits: csr_matrix, trials: csr_matrix, right: NDArray[np.float64], total: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the intervals of ratios of sums over identities, by their influence (hits_i - p trials_i) / n (Woodruff 1971)."""
    share = right / np.maximum(total, 1)
    squares = hits.multiply(hits).sum(axis=1), hits.multiply(trials).sum(axis=1), trials.multiply(trials).sum(axis=1)
    of_hits, mixed, of_trials = (np.asarray(part).ravel() for part in squares)
    error = np.sqrt(np.maximum(of_hits - 2 * share * mixed + share**2 * of_trials, 0)) / np.maximum(total, 1)
    inner = np.clip(share, 1e-12, 1 - 1e-12)
    middle, half = np.log(inner / (1 - inner)), float(ndtri(0.5 + level / 2)) * error / (inner * (1 - inner))
    return 1 / (1 + np.exp(half - middle)), 1 / (1 + np.exp(-half - middle))


def draws(count: int, replicates: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each of `count` identities is drawn, in blocks (r, count) of the R replicates; memory is bounded."""
    generator = np.random.default_rng(seed)
    at_once = max(1, min(replicates, DRAWN_AT_ONCE // max(count, 1)))
    for start in range(0, replicates, at_once):
        rows = min(at_once, replicates - start)
        drawn = generator.integers(count, size=(rows, count)) + (np.arange(rows) * count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def percentile_interval(values: NDArray[np.floating], level: float, num_identities: int) -> Interval:
    """Expanded percentile interval of bootstrap replicates.

    Percentiles alone are too narrow for few identities; as Hesterberg (2015, The American Statistician 69, section 5.3) does, the tails are
    Phi(-sqrt(n / (n - 1)) t), with t the quantile of Student's distribution for n - 1 degrees of freedom.
    """
    if num_identities < 2 or not len(values):
        return not_estimable(level)
    tail = float(expanded_tail(level, num_identities))
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(low=float(low), high=float(high), level=level, method=BOOTSTRAP)


def expanded_tail(level: float, num_identities: int) -> float:
    """Share of replicates to leave out at each end."""
    student = stdtrit(num_identities - 1, 0.5 + level / 2)
    return float(ndtr(-math.sqrt(num_identities / (num_identities - 1)) * student))


def not_estimable(level: float, method: str = TOO_FEW) -> Interval:
    """The interval of what can't be estimated."""
    return Interval(low=math.nan, high=math.nan, level=level, method=method)


def integers(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Labels of any kind as 0 .. I-1 in sorted order."""
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64).reshape(-1)
