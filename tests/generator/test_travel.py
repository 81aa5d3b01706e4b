from __future__ import annotations

import numpy as np
import pytest

from generator.travel import reenact_only, swap_only, travel
from manifests.errors import InputError
from tests.generator import tiny


def test_travel_starts_at_one_expression_and_ends_at_the_other_in_equal_steps():
    a, b = np.array([0.0, 1.0], dtype=np.float32), np.array([4.0, -1.0], dtype=np.float32)
    way = travel(a, b, 5)
    assert way.dtype == np.float32
    np.testing.assert_array_equal(way, [[0, 1], [1, 0.5], [2, 0], [3, -0.5], [4, -1]])


def test_travel_ends_are_exact():
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal((2, 32), dtype=np.float32)
    way = travel(a, b, 7)
    np.testing.assert_array_equal(way[[0, -1]], [a, b])


@pytest.mark.parametrize(("widths", "steps"), [((3, 4), 5), ((3, 3), 1)])
def test_impossible_travels_are_refused(widths, steps):
    with pytest.raises(InputError, match="expression travel: "):
        travel(np.zeros(widths[0], dtype=np.float32), np.zeros(widths[1], dtype=np.float32), steps)


def test_swap_only_changes_nothing_but_the_expression():
    asked, own = tiny.rows(3), tiny.rows(3, seed=1)
    made = swap_only(asked, own.expression_embedding)
    assert made.expression_embedding is own.expression_embedding
    assert made.identity_embeddings is asked.identity_embeddings and made.background_rgb is asked.background_rgb


def test_reenact_only_changes_nothing_but_the_identity():
    asked, own = tiny.rows(3), tiny.rows(3, seed=1)
    made = reenact_only(asked, own.identity_embeddings)
    assert made.identity_embeddings == dict(own.identity_embeddings)
    assert made.expression_embedding is asked.expression_embedding and made.background_rgb is asked.background_rgb


def test_reenactment_needs_every_encoder():
    asked = tiny.rows(2)
    with pytest.raises(InputError, match="no embedding of the background's person by metric"):
        reenact_only(asked, {"arc": asked.identity_embeddings["arc"]})
