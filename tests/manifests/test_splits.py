from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from manifests.spec import Identity, SplitFractions
from manifests.splits import assign_splits, split_sizes
from tests.manifests.specs import SMALL, changed, plan_specs


@given(plan_specs())
def test_sizes_are_exact_to_rounding(spec):
    counts = np.bincount(assign_splits(spec), minlength=3)
    exact = np.array([spec.split.train, spec.split.val, spec.split.test]) * len(spec.identities)
    assert tuple(counts) == split_sizes(len(spec.identities), spec.split)
    assert (np.abs(counts - exact) < 1).all()


@given(st.integers(0, 10**7), st.tuples(*[st.integers(0, 100)] * 3).filter(any))
def test_sizes_sum_to_the_whole(num_identities, parts):
    shares = [part / sum(parts) for part in parts]
    sizes = split_sizes(num_identities, SplitFractions(train=shares[0], val=shares[1], test=shares[2]))
    assert sum(sizes) == num_identities
    assert min(sizes) >= 0


def test_a_tenth_of_ten_is_one():
    assert split_sizes(10, SMALL.split) == (7, 1, 2)


def test_the_order_of_the_recipe_changes_no_identity_s_split():
    spec = changed(identities=tuple(Identity(identity_id=f"i{number}", group="abc"[number % 3]) for number in range(100)))
    shuffled = list(spec.identities)
    random.Random(1).shuffle(shuffled)
    other = changed(identities=tuple(shuffled))

    def split_of(spec):
        return dict(zip([identity.identity_id for identity in spec.identities], assign_splits(spec).tolist(), strict=True))

    assert split_of(spec) == split_of(other)


def test_every_group_has_its_share_of_every_split():
    groups = ["a"] * 500 + ["b"] * 100 + [None] * 400
    spec = changed(identities=tuple(Identity(identity_id=f"i{number}", group=group) for number, group in enumerate(groups)))
    splits = assign_splits(spec)
    for group in ("a", "b", None):
        members = splits[[place for place, name in enumerate(groups) if name == group]]
        assert np.abs(np.bincount(members, minlength=3) - np.array([0.7, 0.1, 0.2]) * len(members)).max() <= 1.5


def test_another_run_seed_draws_other_identities():
    assert not np.array_equal(assign_splits(SMALL), assign_splits(changed(run_seed=99)))
