from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.previews import preview_rows
from manifests.planner import Plan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions


def spec(people: int, views: int, *, words: tuple[str, ...] = ("neutral", "joy"), shard_size: int = 4) -> PlanSpec:
    return PlanSpec(
        identities=tuple(Identity(identity_id=f"p{number}") for number in range(people)),
        expressions=tuple(Expression(word=word, intensity=1.0) for word in words),
        scene_ids=("a", "b", "c"), scenes="spread", views_per_cell=views, mode="all", split=SplitFractions(train=0.5, val=0.25, test=0.25), run_seed=3,
        shard_size=shard_size,
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(people=st.integers(1, 7), views=st.integers(1, 4), count=st.integers(1, 9), shard_size=st.integers(1, 11))
def test_everybody_has_its_first_rows_in_the_order_of_slots(people, views, count, shard_size):
    plan = Plan(spec(people, views, shard_size=shard_size))
    found = preview_rows(plan, [identity.identity_id for identity in plan.spec.identities], count)
    rows = plan.row_list(0, plan.num_slots)
    for identity in plan.spec.identities:
        assert list(found[identity.identity_id]) == [row for row in rows if row.identity_id == identity.identity_id][:count]


def test_only_those_who_are_asked_for_have_previews():
    assert set(preview_rows(Plan(spec(4, 2)), ["p1", "p3", "nobody"], 2)) == {"p1", "p3"}


def test_an_extension_asks_of_people_what_was_asked_of_them_before():
    """More views, words and people: those who were there keep their rows, even where they had fewer than asked for."""
    before = spec(3, 1)
    after = dataclasses.replace(spec(5, 3, words=("neutral", "joy", "fear")), scene_ids=("a", "b", "c"))
    names = [identity.identity_id for identity in after.identities]
    first, second = preview_rows(Plan(before), names, 5), preview_rows(Plan(after, earlier=[before]), names, 5)
    assert all(list(second[name]) == list(rows) and len(rows) == 2 for name, rows in first.items())
    assert Counter(len(second[name]) for name in set(second) - set(first)) == {5: 2}
