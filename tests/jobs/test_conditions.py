from __future__ import annotations

import numpy as np
import pytest

from jobs.attempts import Attempt
from jobs.conditions import ConditionTables, Person, Scene, ShownExpression, condition_batch, read_tables, write_tables
from jobs.images import encode
from manifests.errors import InputError
from manifests.rows import AS_BACKGROUND, ManifestRow

ENCODERS = ("identity_a", "identity_b")


def unit(seed, width=4):
    vector = np.random.default_rng(seed).normal(size=width).astype(np.float32)
    return vector / np.linalg.norm(vector)


def person(name, seed):
    return Person(identity_id=name, source="sampled", embeddings={key: unit(seed + number) for number, key in enumerate((*ENCODERS, "gate", "auditor"))})


def shown(word, value):
    return ShownExpression(word=word, embedding=np.full(32, value, dtype=np.float32), units=np.full(35, value / 10, dtype=np.float32))


def scene(name, seed):
    draw = np.random.default_rng(seed)
    return Scene(
        scene_id=name,
        image_png=encode(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8), "png"),
        face_mask_png=encode((draw.random((16, 16)) < 0.5).astype(np.uint8) * np.uint8(255), "png"),
        pose_deg=(1.0, 2.0, 3.0),
        landmarks5_px=draw.random((5, 2), dtype=np.float32),
        person=person(name, seed),
        expression=shown(AS_BACKGROUND, 7.0),
    )


@pytest.fixture
def tables():
    return ConditionTables(
        [person("p0", 1), person("p1", 2)], [shown("neutral", 0.0), shown("joy", 2.0), shown("joy", 4.0)], [scene("s0", 10), scene("s1", 11)]
    )


def attempt(*, mode="all", expression="joy", intensity=1.0, seed=1, identity="p0"):
    row = ManifestRow(slot=0, cell=0, identity_id=identity, identity_index=0, expression=expression, intensity=intensity, scene_id="s1", view=0,
                      mode=mode, split="train")  # fmt: skip
    return Attempt(row=row, attempt=0, seed=seed)


def test_tables_survive_their_files(tables, tmp_path):
    write_tables(tmp_path, tables)
    again = read_tables(tmp_path)
    for number, mode in enumerate(("all", "swap", "reenact")):
        wish = attempt(mode=mode, expression=AS_BACKGROUND if mode == "swap" else "joy", seed=number)
        before, after = (condition_batch([t.wish(wish)], ENCODERS) for t in (tables, again))
        np.testing.assert_array_equal(before.background_rgb, after.background_rgb)
        np.testing.assert_array_equal(before.face_mask, after.face_mask)
        np.testing.assert_array_equal(before.expression_embedding, after.expression_embedding)
        np.testing.assert_allclose(before.identity_embeddings["identity_b"], after.identity_embeddings["identity_b"], atol=1e-6)


def test_equal_tables_give_equal_files(tables, tmp_path):
    assert write_tables(tmp_path / "a", tables) == write_tables(tmp_path / "b", tables)


def test_the_seed_chooses_among_the_references_of_a_word(tables):
    values = {float(tables.wish(attempt(seed=seed)).expression.embedding[0]) for seed in range(4)}
    assert values == {2.0, 4.0}


def test_a_weaker_expression_lies_between_neutral_and_the_word(tables):
    wish = tables.wish(attempt(seed=1, intensity=0.5))
    np.testing.assert_allclose(wish.expression.embedding, 2.0)
    np.testing.assert_allclose(wish.expression.units, 0.2)


def test_swap_keeps_the_expression_and_reenact_the_person_of_the_scene(tables):
    swap = tables.wish(attempt(mode="swap", expression=AS_BACKGROUND))
    assert swap.expression is swap.scene.expression and swap.person is tables.people["p0"]
    reenact = tables.wish(attempt(mode="reenact", identity="s1"))
    assert reenact.person is reenact.scene.person and reenact.expression.word == "joy"


def test_what_is_missing_is_named(tables):
    with pytest.raises(InputError, match='identity "p9" is not among the 2 of the run'):
        tables.wish(attempt(identity="p9"))
