"""Labels that can't be right: classes swapped or mistaken for each other, and classes that contradict their valence and arousal."""

# N pictures, K classes

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.special import stdtr

from manifests.errors import InputError
from manifests.vocabulary import AFFECTNET8
from qc.statistics.intervals import integers
from qc.statistics.multiplicity import benjamini_hochberg
from qc.statistics.plain import Figures

Q = 0.05
SURE = 0.1  # quantile of the probabilities of pictures that are seen as asked


@dataclass(frozen=True, kw_only=True)
class Suspect(Figures):
    """A picture that confidently shows another class than its label's."""

    picture: int  # place in the input
    asked: str
    seen: str
    probability: float  # of the seen class
    probability_asked: float


@dataclass(frozen=True, kw_only=True)
class SwappedPair(Figures):
    """Two classes whose labels, exchanged, would agree better."""

    first: str
    second: str
    agree: int  # pictures of both classes that are seen as asked
    exchanged: int  # seen as the other one
    p_value: float  # one-sided, clustered by identity; nan below two identities
    flagged: bool  # exchanged > agree and Benjamini-Hochberg over all pairs, q = 0.05


@dataclass(frozen=True, kw_only=True)
class LabelFaults(Figures):
    """Labels in doubt."""

    n: int
    num_suspects: int
    suspects: tuple[Suspect, ...]  # most certain first
    pairs: tuple[SwappedPair, ...]  # all K (K - 1) / 2 with pictures; smallest p first
    best_order: tuple[str, ...]  # class that pictures labelled as classes[k] are best taken for
    order_is_right: bool  # best_order is the classes themselves


@dataclass(frozen=True, kw_only=True)
class Coherence(Figures):
    """Labels of one class against the region of valence and arousal that the class has."""

    name: str
    n: int
    coherent: int
    share: float  # nan without pictures


def label_faults(
    asked: NDArray[np.integer], probabilities: NDArray[np.floating], identities: NDArray[Any], *, classes: Sequence[str], top: int = 200
) -> LabelFaults:
    """Suspicious labels among N asked-for classes (below 0: none) by a classifier's probabilities (N, K).

    Single pictures, after confident learning (Northcutt et al. 2021): a picture is suspect when another class is most probable, as probable as in nine
    of ten pictures that are seen as asked in that class, and its own class is less probable than in nine of ten of its own. (Their thresholds are
    means, which miss about every third exchanged label here.) A classifier that errs surely gives false suspects, so the list is for eyes.
    Pairs of classes: +1 for a picture seen as the other, -1 for one seen as asked; the sum's t over identities. Order: the assignment with the most
    agreement, which finds vocabularies in another order.
    """
    count = len(classes)
    wanted, scores = np.asarray(asked), np.asarray(probabilities, np.float64)
    if scores.shape != (len(wanted), count):
        raise InputError(f"labels: probabilities are {scores.shape} for {len(wanted)} pictures and {count} classes.")
    places = np.flatnonzero((wanted >= 0) & np.isfinite(scores).all(axis=1))
    wanted, scores, people = wanted[places].astype(np.int64), scores[places], integers(np.asarray(identities)[places])
    seen = scores.argmax(axis=1) if len(places) else np.zeros(0, np.int64)
    own = scores[np.arange(len(wanted)), wanted]
    threshold = np.full(count, 1 / count)
    for k in range(count):
        right = own[(wanted == k) & (seen == k)]
        threshold[k] = np.quantile(right, SURE) if len(right) else 1 / count
    highest = scores.max(axis=1, initial=0.0)
    doubted = np.flatnonzero((seen != wanted) & (highest >= threshold[seen]) & (own < threshold[wanted]))
    doubted = doubted[np.argsort(own[doubted] - highest[doubted], kind="stable")]
    table = np.bincount(wanted * count + seen, minlength=count * count).reshape(count, count)
    best = linear_sum_assignment(-table - 1e-6 * np.eye(count))[1]
    present = (table.sum(axis=1) > 0) | (best == np.arange(count))
    return LabelFaults(
        n=len(wanted),
        num_suspects=len(doubted),
        suspects=tuple(
            Suspect(
                picture=int(places[k]), asked=classes[wanted[k]], seen=classes[seen[k]], probability=float(highest[k]), probability_asked=float(own[k])
            )
            for k in doubted[:top]
        ),
        pairs=_pairs(wanted, seen, people, classes, table),
        best_order=tuple(classes[best[k]] if present[k] else classes[k] for k in range(count)),
        order_is_right=bool((best == np.arange(count))[table.sum(axis=1) > 0].all()),
    )


