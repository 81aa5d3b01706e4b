"""Perceptual hashes of 64 and 256 bits: of a picture, of its mirror image, and all pairs of many that differ in few bits."""

# N hashes, H W pixels

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError

SIDE, LOW, FINE = 32, 8, 16
BYTES = FINE * FINE // 8  # of `phash256`
MAX_LIMIT = 8  # more bits than that need as many comparisons as all pairs
MAX_CANDIDATES = 60_000_000
_BLOCK = 2_000_000
_ROWS = 4096
_COSINES = np.rint(2**20 * np.cos(np.pi / SIDE * np.arange(FINE)[:, None] * (np.arange(SIDE) + 0.5))).astype(np.int64)  # (16, 32), the DCT's lowest rows
_COSINES[0] = round(2**20 / 2**0.5)
_BITS = np.array([bin(number).count("1") for number in range(1 << 16)], np.uint8)


@dataclass(frozen=True, kw_only=True)
class HashPairs:
    """Pairs of hashes within a distance."""

    first: NDArray[np.int64]  # (P,) places; first < second within one list
    second: NDArray[np.int64]  # (P,)
    distance: NDArray[np.int64]  # (P,) bits
    complete: bool  # False: more candidates than allowed, the rest was not compared


def phash64(image_rgb: NDArray[np.uint8]) -> int:
    """DCT hash of a picture (H, W, 3), 0 .. 2^64 - 1.

    Grey, 32 x 32 by area, cosine transform, the 8 x 8 lowest frequencies, one bit each: above their median (Zauner 2010; the constant term is
    counted too, as in common implementations). It survives re-encoding, resizing and even changes of light; it does not find edited, turned or
    cropped pictures, and it is no measure of likeness.
    """
    return int.from_bytes(_bits(image_rgb, LOW), "big")


def phash64_mirrored(image_rgb: NDArray[np.uint8]) -> int:
    """Hash of the picture as in a mirror (left and right exchanged)."""
    return phash64(np.ascontiguousarray(image_rgb[:, ::-1]))


def phash256(image_rgb: NDArray[np.uint8]) -> bytes:
    """DCT hash of a picture (H, W, 3) as `phash64`, of the 16 x 16 lowest frequencies: 32 bytes, which tell a copy from a chance neighbour."""
    return _bits(image_rgb, FINE)


def phash256_mirrored(image_rgb: NDArray[np.uint8]) -> bytes:
    """The same of the picture as in a mirror."""
    return phash256(np.ascontiguousarray(image_rgb[:, ::-1]))


def phash256_rows(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    """Hashes of 32 bytes as an array (N, 32)."""
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), BYTES)


