"""A keyed, invertible shuffle of 0 .. size-1 that needs no table, so any slice of it costs only its own length."""

# N numbers

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8
LARGEST_SIZE = 1 << 62

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key_of(*parts: int | str) -> int:
    """64-bit key that is a hash of numbers and names; (1, "a") and (1, "b") have unrelated keys."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def permute(numbers: NDArray[np.int64], size: int, keys: int | NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of `numbers` in the shuffle of 0 .. size-1 that `keys` names.

    numbers  (N,) in 0 .. size-1
    size     1 .. 2^62
    keys     one key, or (N,): a shuffle of its own for each number
    returns  (N,) in 0 .. size-1

    A Feistel network over the mixed radix a x b >= size, a ~ b ~ sqrt(size) (Black and Rogaway 2002, "generalized-Feistel"),
    with cycle walking: a place outside the range is permuted again until it falls inside.
    """
    return _walk(numbers, size, keys, inverse=False)


def unpermute(places: NDArray[np.int64], size: int, keys: int | NDArray[np.uint64]) -> NDArray[np.int64]:
    """The inverse of `permute`, with the same arguments."""
    return _walk(places, size, keys, inverse=True)


def _walk(numbers: NDArray[np.int64], size: int, keys: int | NDArray[np.uint64], *, inverse: bool) -> NDArray[np.int64]:
    assert 1 <= size <= LARGEST_SIZE
    numbers = np.asarray(numbers, dtype=np.int64)
    assert numbers.size == 0 or (numbers.min() >= 0 and numbers.max() < size)
    key = np.broadcast_to(np.asarray(keys, dtype=np.uint64), numbers.shape)
    places = _feistel(numbers.astype(np.uint64), size, key, inverse=inverse)
    outside = np.flatnonzero(places >= size)
    while outside.size:
        places[outside] = _feistel(places[outside], size, key[outside], inverse=inverse)
        outside = outside[places[outside] >= size]
    return places.astype(np.int64)


def _feistel(numbers: NDArray[np.uint64], size: int, key: NDArray[np.uint64], *, inverse: bool) -> NDArray[np.uint64]:
    """One pass over the domain a x b; a number is left * b + right."""
    a = int(np.ceil(np.sqrt(size)))
    a += a * a < size  # subtle: sqrt of a 64-bit number may round down
    b = -(-size // a)
    left, right = np.divmod(numbers, np.uint64(b))
    modulus_left, modulus_right = np.uint64(a), np.uint64(b)
    for turn in reversed(range(ROUNDS)) if inverse else range(ROUNDS):
        if turn % 2 == 0:
            shift = _mix(right, key, turn) % modulus_left
            left = (left + (modulus_left - shift if inverse else shift)) % modulus_left
        else:
            shift = _mix(left, key, turn) % modulus_right
            right = (right + (modulus_right - shift if inverse else shift)) % modulus_right
    return left * modulus_right + right


def _mix(half: NDArray[np.uint64], key: NDArray[np.uint64], turn: int) -> NDArray[np.uint64]:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014) over half, key and round; wraps modulo 2^64."""
    x = half * _MIX_2 + key + np.uint64((turn + 1) * int(_GOLDEN) % 2**64)
    for shift, factor in ((30, _MIX_1), (27, _MIX_2), (29, _MIX_1)):
        x = (x ^ (x >> np.uint64(shift))) * factor
    return x ^ (x >> np.uint64(32))