def coherence(classes_of: Sequence[str | None], valence: NDArray[np.floating], arousal: NDArray[np.floating]) -> tuple[Coherence, ...]:
    """Coherence of AffectNet classes with valence and arousal (N, -1 .. 1), by class; None and nan are left out."""
    names = np.array([name or "" for name in classes_of], object)
    v, a = np.asarray(valence, np.float64), np.asarray(arousal, np.float64)
    found = []
    for name in AFFECTNET8:
        of = (names == name) & np.isfinite(v) & np.isfinite(a)
        inside = int(in_region(name, v[of], a[of]).sum())
        n = int(of.sum())
        found.append(Coherence(name=name, n=n, coherent=inside, share=inside / n if n else math.nan))
    return tuple(found)


def in_region(name: str, valence: NDArray[np.floating], arousal: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether valence and arousal fit an AffectNet class, by the rules with which Toisoul et al. 2021 (EmoNet) cleaned AffectNet."""
    v, a = np.asarray(valence), np.asarray(arousal)
    radius = np.hypot(v, a)
    regions = {
        "neutral": radius < 0.2,
        "happiness": (v > 0) & (radius > 0.2),
        "sadness": v < 0,
        "surprise": a > 0,
        "fear": (a >= 0) & (v <= 0),
        "disgust": (v < 0) & (radius > 0.3),
        "anger": a > 0,
        "contempt": v < 0,
    }
    if name not in regions:
        raise InputError(f'labels: "{name}" is no AffectNet class; expected one of {", ".join(AFFECTNET8)}.')
    return regions[name]


def _pairs(
    wanted: NDArray[np.int64], seen: NDArray[np.int64], people: NDArray[np.int64], classes: Sequence[str], table: NDArray[np.int64]
) -> tuple[SwappedPair, ...]:
    count = len(classes)
    first, second = np.triu_indices(count, k=1)
    number = np.zeros((count, count), np.int64)
    number[first, second] = number[second, first] = np.arange(len(first))
    vote, pair, owner = [], [], []
    for other in range(count):
        # each picture speaks on the pairs of its own class: seen as the other one, or as asked
        of = (wanted != other) & ((seen == other) | (seen == wanted))
        vote.append(np.where(seen[of] == other, 1.0, -1.0))
        pair.append(number[wanted[of], other])
        owner.append(people[of])
    votes = csr_matrix((np.concatenate(vote), (np.concatenate(pair), np.concatenate(owner))), shape=(len(first), int(people.max(initial=0)) + 1))
    total, squares = np.asarray(votes.sum(axis=1)).ravel(), np.asarray(votes.multiply(votes).sum(axis=1)).ravel()
    identities = np.diff(votes.indptr)
    p_values = np.where(identities > 1, stdtr(np.maximum(identities - 1, 1), -total / np.sqrt(np.maximum(squares, 1e-12))), np.nan)
    flags = benjamini_hochberg(p_values, Q) & (total > 0)
    found = [
        SwappedPair(
            first=classes[i],
            second=classes[j],
            agree=int(table[i, i] + table[j, j]),
            exchanged=int(table[i, j] + table[j, i]),
            p_value=float(p_values[k]),
            flagged=bool(flags[k]),
        )
        for k, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True))
        if table[i].sum() and table[j].sum()
    ]
    return tuple(sorted(found, key=lambda row: (row.p_value if math.isfinite(row.p_value) else 2.0, row.first, row.second)))