def hamming256(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of different bits of hashes (..., 32), row by row."""
    return _BITS[np.bitwise_xor(first, second)].sum(axis=-1, dtype=np.int64)


def _bits(image_rgb: NDArray[np.uint8], low: int) -> bytes:
    """One bit for each of the low x low lowest frequencies, above their median."""
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
        raise InputError(f"hash: got {image_rgb.dtype} {image_rgb.shape}, expected uint8 (H, W, 3).")
    grey = cv2.cvtColor(np.ascontiguousarray(image_rgb), cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.int64)
    # whole numbers, so that no digit depends on the machine; at most 255 x 32 x 32 x 2^40 < 2^58
    frequencies = _COSINES[:low] @ small @ _COSINES[:low].T
    return np.packbits(frequencies.ravel() > np.median(frequencies)).tobytes()


def hamming(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of different bits, element by element."""
    different = np.ascontiguousarray(np.bitwise_xor(np.asarray(first, np.uint64), np.asarray(second, np.uint64)))
    return _BITS[different.view(np.uint16).reshape(*different.shape, 4)].sum(axis=-1, dtype=np.int64)


def close_pairs(hashes: NDArray[np.uint64], limit: int, *, max_candidates: int = MAX_CANDIDATES) -> HashPairs:
    """All pairs of N hashes that differ in at most `limit` bits; equal hashes are joined as a chain (first, next), (next, one after) ..."""
    values = np.asarray(hashes, np.uint64)
    distinct, of = np.unique(values, return_inverse=True)
    order = np.argsort(of, kind="stable")
    same = of[order][1:] == of[order][:-1]
    representative = order[np.concatenate([[True], ~same])] if len(order) else order
    near = _candidates(distinct, None, limit, max_candidates)
    first = np.concatenate([order[:-1][same], representative[near.first]])
    second = np.concatenate([order[1:][same], representative[near.second]])
    distance = np.concatenate([np.zeros(int(same.sum()), np.int64), near.distance])
    return HashPairs(first=np.minimum(first, second), second=np.maximum(first, second), distance=distance, complete=near.complete)


def close_to(hashes: NDArray[np.uint64], gallery: NDArray[np.uint64], limit: int, *, max_candidates: int = MAX_CANDIDATES) -> HashPairs:
    """All pairs (place in hashes, place in gallery) that differ in at most `limit` bits; max_candidates holds for each block of the hashes."""
    values, real = np.asarray(hashes, np.uint64), np.asarray(gallery, np.uint64)
    # subtle: buckets pair a block's own hashes, too; blocks near the gallery's size keep that from growing with the square of many pictures
    size = max(len(real), _ROWS)
    parts = [(start, _candidates(values[start : start + size], real, limit, max_candidates)) for start in range(0, max(len(values), 1), size)]
    return HashPairs(
        first=np.concatenate([part.first + start for start, part in parts]),
        second=np.concatenate([part.second for _, part in parts]),
        distance=np.concatenate([part.distance for _, part in parts]),
        complete=all(part.complete for _, part in parts),
    )


def _candidates(left: NDArray[np.uint64], right: NDArray[np.uint64] | None, limit: int, allowed: int) -> HashPairs:
    """Pairs by buckets: cut into limit + 2 bands, two hashes within the limit agree in at least two bands (pigeonhole)."""
    if not 0 <= limit <= MAX_LIMIT:
        raise InputError(f"hash: distance {limit} asked for, expected 0 to {MAX_LIMIT} bits.")
    count = len(left)
    both = left if right is None else np.concatenate([left, right])
    edges = np.linspace(0, 64, limit + 3).astype(int)
    masks = [np.uint64(((1 << int(stop)) - 1) & ~((1 << int(start)) - 1)) for start, stop in itertools.pairwise(edges)]
    found: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    complete = True
    for one, other in itertools.combinations(masks, 2):
        keys = both & (one | other)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], keys[order][1:] != keys[order][:-1]])) if len(keys) else np.zeros(0, np.int64)
        sizes = np.diff(np.append(starts, len(keys)))
        # each place of a bucket is compared with those after it in the bucket
        after = np.repeat(starts + sizes, sizes) - np.arange(len(keys)) - 1
        if (total := int(after.sum())) > allowed:
            complete = False
            after = np.where(np.cumsum(after) <= allowed, after, 0)
        allowed -= min(total, allowed)
        ends = np.cumsum(after)
        start = 0
        while start < len(after):
            # subtle: blocks hold whole rows, so that memory stays near the block's size plus one row
            stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _BLOCK, side="right")))
            rows = np.repeat(np.arange(start, stop), after[start:stop])
            if len(rows):
                step = np.arange(len(rows)) - np.repeat(ends[start:stop] - after[start:stop] - (ends[start - 1] if start else 0), after[start:stop])
                pair = np.stack([order[rows], order[rows + 1 + step]], axis=1)
                if right is not None:
                    pair = np.sort(pair, axis=1)
                    pair = pair[(pair[:, 0] < count) & (pair[:, 1] >= count)]
                found.append(pair[hamming(both[pair[:, 0]], both[pair[:, 1]]) <= limit])
            start = stop
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    distance = hamming(both[pairs[:, 0]], both[pairs[:, 1]])
    return HashPairs(first=pairs[:, 0], second=pairs[:, 1] - (0 if right is None else count), distance=distance, complete=complete)
