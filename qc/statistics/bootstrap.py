"""Intervals of the equal error rate and of TAR at a false-match rate, with identities drawn and not pairs."""

from __future__ import annotations

import numpy as np

from qc.statistics.counts import crossing, fnmr_at_fmr, replicate_rates, threshold_grid
from qc.statistics.intervals import Interval, not_estimable, percentile_interval
from qc.statistics.scores import ScoreSet, threshold_at_fmr


def bootstrap_eer(scores: ScoreSet, *, seed: int, replicates: int = 300, level: float = 0.95) -> Interval:
    """Interval of the equal error rate."""
    if not _usable(scores):
        return not_estimable(level)
    drawn = replicate_rates(scores, threshold_grid(scores), seed=seed, replicates=replicates)
    return percentile_interval(crossing(drawn), level, scores.num_identities)


def bootstrap_tar(scores: ScoreSet, target_fmr: float, *, seed: int, replicates: int = 300, level: float = 0.95) -> Interval:
    """Interval of TAR at a false-match rate; the threshold is chosen anew in each replicate."""
    if not _usable(scores):
        return not_estimable(level)
    grid = threshold_grid(scores, (threshold_at_fmr(scores.nonmated, target_fmr).threshold,))
    drawn = replicate_rates(scores, grid, seed=seed, replicates=replicates)
    return percentile_interval(1 - fnmr_at_fmr(drawn, np.array([target_fmr]))[:, 0], level, scores.num_identities)


def _usable(scores: ScoreSet) -> bool:
    return scores.num_identities >= 2 and len(scores.mated) > 0 and len(scores.nonmated) > 0
