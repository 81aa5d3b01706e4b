from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ResumeMismatch
from manifests.extension import extended_plan, growth_problems
from manifests.planner import Plan, manifest_parts
from manifests.poses import PoseBin
from manifests.rows import SPLITS
from manifests.spec import Expression, Identity, SplitFractions
from manifests.splits import split_sizes
from tests.manifests.specs import SMALL, changed, plan_specs


@st.composite
def grown(draw, spec):
    """A larger spec: more views, people, expressions and scenes, each perhaps, in another order."""
    groups = draw(st.lists(st.sampled_from(["a", "b", None]), max_size=5))
    people = [Identity(identity_id=f"new{len(spec.identities)}-{number}", group=group) for number, group in enumerate(groups)]
    scenes = [f"t{len(spec.scene_ids)}-{number}" for number in range(len(people) if spec.scenes == "own" else draw(st.integers(0, 3)))]
    words = [Expression(word=f"v{len(spec.expressions)}-{number}", intensity=1.0) for number in range(0 if spec.mode == "swap" else draw(st.integers(0, 2)))]
    identities, scene_ids = [*people, *spec.identities], [*scenes, *spec.scene_ids]  # an alphabetic order may put new ones first
    poses = tuple(dataclasses.replace(pose, scene_ids=(*(scenes if number == 0 else ()), *pose.scene_ids)) for number, pose in enumerate(spec.poses))
    more = draw(st.integers(0, 2))
    expressions = [dataclasses.replace(e, views=e.views + more if e.views else None) for e in spec.expressions]
    return dataclasses.replace(
        spec,
        identities=tuple(identities),
        scene_ids=tuple(scene_ids),
        expressions=(*words, *expressions),
        poses=poses,
        views_per_cell=spec.views_per_cell + more,
    )


@st.composite
def chains(draw):
    """Up to three specs, each a growth of the one before."""
    specs = [draw(plan_specs())]
    for _ in range(draw(st.integers(1, 2))):
        specs.append(draw(grown(specs[-1])))
    return specs


def frame(plan):
    return plan.rows(0, plan.num_slots).to_pandas()


@given(chains())
def test_every_row_and_shard_of_before_stays_as_it_was(specs):
    for number in range(1, len(specs)):
        old, new = extended_plan(specs[:number]), extended_plan(specs[: number + 1])
        assert new.rows(0, old.num_slots).equals(old.rows(0, old.num_slots))
        assert new.shards()[: len(old.shards())] == old.shards()
        assert new.identity_order[: len(old.identity_order)] == old.identity_order


@given(chains())
def test_every_cell_of_the_larger_recipe_has_exactly_its_quota(specs):
    plan, last = extended_plan(specs), specs[-1]
    rows = frame(plan)
    assert sorted(Counter(rows["cell"])) == list(range(plan.num_cells))
    assert not rows.duplicated(["cell", "view"]).any()
    views = {e.word: e.views or last.views_per_cell for e in last.expressions}
    for (_, word), views_of_cell in rows.groupby(["cell", "expression"])["view"]:
        assert sorted(views_of_cell) == list(range(views.get(word, last.views_per_cell)))


@given(chains())
def test_the_cells_are_those_of_the_larger_recipe_alone(specs):
    plan = extended_plan(specs)
    axes = ["identity_id", "expression", "intensity", "pose_bin"] + (["scene_id"] if specs[-1].scenes == "every" else [])
    keys = [*axes, "view"]
    grown_rows, alone = frame(plan), frame(Plan(specs[-1]))
    assert sorted(grown_rows[keys].itertuples(index=False)) == sorted(alone[keys].itertuples(index=False))
    assert (grown_rows.groupby("cell")[axes].nunique() == 1).all(axis=None)
    assert grown_rows.groupby(axes)["cell"].nunique().eq(1).all()


@given(chains(), st.data())
def test_any_slice_equals_the_same_slice_of_the_whole(specs, data):
    plan = extended_plan(specs)
    start = data.draw(st.integers(0, plan.num_slots))
    stop = data.draw(st.integers(start, plan.num_slots))
    assert plan.rows(start, stop).equals(plan.rows(0, plan.num_slots).slice(start, stop - start))


