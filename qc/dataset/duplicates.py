"""The same picture twice: equal bytes, equal pixels, re-encodings by perceptual hash, and near copies by features of pixels."""

# N pictures, F width of a feature

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from manifests.errors import InputError
from qc.dataset.hashes import MAX_CANDIDATES, close_pairs, hamming
from qc.dataset.uniqueness import unit_rows
from qc.statistics.intervals import integers
from qc.statistics.plain import Figures

Kind = Literal["file", "pixels", "perceptual", "features"]

# Measured on 111 pictures of the demo (128 px): JPEG of quality 30 to 95 and resizing by half or to 300 px moved 0 to 4 bits; pictures of different scenes
# differ in 8 or more. Two attempts at one slot differ in 4 bits or fewer in 8 % of pairs, so pairs by hash are candidates until features confirm them.
HASH_LIMIT = 4
# Cosine of pixel features: the re-encodings above from quality 50 on had .9957 and more, two attempts at one slot .981 and less.
FEATURE_LIMIT = 0.995
MAX_PAIRS = 2_000_000
FEATURES = "pixels16_v1"


@dataclass(frozen=True, kw_only=True)
class DuplicatePair(Figures):
    """Two pictures by their places in the input."""

    a: int
    b: int
    distance: float  # different bits (perceptual), 1 - cosine (features), 0 (file, pixels)


@dataclass(frozen=True, kw_only=True)
class Cluster(Figures):
    """Pictures that are joined by pairs; not each two of them need be close."""

    members: tuple[int, ...]
    splits: tuple[str, ...]  # more than one: a hard fault, what is tested was trained on


@dataclass(frozen=True, kw_only=True)
class Duplicates(Figures):
    """Clusters of one kind."""

    kind: Kind
    feature: str  # what was compared, with its version
    limit: float  # largest distance that counts
    num_pictures: int
    num_clusters: int
    num_in_clusters: int  # pictures
    num_surplus: int  # pictures to drop so that none is left twice
    num_across_splits: int  # clusters in more than one split
    confirmed: bool  # False: pairs by hash alone, which pictures of one scene may form without being copies
    complete: bool  # False: more candidates than are compared; counts are lower bounds
    clusters: tuple[Cluster, ...]  # those across splits first, then the largest
    pairs: tuple[DuplicatePair, ...]  # closest first


def exact_duplicates(
    digests: Sequence[str] | NDArray[Any], *, kind: Literal["file", "pixels"], splits: Sequence[str] | None = None, top: int = 50
) -> Duplicates:
    """Clusters of equal sha256 digests (N,), of files or of decoded pixels."""
    labels = integers(np.asarray(digests))
    order = np.argsort(labels, kind="stable")
    same = labels[order][1:] == labels[order][:-1]
    return _clusters(kind, "sha256", 0.0, len(labels), order[:-1][same], order[1:][same], np.zeros(int(same.sum())), splits, top, complete=True, confirmed=True)


def perceptual_candidates(hashes: NDArray[np.uint64], *, limit: int = HASH_LIMIT, max_candidates: int = MAX_CANDIDATES) -> NDArray[np.int64]:
    """Places, in order, of the pictures that have another within `limit` bits: those whose pixels are worth reading."""
    near = close_pairs(np.asarray(hashes, np.uint64), limit, max_candidates=max_candidates)
    return np.unique(np.concatenate([near.first, near.second]))


def perceptual_duplicates(
    hashes: NDArray[np.uint64],
    *,
    limit: int = HASH_LIMIT,
    places: NDArray[np.int64] | None = None,
    features: NDArray[np.floating] | None = None,
    splits: Sequence[str] | None = None,
    top: int = 50,
    max_candidates: int = MAX_CANDIDATES,
) -> Duplicates:
    """Clusters of hashes (N,) of `phash64` within `limit` bits: re-encodings and resizes, nothing more.

    places, features  (C,), (C, F) `perceptual_candidates` and their `pixel_features`: pairs then also need a cosine of FEATURE_LIMIT. Candidates that
                      are joined by hashes are compared each with each; without features every pair by hash counts and `confirmed` is False.
    """
    values = np.asarray(hashes, np.uint64)
    near = close_pairs(values, limit, max_candidates=max_candidates)
    first, second, distance, complete = near.first, near.second, near.distance, near.complete
    if features is not None and places is not None:
        joined = connected_components(coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(len(values), len(values))), directed=False)[1]
        one, other, _, whole = _feature_pairs(features, joined[places], FEATURE_LIMIT, 2048)
        first, second, complete = places[one], places[other], complete and whole
        distance = hamming(values[first], values[second])
    name = "phash64 of 32 x 32 px" if features is None else f"phash64 of 32 x 32 px, confirmed by {FEATURES}"
    confirmed = features is not None
    return _clusters("perceptual", name, limit, len(values), first, second, distance, splits, top, complete=complete, confirmed=confirmed)


