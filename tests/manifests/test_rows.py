from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import InputError
from manifests.planner import Plan
from manifests.rows import ConditionBatch, GeneratedBatch, ShardPlan, row_seed, row_seeds, sample_id
from tests.manifests.specs import SMALL

PINNED_SEEDS = [6642952805051802156, 1808899111304528707, 928787907866128921]

seeds = st.integers(0, 2**63 - 1)


@given(seeds, st.integers(0, 10**12 - 1), st.integers(0, 1000))
def test_seed_has_63_bits_and_depends_on_its_arguments_only(run_seed, slot, attempt):
    seed = row_seed(run_seed, slot, attempt)
    assert 0 <= seed < 2**63
    assert seed == row_seed(run_seed, slot, attempt)
    assert len({seed, row_seed(run_seed ^ 1, slot, attempt), row_seed(run_seed, slot + 1, attempt), row_seed(run_seed, slot, attempt + 1)}) == 4


def test_seeds_of_a_run_never_change():
    assert [row_seed(5, 0, 0), row_seed(5, 0, 1), row_seed(5, 1, 0)] == PINNED_SEEDS


def test_seeds_in_bulk_equal_single_ones():
    slots, attempts = np.array([3, 3, 10**11]), np.array([0, 1, 0])
    assert row_seeds(7, slots, attempts).tolist() == [row_seed(7, 3, 0), row_seed(7, 3, 1), row_seed(7, 10**11, 0)]


def test_seeds_of_many_slots_are_all_different():
    assert len(set(row_seeds(1, np.arange(20_000), np.zeros(20_000, dtype=np.int64)).tolist())) == 20_000


def test_a_row_knows_its_sample_id_and_seed():
    row = Plan(SMALL).row_list(12, 13)[0]
    assert row.sample_id == sample_id(12) == "000000000012"
    assert row.seed(5, 2) == row_seed(5, 12, 2)


def test_a_shard_is_named_by_split_and_index():
    shard = ShardPlan(split="train", index=3, start=24, stop=30)
    assert (shard.name, shard.num_slots) == ("train-000003", 6)


def conditions(**fields):
    unit = np.zeros((2, 4), dtype=np.float32)
    unit[:, 0] = 1
    good = ConditionBatch(
        identity_embeddings={"arc": unit},
        expression_embedding=np.ones((2, 3), dtype=np.float32),
        background_rgb=np.zeros((2, 8, 8, 3), dtype=np.uint8),
        face_mask=np.ones((2, 8, 8), dtype=np.uint8),
    )
    return dataclasses.replace(good, **fields)


def test_conditions_of_the_right_shape_are_taken():
    assert conditions().num_rows == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"face_mask": np.ones((2, 4, 4), dtype=np.uint8)}, "face_mask is uint8"),
        ({"face_mask": np.full((2, 8, 8), 255, dtype=np.uint8)}, "maximum 255"),
        ({"background_rgb": np.zeros((2, 8, 8, 3), dtype=np.float32)}, "background_rgb is float32"),
        ({"identity_embeddings": {"arc": np.ones((2, 4), dtype=np.float32)}}, "lengths 2.0000 to 2.0000, expected 1"),
        ({"identity_embeddings": {"arc": np.ones((1, 4), dtype=np.float32)}}, r"arc embedding is float32 \(1, 4\)"),
        ({"expression_embedding": np.full((2, 3), np.nan, dtype=np.float32)}, "not finite"),
        ({"expression_embedding": np.ones((2, 3))}, "expression embedding is float64"),
    ],
)
def test_wrong_conditions_are_named(fields, reason):
    with pytest.raises(InputError, match=reason):
        conditions(**fields)


def test_generated_batches_say_which_rows_they_answer():
    images = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    assert GeneratedBatch(images_rgb=images, slots=np.array([1, 2]), attempts=np.array([0, 0])).num_rows == 2
    with pytest.raises(InputError, match="slots is int64"):
        GeneratedBatch(images_rgb=images, slots=np.array([1]), attempts=np.array([0, 0]))