@given(chains())
def test_shards_cover_every_slot_once_within_a_split_and_count_on(specs):
    plan = extended_plan(specs)
    rows = frame(plan)
    shards = plan.shards()
    assert [shard.start for shard in shards] == [0, *(shard.stop for shard in shards)][:-1]
    assert shards[-1].stop == plan.num_slots
    for shard in shards:
        assert set(rows["split"][shard.start : shard.stop]) == {shard.split}
    for split in SPLITS:
        indexes = [shard.index for shard in shards if shard.split == split]
        assert indexes == list(range(len(indexes)))


@given(chains())
def test_no_identity_is_in_two_splits_and_an_index_names_one(specs):
    rows = frame(extended_plan(specs))
    assert (rows.groupby("identity_id")["split"].nunique() == 1).all()
    assert (rows.groupby("identity_id")["identity_index"].nunique() == 1).all()
    assert sorted(rows["identity_index"].unique()) == list(range(len(specs[-1].identities)))


@given(chains())
def test_scenes_of_what_was_added_are_level_in_each_pose_bin(specs):
    plan, last = extended_plan(specs), specs[-1]
    if last.scenes != "spread":
        return
    added = frame(plan).iloc[plan.generations[-2].stop :]
    for pose in last.poses or [PoseBin(name="", scene_ids=last.scene_ids)]:
        for _, group in added[added["pose_bin"] == pose.name].groupby(["expression", "split"]):
            counts = group["scene_id"].value_counts().reindex(pose.scene_ids, fill_value=0)
            assert counts.max() - counts.min() <= 1


def test_with_the_same_scenes_the_whole_is_level_too():
    rows = frame(extended_plan([SMALL, changed(views_per_cell=5)]))
    counts = rows["scene_id"].value_counts()
    assert counts.max() - counts.min() <= 1


def test_added_people_bring_the_splits_to_their_shares():
    people = tuple(Identity(identity_id=f"i{number:03d}") for number in range(100))
    specs = [changed(identities=people[:count], split=SplitFractions(train=0.8, val=0.1, test=0.1)) for count in (7, 8, 9, 30, 100)]
    rows = frame(extended_plan(specs)).drop_duplicates("identity_id")
    assert tuple(rows["split"].value_counts()[list(SPLITS)]) == split_sizes(100, specs[-1].split)


def test_a_manifest_grows_by_parts():
    old, new = Plan(SMALL), extended_plan([SMALL, changed(views_per_cell=3)])
    before, after = list(manifest_parts(old, rows_per_part=20)), list(manifest_parts(new, rows_per_part=20))
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert new.fingerprint() != old.fingerprint()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"run_seed": 6}, "run_seed changed"),
        ({"views_per_cell": 1}, 'views of "joy" are fewer, 1 instead of 2'),
        ({"identities": SMALL.identities[1:]}, 'identity "i00" is missing'),
        ({"identities": tuple(dataclasses.replace(i, group="c") for i in SMALL.identities)}, 'identity "i00" changed its group'),
        ({"expressions": SMALL.expressions[2:]}, 'expression "joy at 1" and 1 more are missing'),
        ({"scene_ids": SMALL.scene_ids[:-1]}, 'scene "s6" is missing'),
        ({"poses": (PoseBin(name="0+", scene_ids=SMALL.scene_ids),)}, "the pose bins changed"),
        ({"shard_size": 9}, "shard_size changed"),
        ({"split": SplitFractions(train=1.0, val=0.0, test=0.0)}, "split changed"),
    ],
)
def test_what_is_no_growth_is_named(fields, reason):
    assert growth_problems(SMALL, changed(**fields)) == [reason]
    with pytest.raises(ResumeMismatch, match="is no growth"):
        extended_plan([SMALL, changed(**fields)])


def test_a_million_rows_are_extended_in_seconds():
    specs = [
        changed(
            identities=tuple(Identity(identity_id=f"i{number:06d}") for number in range(count)),
            expressions=tuple(Expression(word=f"w{number}", intensity=1.0) for number in range(10)),
            views_per_cell=views,
            shard_size=1000,
        )
        for count, views in ((25_000, 4), (26_000, 5))
    ]
    start = time.process_time()
    plan = extended_plan(specs)
    first = plan.generations[0].stop
    assert plan.rows(first, plan.num_slots).num_rows == 1_300_000 - 1_000_000
    assert time.process_time() - start < 15  # a second or two on an idle machine
    assert np.array_equal(plan.rows(first, first + 3)["slot"].to_numpy(), [first, first + 1, first + 2])
