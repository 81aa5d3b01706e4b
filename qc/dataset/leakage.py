"""Do made people look like people of the training data? Cosines to a gallery against those of held-out people, and copies by hash."""

# N pictures, G gallery rows, M rows of held-out people, D width of an embedding

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.dataset.hashes import close_to, hamming256
from qc.dataset.uniqueness import BLOCK, CosinePair
from qc.statistics.intervals import Interval, not_estimable, wilson
from qc.statistics.plain import Figures
from qc.statistics.scores import RULE_OF

# Bits of `phash64` between a picture or its mirror image and a gallery picture. Within CANDIDATE_LIMIT it may be a copy, which `phash256` decides: of 3,000
# training portraits, copies that are re-encoded, resized or relit lie within 30 of its 256 bits, and the nearest of the candidates among 4.49 million pairs
# of different people is 62 bits away; among 23.4 million pairs of the whole bundled gallery it is 44. Without
# `phash256` only a distance of COPY_LIMIT is named, as not confirmed: chance gives about 5 in 10 million pairs.
CANDIDATE_LIMIT = 8
CONFIRM_LIMIT = 36  # of 256
COPY_LIMIT = 4
EDGES = np.linspace(-1, 1, 81)


@dataclass(frozen=True, kw_only=True)
class Copy(Figures):
    """A picture that is a gallery picture, by what shows it."""

    picture: int
    gallery: int  # place of the gallery picture (its hash)
    evidence: str  # "pixels", "hash", "mirrored hash"
    bits: int  # of `phash64`, 0 for equal pixels
    bits256: int | None = None  # of `phash256`; null where the gallery has none
    confirmed: bool = True  # by pixels or `phash256`


@dataclass(frozen=True, kw_only=True)
class Leakage(Figures):
    """Highest cosine of each picture to the gallery, beside that of people who were never trained on."""

    num_pictures: int
    num_gallery: int
    num_reference: int  # rows of held-out people
    target_fmr: float
    num_comparisons: int  # M x G, held-out people against the gallery: all non-mated
    estimable: bool  # target x comparisons >= 30; below that threshold, counts and shares are null
    threshold: float
    achieved_fmr: float
    above: int | None  # pictures whose highest cosine reaches the threshold
    above_share: float
    above_ci: Interval  # Wilson: for pictures of different people
    expected: float | None  # pictures that chance alone gives: N (1 - (1 - FMR)^G)
    reference_above: int | None  # held-out rows that reach it
    auth_pct: float  # see `auth_percent`; nan below two gallery rows
    mean_max: float  # mean highest cosine of the pictures
    reference_mean_max: float
    edges: tuple[float, ...]
    synthetic: tuple[int, ...]  # pictures by highest cosine
    reference: tuple[int, ...]  # held-out rows by highest cosine
    pairs: tuple[CosinePair, ...]  # a: picture, b: its nearest gallery row; highest first


def leakage(
    pictures: NDArray[np.floating],
    gallery: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    target_fmr: float = 1e-6,
    top: int = 50,
    block: int = BLOCK,
) -> Leakage:
    """Image against centre, in blocks; all rows of unit length and of one recogniser, best one that did not condition or gate.

    pictures (N, D) the made pictures; gallery (G, D) centres of the training identities; reference (M, D) pictures of people outside both.
    The threshold is the smallest at which at most `target_fmr` of the reference's M x G comparisons match.
    """
    made, real, held = (np.ascontiguousarray(rows, np.float32) for rows in (pictures, gallery, reference))
    for name, rows in (("pictures", made), ("reference", held)):
        if rows.ndim != 2 or rows.shape[1:] != real.shape[1:]:
            raise InputError(f"leakage: {name} are {rows.shape} and the gallery {real.shape}; embeddings of one recogniser have one width.")
    if not len(real):
        raise InputError("leakage: the gallery is empty. Name the centres of the training identities.")
    comparisons = len(held) * len(real)
    allowed = math.floor(target_fmr * comparisons + 1e-9)
    estimable = target_fmr * comparisons >= RULE_OF
    reference_max, highest = _reference(held, real, allowed + 1, block)
    threshold = float(np.nextafter(np.float32(highest[0]), np.float32(np.inf))) if estimable else math.nan
    made_max, nearest = nearest_gallery(made, real, block)
    above = int((made_max >= threshold).sum()) if estimable else None
    achieved = float((highest >= threshold).sum() / comparisons) if estimable else math.nan
    share = above / len(made) if above is not None and len(made) else math.nan
    interval = wilson(above, len(made)) if above is not None and len(made) else not_estimable(0.95, f"not estimable: {comparisons} comparisons")
    return Leakage(
        num_pictures=len(made),
        num_gallery=len(real),
        num_reference=len(held),
        target_fmr=target_fmr,
        num_comparisons=comparisons,
        estimable=estimable,
        threshold=threshold,
        achieved_fmr=achieved,
        above=above,
        above_share=share,
        above_ci=interval,
        expected=len(made) * -math.expm1(len(real) * math.log1p(-achieved)) if estimable else None,
        reference_above=int((reference_max >= threshold).sum()) if estimable else None,
        auth_pct=auth_percent(made_max, nearest, real, block),
        mean_max=float(made_max.mean()) if len(made) else math.nan,
        reference_mean_max=float(reference_max.mean()) if len(held) else math.nan,
        edges=tuple(EDGES.round(4).tolist()),
        synthetic=tuple(np.histogram(np.clip(made_max, -1, 1), EDGES)[0].tolist()),
        reference=tuple(np.histogram(np.clip(reference_max, -1, 1), EDGES)[0].tolist()),
        pairs=_highest(made_max, nearest, top),
    )