def feature_duplicates(
    features: NDArray[np.floating],
    *,
    within: NDArray[Any] | None = None,
    limit: float = FEATURE_LIMIT,
    name: str = FEATURES,
    splits: Sequence[str] | None = None,
    top: int = 50,
    block: int = 2048,
) -> Duplicates:
    """Clusters of features (N, F) whose cosine is at least `limit`; a feature that knows people would find people, so use `pixel_features`.

    within  (N,) only pictures with the same value are compared (their scene, say); None: all pairs, N^2 F / 2 multiplications in blocks
    """
    labels = np.zeros(len(features), np.int64) if within is None else integers(within)
    first, second, distance, complete = _feature_pairs(features, labels, limit, block)
    return _clusters("features", name, 1 - limit, len(labels), first, second, distance, splits, top, complete=complete, confirmed=True)


def pixel_features(images_rgb: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], side: int = 16) -> NDArray[np.float32]:
    """Features "pixels16_v1" (N, 3 side^2): colours at side x side px by area, less each picture's mean, at unit length.

    They follow layout and colour and know nothing of identity; brightness and contrast drop out.
    """
    rows = [cv2.resize(np.ascontiguousarray(image), (side, side), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1) for image in images_rgb]
    if not rows:
        return np.zeros((0, 3 * side * side), np.float32)
    stacked = np.stack(rows)
    return unit_rows(stacked - stacked.mean(axis=1, keepdims=True))


def pca_features(features: NDArray[np.floating], width: int = 64) -> NDArray[np.float32]:
    """Coordinates (N, width) along the directions of largest variance; name them after their source, "pixels16_pca64_v1"."""
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0)
    if len(centred) < 2:
        raise InputError(f"features: {len(centred)} rows give no directions, expected two or more.")
    _, directions = np.linalg.eigh(centred.T @ centred)
    return (centred @ directions[:, ::-1][:, : min(width, centred.shape[1])]).astype(np.float32)


def _feature_pairs(
    features: NDArray[np.floating], labels: NDArray[np.int64], limit: float, block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], bool]:
    """Pairs of equal label whose cosine is at least `limit`, their 1 - cosine, and whether all of them fitted."""
    rows = unit_rows(features)
    order = np.argsort(labels, kind="stable")
    bounds = np.flatnonzero(np.diff(labels[order], prepend=-1, append=-1)) if len(order) else np.zeros(1, np.int64)
    first, second, distance = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    held, complete = 0, True
    for begin, end in itertools.pairwise(bounds):
        members = order[begin:end]
        for start in range(0, len(members) if len(members) > 1 else 0, block):
            own, before = members[start : start + block], members[: start + block]
            cosines = rows[own] @ rows[before].T
            row, column = np.nonzero((cosines >= limit) & (np.arange(len(before))[None, :] < (start + np.arange(len(own)))[:, None]))
            if held + len(row) > MAX_PAIRS:
                row, column, complete = row[: MAX_PAIRS - held], column[: MAX_PAIRS - held], False
            held += len(row)
            first.append(before[column])
            second.append(own[row])
            distance.append(1 - cosines[row, column].astype(np.float64))
    return np.concatenate(first), np.concatenate(second), np.concatenate(distance), complete


def _clusters(
    kind: Kind,
    feature: str,
    limit: float,
    count: int,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    distance: NDArray[Any],
    splits: Sequence[str] | None,
    top: int,
    *,
    complete: bool,
    confirmed: bool,
) -> Duplicates:
    if splits is not None and len(splits) != count:
        raise InputError(f"duplicates: got {count} pictures and {len(splits)} splits, expected one split each.")
    graph = coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1] if count else np.zeros(0, np.int64)
    sizes = np.bincount(labels, minlength=1)
    joined = np.flatnonzero(sizes[labels] > 1) if count else np.zeros(0, np.int64)
    joined = joined[np.argsort(labels[joined], kind="stable")]
    groups = np.split(joined, np.flatnonzero(np.diff(labels[joined])) + 1) if len(joined) else []
    named = np.asarray(splits) if splits is not None else None
    found = [Cluster(members=tuple(group.tolist()), splits=() if named is None else tuple(sorted(set(named[group].tolist())))) for group in groups]
    found.sort(key=lambda cluster: (-min(len(cluster.splits), 2), -len(cluster.members), cluster.members))
    order = np.lexsort((second, first, distance))[:top]
    return Duplicates(
        kind=kind,
        feature=feature,
        limit=limit,
        num_pictures=count,
        num_clusters=len(found),
        num_in_clusters=len(joined),
        num_surplus=len(joined) - len(found),
        num_across_splits=sum(len(cluster.splits) > 1 for cluster in found),
        confirmed=confirmed,
        complete=complete,
        clusters=tuple(found[:top]),
        pairs=tuple(
            DuplicatePair(a=int(min(first[k], second[k])), b=int(max(first[k], second[k])), distance=round(float(distance[k]), 6)) for k in order
        ),
    )


def nearest_distance(features: NDArray[np.floating], block: int = 2048) -> NDArray[np.float64]:
    """1 - cosine of each row (N, F) to its nearest other row (N,); nan for a single row."""
    rows = unit_rows(features)
    nearest = np.full(len(rows), math.nan)
    for start in range(0, len(rows), block):
        cosines = rows[start : start + block] @ rows.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        if len(rows) > 1:
            nearest[start : start + block] = 1 - cosines.max(axis=1)
    return nearest
