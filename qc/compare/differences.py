"""The difference of one figure between two runs, with an interval and a p value that count identities and not pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from qc.statistics.intervals import draws
from qc.statistics.plain import Figures

LEVEL = 0.95
REPLICATES = 1000
LINEARISED_FROM = 2000  # identities; beyond, the sandwich has the bootstrap's spread at a thousandth of its cost
BOOTSTRAP = "identity bootstrap of the difference, the same draw for both runs; Student's t"
SANDWICH = "clustered by identity over both runs, linearised; Student's t"
NORMAL = "normal approximation from the two reports' intervals, as if the runs were independent"
SIGN = "no identity varies within a run; sign test over identities"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One figure of one run, picture by picture; its value is their mean."""

    values: NDArray[np.float64]  # (N,) finite
    identities: NDArray[Any]  # (N,) identity ids


@dataclass(frozen=True, kw_only=True)
class Difference(Figures):
    """B minus A. None: not estimable."""

    a: float | None
    b: float | None
    value: float | None
    low: float | None
    high: float | None
    p: float | None  # two-sided
    n_a: int
    n_b: int
    shared_identities: int | None  # that both runs have; None: known from reports only
    method: str


def difference(a: Samples, b: Samples, *, seed: int = 0, replicates: int = REPLICATES) -> Difference:
    """Mean of b minus mean of a. Identities are drawn with replacement, and one that both runs have enters both with the same weight.

    So whatever the runs share cancels: the identity, and where they fill the same slots (same manifest), the slot with its background and request too,
    because an identity's sum over its slots carries what the slots have in common. Runs without a common identity are compared as independent ones.
    """
    names, labels = np.unique(np.concatenate([np.asarray(a.identities, str), np.asarray(b.identities, str)]), return_inverse=True)
    count, split = len(names), len(a.values)
    sums, sizes = np.zeros((2, count)), np.zeros((2, count))
    for run, (values, its) in enumerate(((a.values, labels[:split]), (b.values, labels[split:]))):
        sums[run], sizes[run] = np.bincount(its, values, count), np.bincount(its, minlength=count)
    have = sizes > 0
    shared, people = int((have[0] & have[1]).sum()), int(have.sum(axis=1).min(initial=count))
    if not len(a.values) or not len(b.values):
        return _unknown(_mean(a.values), _mean(b.values), len(a.values), len(b.values), shared, "not measured in both runs")
    means = sums.sum(axis=1) / sizes.sum(axis=1)
    value = float(means[1] - means[0])
    if people < 2:
        return _unknown(float(means[0]), float(means[1]), len(a.values), len(b.values), shared, "not estimable below two identities")
    if count >= LINEARISED_FROM:
        influence = (sums[1] - means[1] * sizes[1]) / sizes[1].sum() - (sums[0] - means[0] * sizes[0]) / sizes[0].sum()
        spread, method = math.sqrt(float((influence**2).sum()) * count / (count - 1)), SANDWICH
    else:
        spread, method = _bootstrap_sd(sums, sizes, seed, replicates), BOOTSTRAP
    if spread < 1e-12:
        p = 1.0 if abs(value) < 1e-12 else 2.0 ** (1 - people)
        return Difference(a=float(means[0]), b=float(means[1]), value=value, low=None, high=None, p=p, n_a=len(a.values), n_b=len(b.values),
                          shared_identities=shared, method=SIGN)  # fmt: skip
    half = float(stdtrit(people - 1, 0.5 + LEVEL / 2)) * spread
    return Difference(
        a=float(means[0]),
        b=float(means[1]),
        value=value,
        low=value - half,
        high=value + half,
        p=float(2 * stdtr(people - 1, -abs(value) / spread)),
        n_a=len(a.values),
        n_b=len(b.values),
        shared_identities=shared,
        method=method,
    )


def difference_of_metrics(a: Mapping[str, Any], b: Mapping[str, Any]) -> Difference:
    """From two metric objects of reports alone: standard errors are the half widths of their intervals over the normal quantile."""
    errors = [_standard_error(each.get("ci")) for each in (a, b)]
    n_a, n_b = int(a.get("n") or 0), int(b.get("n") or 0)
    if a["value"] is None or b["value"] is None:
        return _unknown(a["value"], b["value"], n_a, n_b, None, "not measured in both runs")
    value = float(b["value"]) - float(a["value"])
    if errors[0] is None or errors[1] is None:
        found = _unknown(float(a["value"]), float(b["value"]), n_a, n_b, None, "a report has no interval, so only the values are shown")
        return Difference(**{**vars(found), "value": value})
    spread = math.hypot(errors[0], errors[1])
    half = float(ndtri(0.5 + LEVEL / 2)) * spread
    p = (1.0 if value == 0 else 0.0) if spread == 0 else float(2 * ndtr(-abs(value) / spread))
    return Difference(a=float(a["value"]), b=float(b["value"]), value=value, low=value - half, high=value + half, p=p, n_a=n_a, n_b=n_b,
                      shared_identities=None, method=NORMAL)  # fmt: skip


def _bootstrap_sd(sums: NDArray[np.float64], sizes: NDArray[np.float64], seed: int, replicates: int) -> float:
    found = []
    for weights in draws(sums.shape[1], replicates, seed):
        totals = weights @ sizes.T  # (R, 2)
        usable = (totals > 0).all(axis=1)
        means = (weights[usable] @ sums.T) / totals[usable]
        found.append(means[:, 1] - means[:, 0])
    values = np.concatenate(found)
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _standard_error(ci: Mapping[str, Any] | None) -> float | None:
    low, high = (ci or {}).get("lo"), (ci or {}).get("hi")
    if ci is None or low is None or high is None:
        return None
    return float(high - low) / 2 / float(ndtri(0.5 + (ci.get("level") or LEVEL) / 2))


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _unknown(a: float | None, b: float | None, n_a: int, n_b: int, shared: int | None, method: str) -> Difference:
    return Difference(a=a, b=b, value=None, low=None, high=None, p=None, n_a=n_a, n_b=n_b, shared_identities=shared, method=method)
