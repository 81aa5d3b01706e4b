from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from generator.diffsfsr import DiffSFSR
from generator.masks import hole
from generator.sampler import SamplerConfig
from manifests.errors import InputError, WeightsError
from manifests.rows import ConditionBatch
from tests.generator import tiny

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' DPM-Solver under numpy 2

SEEDS = np.array([5, 2**62, 11], dtype=np.uint64)


@pytest.fixture(scope="module")
def core() -> DiffSFSR:
    return tiny.core()


def take(rows: ConditionBatch, order: list[int]) -> ConditionBatch:
    return ConditionBatch(
        identity_embeddings={name: e[order] for name, e in rows.identity_embeddings.items()},
        expression_embedding=rows.expression_embedding[order],
        background_rgb=rows.background_rgb[order],
        face_mask=rows.face_mask[order],
    )


@pytest.mark.parametrize("in_channels", [8, 9])
@pytest.mark.parametrize("kind", ["pndm", "dpm++", "ddim"])
def test_pictures_differ_from_their_backgrounds_inside_the_hole_only(in_channels, kind):
    rows = tiny.rows(3)
    images = tiny.core(in_channels=in_channels).generate(rows, SEEDS, SamplerConfig(kind=kind, steps=4, guidance=2.0))
    assert images.shape == rows.background_rgb.shape and images.dtype == np.uint8
    for image, background, mask in zip(images, rows.background_rgb, rows.face_mask, strict=True):
        outside = hole(mask) == 0
        assert outside.any()
        np.testing.assert_array_equal(image[outside], background[outside])
        assert (image[mask == 1] != background[mask == 1]).mean() > 0.5


def test_equal_calls_give_equal_bytes(core):
    rows = tiny.rows(3)
    np.testing.assert_array_equal(core.generate(rows, SEEDS, tiny.FAST), core.generate(rows, SEEDS, tiny.FAST))


def test_a_row_depends_on_no_other_row_of_its_batch(core):
    rows, strangers = tiny.rows(3), tiny.rows(3, seed=9)
    images = core.generate(rows, SEEDS, tiny.FAST)
    turned = core.generate(take(rows, [2, 0, 1]), SEEDS[[2, 0, 1]], tiny.FAST)
    np.testing.assert_array_equal(turned, images[[2, 0, 1]])
    mixed = ConditionBatch(
        identity_embeddings={name: np.concatenate([rows.identity_embeddings[name][:1], strangers.identity_embeddings[name][1:]]) for name in ("arc", "metric")},
        expression_embedding=np.concatenate([rows.expression_embedding[:1], strangers.expression_embedding[1:]]),
        background_rgb=np.concatenate([rows.background_rgb[:1], strangers.background_rgb[1:]]),
        face_mask=rows.face_mask,
    )
    np.testing.assert_array_equal(core.generate(mixed, SEEDS + np.array([0, 1, 1], dtype=np.uint64), tiny.FAST)[0], images[0])


def test_another_seed_identity_expression_or_background_gives_another_face(core):
    rows, others = tiny.rows(3), tiny.rows(3, seed=9)
    images = core.generate(rows, SEEDS, tiny.FAST)
    changed = [
        core.generate(rows, SEEDS + np.uint64(1), tiny.FAST),
        core.generate(dataclasses.replace(rows, identity_embeddings=others.identity_embeddings), SEEDS, tiny.FAST),
        core.generate(dataclasses.replace(rows, expression_embedding=others.expression_embedding), SEEDS, tiny.FAST),
        core.generate(dataclasses.replace(rows, background_rgb=others.background_rgb), SEEDS, tiny.FAST),
    ]
    face = rows.face_mask == 1
    assert all((c[face] != images[face]).any() for c in changed)


def test_what_the_face_showed_is_not_seen(core):
    rows = tiny.rows(2)
    painted = rows.background_rgb.copy()
    painted[rows.face_mask == 1] = 255
    images = [core.generate(dataclasses.replace(rows, background_rgb=b), SEEDS[:2], tiny.FAST) for b in (rows.background_rgb, painted)]
    np.testing.assert_array_equal(images[0], images[1])


