"""How evenly labels and groups are filled, what filtering did to them, and who is rejected more often."""

# N rows, K classes

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.statistics.intervals import REPLICATES, Proportion, integers, proportions
from qc.statistics.plain import Figures


@dataclass(frozen=True, kw_only=True)
class LabelBalance(Figures):
    """One label before and after filtering: before are all asked-for or tried rows, after the accepted ones."""

    name: str  # a label, or labels joined by " x "
    classes: tuple[str, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    entropy_ratio_before: float  # H / log K: 1 even, 0 one class; nan without rows or below two classes
    entropy_ratio_after: float
    min_max_before: float  # rows of the rarest class / of the commonest; 0: a class is empty; nan without rows
    min_max_after: float
    drift_bits: float  # Jensen-Shannon divergence of the two distributions, 0 .. 1; nan where one is empty


@dataclass(frozen=True, kw_only=True)
class Stratum(Figures):
    """Rows of one value of a label or group."""

    key: str
    retention: Proportion  # accepted / tried
    rejection: Proportion  # rejected / tried


@dataclass(frozen=True, kw_only=True)
class Retention(Figures):
    """Who stays after filtering."""

    name: str
    strata: tuple[Stratum, ...]
    max_to_geomean: float  # highest rejection rate / geometric mean of all; 1 is equal; nan: a stratum rejects nothing, or there are fewer than two
    lowest: str | None  # stratum that keeps least
    effective_sample_size: float  # of the accepted, weighted back to the strata's shares before filtering; nan: a stratum kept nothing
    effective_share: float  # of the accepted


def label_balance(name: str, before: NDArray[Any], after: NDArray[Any], classes: Sequence[str] | None = None) -> LabelBalance:
    """Distribution of a label before and after filtering.

    classes  all classes that were asked for, so that empty ones count; None: those that occur
    """
    first, second = pd.Series(np.asarray(before, object)).astype(str), pd.Series(np.asarray(after, object)).astype(str)
    names = tuple(classes) if classes is not None else tuple(sorted(set(first.unique()) | set(second.unique())))
    unknown = (set(first.unique()) | set(second.unique())) - set(names)
    if unknown:
        raise InputError(f'balance: "{min(unknown)}" of label {name} is none of its classes {", ".join(names[:12])}.')
    counts = [series.value_counts().reindex(list(names), fill_value=0).to_numpy(np.int64) for series in (first, second)]
    return LabelBalance(
        name=name,
        classes=names,
        before=tuple(counts[0].tolist()),
        after=tuple(counts[1].tolist()),
        entropy_ratio_before=entropy_ratio(counts[0]),
        entropy_ratio_after=entropy_ratio(counts[1]),
        min_max_before=_min_max(counts[0]),
        min_max_after=_min_max(counts[1]),
        drift_bits=jensen_shannon_bits(counts[0], counts[1]),
    )


def intersection(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[Any]:
    """Values of several columns joined by " x ", one text a row: a label like any other."""
    joined = frame[columns[0]].astype(str)
    for column in columns[1:]:
        joined = joined.str.cat(frame[column].astype(str), sep=" x ")
    return joined.to_numpy(object)


def retention(
    name: str, strata: NDArray[Any], accepted: NDArray[np.bool_], identities: NDArray[Any], *, seed: int, replicates: int = REPLICATES
) -> Retention:
    """Kept and rejected shares of each stratum among N tried rows, with intervals that draw identities.

    max / geometric mean is the differential that NIST's FRVT part 8 favours. The effective sample size is (sum w)^2 / sum w^2 with weights
    w = share before / share after: what is left of the accepted for an estimate about the asked-for distribution (Kish 1965).
    """
    keys = np.unique(np.asarray(strata, object).astype(str))
    group = integers(np.asarray(strata, object).astype(str))
    kept = np.asarray(accepted, bool)
    stays = proportions(kept, group, len(keys), identities, seed=seed, replicates=replicates)
    goes = [_complement(share) for share in stays]
    rejected = np.array([share.share for share in goes])
    tried, left = np.bincount(group, minlength=len(keys)), np.bincount(group[kept], minlength=len(keys))
    size = math.nan
    if len(keys) and (left > 0).all():
        weight = (tried / tried.sum()) / (left / left.sum())
        size = float((left * weight).sum() ** 2 / (left * weight**2).sum())
    return Retention(
        name=name,
        strata=tuple(Stratum(key=str(key), retention=stay, rejection=go) for key, stay, go in zip(keys, stays, goes, strict=True)),
        max_to_geomean=max_to_geomean(rejected),
        lowest=str(keys[int(np.argmax(rejected))]) if len(keys) else None,
        effective_sample_size=size,
        effective_share=float(size / left.sum()) if left.sum() else math.nan,
    )


def entropy_ratio(counts: NDArray[np.integer]) -> float:
    """Shannon entropy over that of an even distribution, H / log K; nan without rows or below two classes."""
    total = counts.sum()
    if total == 0 or len(counts) < 2:
        return math.nan
    share = counts[counts > 0] / total
    return max(0.0, float(-(share * np.log(share)).sum() / math.log(len(counts))))


def jensen_shannon_bits(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Jensen-Shannon divergence of two counts over the same classes in bits, 0 equal .. 1 disjoint; nan where one is empty."""
    if not first.sum() or not second.sum():
        return math.nan
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    parts = [float((share[share > 0] * np.log2(share[share > 0] / middle[share > 0])).sum()) for share in (p, q)]
    return max(0.0, sum(parts) / 2)


def max_to_geomean(rates: NDArray[np.floating]) -> float:
    """Highest rate over the geometric mean of all; nan where a rate is 0 or unknown, or below two rates."""
    known = np.asarray(rates, np.float64)
    if len(known) < 2 or not np.isfinite(known).all() or (known <= 0).any():
        return math.nan
    return float(known.max() / np.exp(np.log(known).mean()))


def _complement(share: Proportion) -> Proportion:
    interval = dataclasses.replace(share.ci, low=1 - share.ci.high, high=1 - share.ci.low)
    return dataclasses.replace(share, successes=share.trials - share.successes, share=1 - share.share, ci=interval)


def _min_max(counts: NDArray[np.integer]) -> float:
    return float(counts.min() / counts.max()) if len(counts) and counts.max() > 0 else math.nan
