from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ConfigError, InputError
from manifests.planner import ROW_SCHEMA, Plan, read_manifest, write_manifest
from manifests.poses import PoseBin
from manifests.rows import AS_BACKGROUND, SPLITS
from manifests.spec import Expression, Identity
from tests.manifests.specs import SMALL, changed, plan_specs

PINNED_ROWS = [("i07", "joy", "s5", 0, "train"), ("i08", "anger", "s6", 0, "train"), ("i08", "fear", "s1", 0, "train")]


def whole(plan):
    return plan.rows(0, plan.num_slots)


@given(plan_specs())
def test_every_cell_has_exactly_its_quota_and_every_view_once(spec):
    plan = Plan(spec)
    rows = whole(plan).to_pandas()
    assert len(rows) == plan.num_slots
    counts = Counter(rows["cell"])
    assert sorted(counts) == list(range(plan.num_cells))
    views = {expression.word: expression.views or spec.views_per_cell for expression in spec.expressions}
    for (_, word), views_of_cell in rows.groupby(["cell", "expression"])["view"]:
        assert sorted(views_of_cell) == list(range(views.get(word, spec.views_per_cell)))
    assert not rows.duplicated(["cell", "view"]).any()


@given(plan_specs())
def test_a_cell_is_one_identity_with_one_expression_one_pose_bin_and_one_scene_where_scenes_make_cells(spec):
    rows = whole(Plan(spec)).to_pandas()
    axes = ["identity_id", "expression", "pose_bin"] + (["scene_id"] if spec.scenes != "spread" else [])
    assert (rows.groupby("cell")[axes].nunique() == 1).all(axis=None)
    assert rows.groupby(axes)["cell"].nunique().eq(1).all()


@given(plan_specs())
def test_scenes_of_a_pose_bin_are_used_level_in_all_for_each_expression_and_within_each_split(spec):
    rows = whole(Plan(spec)).to_pandas()
    if spec.scenes == "own":
        return
    for pose in spec.poses or [PoseBin(name="", scene_ids=spec.scene_ids)]:
        of_bin = rows[rows["pose_bin"] == pose.name]
        for axes in ([], ["expression"], ["expression", "split"]):
            for group in [of_bin] if not axes else [group for _, group in of_bin.groupby(axes)]:
                counts = group["scene_id"].value_counts().reindex(pose.scene_ids, fill_value=0)
                assert counts.max() - counts.min() <= 1


@given(plan_specs())
def test_a_row_s_scene_is_of_its_pose_bin_and_every_identity_shows_every_expression_in_every_bin(spec):
    rows = whole(Plan(spec)).to_pandas()
    bin_of = {scene_id: pose.name for pose in spec.poses for scene_id in pose.scene_ids}
    assert rows["pose_bin"].tolist() == [bin_of.get(scene_id, "") for scene_id in rows["scene_id"]]
    assert (rows.groupby(["identity_id", "expression"])["pose_bin"].nunique() == max(1, len(spec.poses))).all()


@given(plan_specs())
def test_rows_carry_the_demographic_group_of_their_identity(spec):
    rows = whole(Plan(spec)).select(["identity_id", "identity_group"]).to_pylist()
    groups = {identity.identity_id: identity.group for identity in spec.identities}
    assert all(row["identity_group"] == groups[row["identity_id"]] for row in rows)


@given(plan_specs())
def test_views_of_a_cell_have_different_scenes_as_long_as_there_are_enough(spec):
    most = max([expression.views or spec.views_per_cell for expression in spec.expressions] or [spec.views_per_cell])
    if spec.scenes == "spread" and most <= min([len(pose.scene_ids) for pose in spec.poses] or [len(spec.scene_ids)]):
        assert not whole(Plan(spec)).to_pandas().duplicated(["cell", "scene_id"]).any()


@given(plan_specs(), st.data())
def test_any_slice_equals_the_same_slice_of_the_whole(spec, data):
    plan = Plan(spec)
    start = data.draw(st.integers(0, plan.num_slots))
    stop = data.draw(st.integers(start, plan.num_slots))
    assert plan.rows(start, stop).equals(whole(plan).slice(start, stop - start))


@given(plan_specs(), st.randoms())
def test_shards_made_in_any_order_by_any_number_of_workers_are_the_plan(spec, random):
    plan = Plan(spec)
    shards = list(plan.shards())
    random.shuffle(shards)
    with ThreadPoolExecutor(max_workers=random.randint(1, 4)) as pool:
        tables = list(pool.map(lambda shard: Plan(spec).rows(shard.start, shard.stop), shards))
    ordered = [table for _, table in sorted(zip([shard.start for shard in shards], tables, strict=True), key=lambda pair: pair[0])]
    assert pa.concat_tables(ordered).combine_chunks().equals(whole(plan))


@given(plan_specs())
def test_no_identity_is_in_two_splits_and_no_shard_crosses_one(spec):
    plan = Plan(spec)
    rows = whole(plan).to_pandas()
    assert (rows.groupby("identity_id")["split"].nunique() == 1).all()
    for shard in plan.shards():
        assert set(rows["split"][shard.start : shard.stop]) == {shard.split}


@given(plan_specs())
def test_shards_cover_every_slot_once_in_order(spec):
    plan = Plan(spec)
    stops = [0] + [shard.stop for shard in plan.shards()]
    assert [shard.start for shard in plan.shards()] == stops[:-1]
    assert stops[-1] == plan.num_slots
    assert max(shard.num_slots for shard in plan.shards()) <= spec.shard_size
    assert len({shard.name for shard in plan.shards()}) == len(plan.shards())


