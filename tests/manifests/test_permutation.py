from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.permutation import key_of, permute, unpermute

keys = st.integers(0, 2**64 - 1)


@given(st.integers(1, 3000), keys)
def test_every_place_is_taken_once(size, key):
    assert sorted(permute(np.arange(size), size, key).tolist()) == list(range(size))


@given(st.integers(1, 2**62), keys, st.data())
def test_the_inverse_gives_the_number_back_at_any_size(size, key, data):
    numbers = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    assert np.array_equal(unpermute(permute(numbers, size, key), size, key), numbers)


@given(st.integers(1, 500), keys, st.data())
def test_a_slice_equals_the_slice_of_the_whole(size, key, data):
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    assert np.array_equal(permute(np.arange(start, stop), size, key), permute(np.arange(size), size, key)[start:stop])


@given(st.integers(1, 200), st.lists(keys, min_size=1, max_size=5))
def test_a_key_for_each_number_equals_separate_calls(size, several):
    numbers = np.tile(np.arange(size), len(several))
    together = permute(numbers, size, np.repeat(np.array(several, dtype=np.uint64), size))
    assert np.array_equal(together, np.concatenate([permute(np.arange(size), size, key) for key in several]))


def test_the_shuffle_looks_random():
    size = 100_000
    places = permute(np.arange(size), size, key_of("shuffle", 1))
    assert abs(np.corrcoef(np.arange(size), places)[0, 1]) < 0.01
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.01
    assert (places == np.arange(size)).sum() < 10  # a random permutation has one fixed point on average


def test_other_keys_give_other_shuffles():
    assert not np.array_equal(permute(np.arange(100), 100, key_of(1)), permute(np.arange(100), 100, key_of(2)))


def test_keys_tell_numbers_from_names_and_keep_their_values_for_ever():
    assert key_of(1, "a") != key_of("1", "a") != key_of("1a")
    assert key_of("slots", 7) == 17109982687118269155


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_sizes_work(size):
    assert sorted(permute(np.arange(size), size, 9).tolist()) == list(range(size))