def auth_percent(made_max: NDArray[np.floating], nearest: NDArray[np.int64], gallery: NDArray[np.floating], block: int = BLOCK) -> float:
    """Per cent of pictures that are authentic: farther from their nearest gallery row than that row is from its nearest other one.

    Alaa et al. 2022, "How faithful is your synthetic data?", with 1 - cosine as the distance. About 50 for fresh pictures of the same people; it is
    reported and certifies nothing.
    """
    rows = np.ascontiguousarray(gallery, np.float32)
    if len(rows) < 2 or not len(made_max):
        return math.nan
    closest = np.empty(len(rows))
    for start in range(0, len(rows), block):
        cosines = rows[start : start + block] @ rows.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -np.inf
        closest[start : start + block] = cosines.max(axis=1)
    return float(100 * np.mean(np.asarray(made_max) < closest[nearest]))


def find_copies(
    *,
    pixel_sha256: NDArray[np.str_],
    phash64: NDArray[np.uint64],
    gallery_pixel_sha256: NDArray[np.str_] | None,
    gallery_phash64: NDArray[np.uint64],
    mirrored_phash64: NDArray[np.uint64],
    phash256: NDArray[np.uint8],
    mirrored_phash256: NDArray[np.uint8],
    gallery_phash256: NDArray[np.uint8] | None,
) -> tuple[Copy, ...]:
    """Pictures that are gallery pictures: the same pixels, re-encoded, resized or relit, or mirrored. Strongest evidence first, once per picture.

    pixel_sha256, phash64, mirrored_phash64 (N,), phash256, mirrored_phash256 (N, 32) of the made pictures (`qc.dataset.hashes`); gallery_* (G,) of the
    gallery's, which must be cut in the same way (whole portraits against whole portraits); gallery_pixel_sha256 None: not known. By hash, a candidate
    within CANDIDATE_LIMIT bits of `phash64` is a copy if it lies within CONFIRM_LIMIT bits of `phash256`, mirrored in the same way. gallery_phash256
    None: candidates within COPY_LIMIT bits are named, not confirmed.
    """
    found: dict[int, Copy] = {}
    if gallery_pixel_sha256 is not None:
        places = {digest: place for place, digest in enumerate(np.asarray(gallery_pixel_sha256).tolist())}
        for picture, digest in enumerate(np.asarray(pixel_sha256).tolist()):
            if digest in places:
                found[picture] = Copy(picture=picture, gallery=places[digest], evidence="pixels", bits=0)
    for evidence, hashes, fine in (("hash", phash64, phash256), ("mirrored hash", mirrored_phash64, mirrored_phash256)):
        near = close_to(hashes, gallery_phash64, COPY_LIMIT if gallery_phash256 is None else CANDIDATE_LIMIT)
        bits256 = None if gallery_phash256 is None else hamming256(fine[near.first], gallery_phash256[near.second])
        for k in np.argsort(near.distance if bits256 is None else bits256, kind="stable"):
            if bits256 is not None and bits256[k] > CONFIRM_LIMIT:
                break
            copy = Copy(
                picture=int(near.first[k]),
                gallery=int(near.second[k]),
                evidence=evidence,
                bits=int(near.distance[k]),
                bits256=None if bits256 is None else int(bits256[k]),
                confirmed=bits256 is not None,
            )
            found.setdefault(copy.picture, copy)
    strength = {"pixels": 0, "hash": 1, "mirrored hash": 2}
    return tuple(sorted(found.values(), key=lambda copy: (strength[copy.evidence], copy.bits256 or 0, copy.bits, copy.picture)))


def leaked(by_cosine: NDArray[np.floating], threshold: float, copies: tuple[Copy, ...]) -> NDArray[np.bool_]:
    """(N,) True for pictures whose highest cosine (N,) reaches the threshold or that are copies; a threshold of nan counts copies alone."""
    flags = np.asarray(by_cosine) >= threshold
    flags[[copy.picture for copy in copies]] = True
    return flags


def nearest_gallery(pictures: NDArray[np.floating], gallery: NDArray[np.floating], block: int = BLOCK) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Highest cosine of each picture (N,) to the gallery, and the gallery row (N,), in blocks."""
    made, real = np.ascontiguousarray(pictures, np.float32), np.ascontiguousarray(gallery, np.float32)
    cosine, nearest = np.empty(len(made), np.float32), np.empty(len(made), np.int64)
    for start in range(0, len(made), block):
        found = made[start : start + block] @ real.T
        nearest[start : start + block], cosine[start : start + block] = found.argmax(axis=1), found.max(axis=1)
    return cosine, nearest


def _reference(held: NDArray[np.float32], real: NDArray[np.float32], keep: int, block: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Highest cosine of each held-out row, and the `keep` highest of all comparisons, lowest first."""
    most, highest = np.empty(len(held)), np.zeros(0, np.float32)
    for start in range(0, len(held), block):
        cosines = held[start : start + block] @ real.T
        most[start : start + block] = cosines.max(axis=1)
        flat = np.concatenate([highest, cosines.ravel()])
        highest = np.partition(flat, len(flat) - keep)[len(flat) - keep :] if len(flat) > keep else flat
    return most, np.sort(highest)


def _highest(cosine: NDArray[np.floating], nearest: NDArray[np.int64], top: int) -> tuple[CosinePair, ...]:
    """Pictures with the highest cosines, each with its nearest gallery row only."""
    order = np.argsort(-np.asarray(cosine), kind="stable")[:top]
    return tuple(CosinePair(a=int(k), b=int(nearest[k]), cosine=round(float(cosine[k]), 6)) for k in order)