def test_bfloat16_is_deterministic_and_close_to_float32():
    rows = tiny.rows(2)
    half = tiny.core(dtype="bfloat16")
    images = half.generate(rows, SEEDS[:2], tiny.FAST)
    np.testing.assert_array_equal(images, half.generate(rows, SEEDS[:2], tiny.FAST))
    exact = tiny.core().generate(rows, SEEDS[:2], tiny.FAST)
    assert np.abs(images.astype(int) - exact).mean() < 4


def test_encoders_that_the_core_does_not_know_are_left_aside(core):
    rows = tiny.rows(2)
    more = dataclasses.replace(rows, identity_embeddings={"other": rows.identity_embeddings["arc"], **rows.identity_embeddings})
    np.testing.assert_array_equal(core.generate(more, SEEDS[:2], tiny.FAST), core.generate(rows, SEEDS[:2], tiny.FAST))


def test_no_rows_give_no_pictures(core):
    assert core.generate(take(tiny.rows(1), []), np.zeros(0, dtype=np.int64), tiny.FAST).shape == (0, tiny.SIZE, tiny.SIZE, 3)


def wrong_inputs() -> dict[str, tuple[ConditionBatch, np.ndarray, str]]:
    rows, seeds = tiny.rows(2), np.array([1, 2])
    arc = rows.identity_embeddings["arc"]
    large = ConditionBatch(
        identity_embeddings=rows.identity_embeddings,
        expression_embedding=rows.expression_embedding,
        background_rgb=np.zeros((2, 32, 32, 3), dtype=np.uint8),
        face_mask=np.zeros((2, 32, 32), dtype=np.uint8),
    )
    return {
        "size": (large, seeds, "backgrounds are 32 x 32 pixels, this core makes 16 x 16"),
        "encoder": (dataclasses.replace(rows, identity_embeddings={"arc": arc}), seeds, 'no identity embedding by "metric" (given: arc)'),
        "width": (
            dataclasses.replace(rows, identity_embeddings={"arc": arc, "metric": arc}),
            seeds,
            'identity embedding by "metric" has 12 numbers, expected 8',
        ),
        "expression": (dataclasses.replace(rows, expression_embedding=arc), seeds, "expression embedding has 12 numbers, expected 6"),
        "seed count": (rows, np.array([1, 2, 3]), "seeds are int64 (3,), expected (2,) integers"),
        "seed type": (rows, np.array([1.0, 2.0]), "seeds are float64 (2,)"),
        "seed range": (rows, np.array([1, -2]), "seeds reach from -2 to 1"),
    }


@pytest.mark.parametrize("name", wrong_inputs())
def test_wrong_inputs_are_refused_in_a_sentence(core, name):
    rows, seeds, says = wrong_inputs()[name]
    with pytest.raises(InputError, match="core: ") as error:
        core.generate(rows, seeds, tiny.FAST)
    assert says in str(error.value)


def test_parts_of_different_cores_are_refused():
    core = tiny.core()
    wide = dataclasses.replace(tiny.CONDITIONS, token_dim=24)
    with pytest.raises(WeightsError, match="the UNet reads tokens of width 16, the condition encoder makes 24"):
        DiffSFSR(autoencoder=core.autoencoder, conditions=type(core.conditions)(wide), denoiser=core.denoiser, schedule=core.schedule)


def test_generating_leaves_no_gradients_and_the_global_generator_alone(core):
    before = torch.random.get_rng_state()
    core.generate(tiny.rows(1), SEEDS[:1], tiny.FAST)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(p.grad is None for p in core.denoiser.parameters())


def test_numbers_that_are_not_finite_are_said_and_spoil_no_other_row(core):
    rows = tiny.rows(3)
    spoiled = rows.expression_embedding.copy()
    spoiled[1] = 3e38  # finite, as conditions have to be, but not for long
    images, finite = core.draw(dataclasses.replace(rows, expression_embedding=spoiled), SEEDS, tiny.FAST)
    assert finite.tolist() == [True, False, True]
    np.testing.assert_array_equal(images[[0, 2]], core.generate(rows, SEEDS, tiny.FAST)[[0, 2]])
    assert (images[1][rows.face_mask[1] == 1] == 0).all()
