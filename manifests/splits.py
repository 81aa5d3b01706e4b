"""Train, val and test by identity, with exact sizes, the same share in every demographic group, and no draw but a hash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from manifests.permutation import key_of
from manifests.rows import SPLITS
from manifests.spec import PlanSpec, SplitFractions

TRAIN, VAL, TEST = range(len(SPLITS))


def assign_splits(spec: PlanSpec) -> NDArray[np.int64]:
    """Split of each identity of the plan, (I,) of 0 train, 1 val, 2 test.

    Identities are ranked by group, then by the hash of run seed and id; held-out ones are taken at even steps of that ranking, test ones at
    even steps of those. So the sizes are exact, every group gives its share to within an identity, and the order of the recipe doesn't matter.
    """
    keys = [(identity.group or "", key_of(spec.run_seed, "split", identity.identity_id), identity.identity_id) for identity in spec.identities]
    ranking = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    _, num_val, num_test = split_sizes(len(keys), spec.split)
    held_out = ranking[_even_steps(len(ranking), num_val + num_test)]
    split = np.full(len(keys), TRAIN, dtype=np.int64)
    split[held_out] = VAL
    split[held_out[_even_steps(len(held_out), num_test)]] = TEST
    return split


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
