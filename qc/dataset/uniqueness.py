"""Are the identities different people? Pairs of their centres that match, against the number that chance alone would give."""

# I identities, D width of an embedding

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.statistics.intervals import integers
from qc.statistics.plain import Figures

BLOCK = 2048
BINS = np.linspace(-1, 1, 101)


@dataclass(frozen=True, kw_only=True)
class CosinePair(Figures):
    """Two rows, by their places in the input, and their cosine."""

    a: int
    b: int
    cosine: float


@dataclass(frozen=True, kw_only=True)
class Uniqueness(Figures):
    """Matching pairs of identity centres."""

    num_identities: int
    num_pairs: int  # I (I - 1) / 2
    threshold: float  # cosine; a pair matches at or above
    fmr: float | None  # false-match rate of the threshold; None: not known
    observed: int  # pairs that match
    expected: float | None  # I (I - 1) / 2 x FMR, what as many different people would give
    ratio: float | None  # observed / expected; None without an expectation
    num_unique: int  # identities left when each one that matches an earlier kept one is dropped
    max_cosine: float  # nan below two identities
    histogram: tuple[int, ...]  # pairs by cosine
    edges: tuple[float, ...]
    pairs: tuple[CosinePair, ...]  # the closest, matching or not


def identity_centres(embeddings: NDArray[np.floating], identities: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Mean direction of each identity's unit embeddings (N, D): (I, D) of unit length, and the identities in that order."""
    names = np.unique(np.asarray(identities))
    labels = integers(identities)
    sums = np.zeros((len(names), np.shape(embeddings)[1]))
    np.add.at(sums, labels, np.asarray(embeddings, np.float64))
    return unit_rows(sums), names


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of unit length; rows of zeros stay."""
    rows = np.asarray(vectors, np.float64)
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def uniqueness(centres: NDArray[np.floating], *, threshold: float, fmr: float | None, top: int = 50, block: int = BLOCK) -> Uniqueness:
    """All pairs of I centres (I, D) in blocks; memory is bounded by block x I.

    fmr  of `threshold` for single pictures or, better, for centres; with I identities chance gives I (I - 1) / 2 x FMR matching pairs, so a count of
    "duplicates" without it says nothing. The greedy count keeps an identity when it matches none that was kept before (as Vec2Face samples do).
    """
    rows = np.ascontiguousarray(centres, np.float32)
    if rows.ndim != 2 or (len(rows) and np.abs(np.linalg.norm(rows, axis=1) - 1).max() > 1e-2):
        raise InputError(f"uniqueness: centres are {rows.shape} and not of unit length, expected unit rows (I, D). Normalise them.")
    count, observed, best = len(rows), 0, math.nan
    kept = np.zeros(count, bool)
    histogram = np.zeros(len(BINS) - 1, np.int64)
    pairs = TopPairs(top)
    for start in range(0, count, block):
        stop = min(start + block, count)
        cosines = rows[start:stop] @ rows[:stop].T  # (b, stop)
        earlier = np.arange(stop)[None, :] < np.arange(start, stop)[:, None]
        values = cosines[earlier]
        observed += int((values >= threshold).sum())
        histogram += np.histogram(np.clip(values, -1, 1), BINS)[0]
        if len(values):
            best = float(np.nanmax([best, values.max()]))
        pairs.offer(np.where(earlier, cosines, -np.inf), start, 0)
        matching = (cosines >= threshold) & earlier
        free = ~(matching[:, :start] & kept[:start]).any(axis=1)
        for row in np.flatnonzero(free):
            kept[start + row] = not (matching[row, start:] & kept[start:stop]).any()
    num_pairs = count * (count - 1) // 2
    expected = None if fmr is None else num_pairs * fmr
    return Uniqueness(
        num_identities=count,
        num_pairs=num_pairs,
        threshold=threshold,
        fmr=fmr,
        observed=observed,
        expected=expected,
        ratio=observed / expected if expected else None,
        num_unique=int(kept.sum()),
        max_cosine=best,
        histogram=tuple(histogram.tolist()),
        edges=tuple(BINS.round(4).tolist()),
        pairs=pairs.found(),
    )


class TopPairs:
    """Collects the highest of many blocks of cosines."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._cosines = np.zeros(0)
        self._places = np.zeros((0, 2), np.int64)

    def offer(self, cosines: NDArray[np.floating], first_row: int, first_column: int) -> None:
        """A block of cosines; -inf for pairs that don't count."""
        flat = cosines.ravel()
        take = min(self._top, len(flat))
        if not take:
            return
        chosen = np.argpartition(flat, len(flat) - take)[len(flat) - take :]
        chosen = chosen[np.isfinite(flat[chosen])]
        row, column = np.divmod(chosen, cosines.shape[1])
        places = np.stack([row + first_row, column + first_column], axis=1)
        self._cosines, self._places = np.concatenate([self._cosines, flat[chosen]]), np.concatenate([self._places, places])
        order = np.lexsort((self._places[:, 1], self._places[:, 0], -self._cosines))[: self._top]
        self._cosines, self._places = self._cosines[order], self._places[order]

    def found(self) -> tuple[CosinePair, ...]:
        """The highest pairs, highest first."""
        rows: Sequence[Any] = list(zip(self._places.tolist(), self._cosines.tolist(), strict=True))
        return tuple(CosinePair(a=min(a, b), b=max(a, b), cosine=round(float(cosine), 6)) for (a, b), cosine in rows)
