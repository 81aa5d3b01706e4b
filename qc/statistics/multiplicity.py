"""Many rates at once: shrunken cell rates, and flags that keep the share of false ones within a limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import binom

from qc.statistics.plain import Figures


@dataclass(frozen=True, kw_only=True)
class BetaPrior(Figures):
    """Beta distribution of the rates of cells; `strength` is how many trials the prior counts as."""

    mean: float  # 0 .. 1
    strength: float


def beta_prior(successes: NDArray[np.integer], trials: NDArray[np.integer]) -> BetaPrior:
    """Beta-binomial prior of rates by maximum likelihood over the cells with trials (empirical Bayes).

    log L = sum log B(k + a, n - k + b) - log B(a, b), with a = mean x strength and b = (1 - mean) x strength. Cells that are alike give a large
    strength, here at most 1e4. Cells with equal (k, n) are counted together, so a million cells cost as much as their distinct pairs.
    """
    tried = np.asarray(trials) > 0
    if not tried.any():
        return BetaPrior(mean=0.5, strength=0.0)
    pairs, count = np.unique(np.stack([np.asarray(successes)[tried], np.asarray(trials)[tried]], axis=1), axis=0, return_counts=True)
    k, n = pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)
    mean = float((count * k).sum() / (count * n).sum())
    if mean in (0.0, 1.0):
        return BetaPrior(mean=mean, strength=1e4)

    def loss(parameters: NDArray[np.float64]) -> float:
        share, strength = 1 / (1 + np.exp(-parameters[0])), np.exp(parameters[1])
        a, b = share * strength, (1 - share) * strength
        return float(-(count * (betaln(k + a, n - k + b) - betaln(a, b))).sum() / count.sum())

    start = np.array([np.log(mean / (1 - mean)), np.log(10.0)])
    found = minimize(loss, start, method="L-BFGS-B", bounds=[(-12, 12), (np.log(1e-2), np.log(1e4))])
    return BetaPrior(mean=float(1 / (1 + np.exp(-found.x[0]))), strength=float(np.exp(found.x[1])))


def shrunken_rates(successes: NDArray[np.integer], trials: NDArray[np.integer], prior: BetaPrior) -> NDArray[np.float64]:
    """Posterior mean of each cell's rate; nan where nothing was tried."""
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (k + prior.mean * prior.strength) / (n + prior.strength)
    return np.where(n > 0, rate, np.nan)


def binomial_p(successes: NDArray[np.integer], trials: NDArray[np.integer], rate: float) -> NDArray[np.float64]:
    """Two-sided p value of each cell against a common rate (twice the smaller tail, at most 1); nan where nothing was tried."""
    k, n = np.asarray(successes), np.asarray(trials)
    smaller = np.minimum(binom.cdf(k, n, rate), binom.sf(k - 1, n, rate))
    return np.where(n > 0, np.minimum(1.0, 2 * smaller), np.nan)


def benjamini_hochberg(p_values: NDArray[np.floating], q: float = 0.05) -> NDArray[np.bool_]:
    """True for the hypotheses to reject, with at most a share q of false ones expected; a nan is never rejected.

    Benjamini and Hochberg (1995): reject the k smallest, k the largest with p_(k) <= q k / m.
    """
    p = np.asarray(p_values, np.float64)
    known = np.flatnonzero(np.isfinite(p))
    flags = np.zeros(len(p), bool)
    ordered = known[np.argsort(p[known], kind="stable")]
    passing = np.flatnonzero(p[ordered] <= q * (np.arange(len(ordered)) + 1) / max(len(ordered), 1))
    if len(passing):
        flags[ordered[: passing[-1] + 1]] = True
    return flags