@given(plan_specs())
def test_identity_index_counts_training_identities_first(spec):
    plan = Plan(spec)
    rows = whole(plan).to_pandas()
    pairs = rows[["identity_index", "identity_id", "split"]].drop_duplicates().sort_values("identity_index")
    assert pairs["identity_index"].tolist() == list(range(len(spec.identities)))
    assert tuple(pairs["identity_id"]) == plan.identity_order
    order = [SPLITS.index(split) for split in pairs["split"]]
    assert order == sorted(order)


def test_slots_are_numbered_in_order_with_the_documented_schema():
    table = whole(Plan(SMALL))
    assert table.schema == ROW_SCHEMA
    assert table["slot"].to_pylist() == list(range(60))


def test_objects_and_table_say_the_same():
    plan = Plan(SMALL)
    rows = plan.row_list(3, 9)
    assert [row.slot for row in rows] == [3, 4, 5, 6, 7, 8]
    assert [vars(row) for row in rows] == plan.rows(3, 9).to_pylist()


def test_a_run_seed_changes_the_order_and_not_the_cells():
    first, second = whole(Plan(SMALL)).to_pandas(), whole(Plan(changed(run_seed=6))).to_pandas()
    assert not first.equals(second)
    cells = ["identity_id", "expression", "view"]
    assert sorted(first[cells].itertuples(index=False)) == sorted(second[cells].itertuples(index=False))


def test_the_plan_of_a_seed_never_changes():
    rows = [(row.identity_id, row.expression, row.scene_id, row.view, row.split) for row in Plan(SMALL).row_list(0, 3)]
    assert rows == PINNED_ROWS


def test_shards_are_mixtures_of_the_axes():
    spec = changed(identities=tuple(Identity(identity_id=f"i{number}") for number in range(400)), shard_size=200)
    plan = Plan(spec)
    rows = whole(plan).to_pandas()
    for shard in plan.shards():
        part = rows[shard.start : shard.stop]
        expected = len(part) / 3
        worst = (part["expression"].value_counts().reindex(["joy", "fear", "anger"], fill_value=0) - expected).abs().max()
        assert worst < 5 * expected**0.5  # five standard deviations of a random mixture, and more
        people_of_split = rows[rows["split"] == shard.split]["identity_id"].nunique()
        assert part["identity_id"].nunique() > 0.6 * min(len(part), people_of_split)


def test_swap_rows_ask_for_no_expression():
    rows = whole(Plan(changed(mode="swap", expressions=()))).to_pandas()
    assert set(rows["expression"]) == {AS_BACKGROUND}
    assert len(rows) == 20


def test_reenact_rows_keep_the_person_of_the_scene():
    people = tuple(Identity(identity_id=f"person of s{number}") for number in range(7))
    rows = whole(Plan(changed(mode="reenact", scenes="own", identities=people))).to_pandas()
    assert (rows["identity_id"] == "person of " + rows["scene_id"]).all()


def test_one_word_at_two_intensities_is_two_expressions():
    spec = changed(expressions=(Expression(word="joy", intensity=0.5), Expression(word="joy", intensity=1.0)))
    assert Plan(spec).num_cells == 20


def test_slots_outside_the_run_are_refused():
    with pytest.raises(ConfigError, match="slots 50 to 61 asked for, but the run has slots 0 to 60"):
        Plan(SMALL).rows(50, 61)


def test_an_empty_slice_has_the_schema():
    assert Plan(SMALL).rows(5, 5).schema == ROW_SCHEMA


def test_ids_need_twelve_digits_at_most():
    with pytest.raises(ConfigError, match="12 digits"):
        Plan(changed(views_per_cell=10**11))


def test_manifest_parts_hold_the_plan_with_a_row_group_for_each_shard(tmp_path):
    plan = Plan(SMALL)
    paths = write_manifest(plan, tmp_path, rows_per_part=20)
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet", "part-00003.parquet"]
    assert read_manifest(tmp_path).equals(whole(plan))
    sizes = [pq.ParquetFile(path).metadata.row_group(group).num_rows for path in paths for group in range(pq.ParquetFile(path).num_row_groups)]
    assert sizes == [shard.num_slots for shard in plan.shards()]
    assert pq.read_schema(paths[0]).metadata[b"plan_sha256"].decode() == plan.fingerprint()
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in paths]


def test_a_manifest_written_twice_has_equal_bytes(tmp_path):
    first = write_manifest(Plan(SMALL), tmp_path / "a")
    second = write_manifest(Plan(SMALL), tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_manifest_opens_in_pandas_with_the_documented_types(tmp_path):
    (path,) = write_manifest(Plan(SMALL), tmp_path)
    frame = pd.read_parquet(path)
    assert frame["slot"].dtype == "int64" and frame["intensity"].dtype == "float32" and frame["view"].dtype == "int32"
    assert pd.api.types.is_string_dtype(frame["identity_id"])


def test_a_folder_without_a_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match=r'has no part-\*.parquet. Run "facemint plan"'):
        read_manifest(tmp_path)


def test_forty_thousand_rows_take_a_fraction_of_a_second():
    spec = changed(
        identities=tuple(Identity(identity_id=f"i{number:06d}") for number in range(2_000)),
        expressions=tuple(Expression(word=f"w{number}", intensity=1.0) for number in range(10)),
        shard_size=1000,
    )
    seconds = []
    for _ in range(3):
        start = time.process_time()
        assert whole(Plan(spec)).num_rows == 40_000
        seconds.append(time.process_time() - start)
    assert min(seconds) < 60 / 250 * 8  # ten million take a minute on an idle machine (tests.bench.plan); a busy one with a full memory needs several
