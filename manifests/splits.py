"""Train, val and test by identity, with exact sizes, the same share in every demographic group, and no draw but a hash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from manifests.permutation import key_of
from manifests.rows import SPLITS
from manifests.spec import Identity, PlanSpec, SplitFractions

TRAIN, VAL, TEST = range(len(SPLITS))


def assign_splits(spec: PlanSpec) -> NDArray[np.int64]:
    """Split of each identity of the plan, (I,) of 0 train, 1 val, 2 test."""
    return assign_identities(spec.identities, split_sizes(len(spec.identities), spec.split), spec.run_seed)


def assign_identities(identities: Sequence[Identity], sizes: tuple[int, int, int], run_seed: int) -> NDArray[np.int64]:
    """Split of each identity, (I,) of 0 train, 1 val, 2 test, with the given sizes, which sum to I.

    Identities are ranked by group, then by the hash of run seed and id; held-out ones are taken at even steps of that ranking, test ones at
    even steps of those. So the sizes are exact, every group gives its share to within an identity, and the order of the recipe doesn't matter.
    """
    keys = [(identity.group or "", key_of(run_seed, "split", identity.identity_id), identity.identity_id) for identity in identities]
    ranking = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    _, num_val, num_test = sizes
    held_out = ranking[_even_steps(len(ranking), num_val + num_test)]
    split = np.full(len(keys), TRAIN, dtype=np.int64)
    split[held_out] = VAL
    split[held_out[_even_steps(len(held_out), num_test)]] = TEST
    return split


def added_sizes(counts: Sequence[int], num_added: int, fractions: SplitFractions) -> tuple[int, int, int]:
    """How many of `num_added` identities join each split, whose sizes are `counts`, such that the whole comes closest to the fractions."""
    whole = split_sizes(sum(counts) + num_added, fractions)
    wanted = np.maximum(np.array(whole) - np.array(counts), 0)
    while wanted.sum() > num_added:  # a split has more than its share already, so the others wait for theirs
        wanted[int(np.argmax(wanted))] -= 1
    return int(wanted[TRAIN]), int(wanted[VAL]), int(wanted[TEST])


def split_sizes(num_identities: int, fractions: SplitFractions) -> tuple[int, int, int]:
    """Identities in train, val and test; the largest-remainder rule, ties go to the earlier split."""
    exact = np.array([fractions.train, fractions.val, fractions.test]) * num_identities
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    remainder = np.round(exact - sizes, 9)
    sizes[np.argsort(-remainder, kind="stable")[: num_identities - int(sizes.sum())]] += 1
    return int(sizes[TRAIN]), int(sizes[VAL]), int(sizes[TEST])


def _even_steps(size: int, count: int) -> NDArray[np.int64]:
    """`count` different numbers of 0 .. size-1 at even steps."""
    assert count <= size
    return (2 * np.arange(count, dtype=np.int64) + 1) * size // (2 * max(count, 1))
