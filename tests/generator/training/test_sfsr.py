from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from generator.training.corpus import Corpus
from generator.training.loop import LoopConfig, train
from generator.training.sfsr import SFSRConfig, SFSRTask, alphas_cumprod
from tests.generator.training.small_sfsr import silent, small_task


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(12))


class Stopped(Exception):
    """Stands for a killed process."""


class StoppingTask(SFSRTask):
    """The task, until step 2."""

    def loss(self, draw, batch_size, step):
        if step == 2:
            raise Stopped
        return super().loss(draw, batch_size, step)


def test_noise_schedule_is_stable_diffusions():
    published = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    assert torch.allclose(alphas_cumprod(), published, atol=1e-6)


def test_three_steps_in_two_commands_give_the_same_bytes(few: Corpus, tmp_path: Path):
    config = LoopConfig(steps=3, batch_size=4, learning_rate=1e-3, warmup_steps=1, save_every_s=-1.0)
    train(small_task(few, tmp_path), config, tmp_path / "whole", say=silent)
    stopping = small_task(few, tmp_path)
    stopping.__class__ = StoppingTask
    with pytest.raises(Stopped):
        train(stopping, config, tmp_path / "cut", say=silent)
    train(small_task(few, tmp_path), config, tmp_path / "cut", say=silent)
    for file in ("sfsr.safetensors", "sfsr.state.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


def test_loss_is_a_function_of_the_draw(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path)
    first, again, other = (float(task.loss(np.random.default_rng(seed), 6, 0)[0].detach()) for seed in (1, 1, 2))
    assert first == again != other


def test_gradients_reach_denoiser_and_conditions(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path)
    task.loss(np.random.default_rng(0), 8, 0)[0].backward()
    for part in (task.network.denoiser, task.network.conditions.identity["arc"].layers, task.network.conditions.expression.layers):
        assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())


def test_dropped_conditions_become_the_learned_null(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path, SFSRConfig(drop_identity=0, drop_expression=0, drop_both=1))
    batch = task.batch(np.arange(6), np.random.default_rng(0))
    assert torch.equal(batch.inputs.context, task.network.conditions.null(6))
    kept = small_task(few, tmp_path, SFSRConfig(drop_identity=0, drop_expression=0, drop_both=0)).batch(np.arange(6), np.random.default_rng(0))
    assert not torch.isclose(kept.inputs.context, task.network.conditions.null(6)).any(dim=2).all()


def test_background_is_the_pictures_own_and_outside_its_hole_equal(few: Corpus, tmp_path: Path):
    batch = small_task(few, tmp_path).batch(np.arange(12), np.random.default_rng(0))
    untouched = (batch.inputs.mask == 0).expand_as(batch.latents)
    assert untouched.any()
    assert torch.allclose(batch.inputs.background_latents[untouched], batch.latents[untouched], atol=1e-2)


def test_mirrored_points_keep_the_first_eye_left(few: Corpus, tmp_path: Path):
    points = small_task(few, tmp_path).batch(np.arange(12), np.random.default_rng(0)).landmarks5_px
    assert (points[:, 0, 0] < points[:, 1, 0]).all()
    assert ((points > 0) & (points < 128)).all()


def test_swaps_take_the_scene_of_one_picture_and_the_lenders_of_any_other(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path, SFSRConfig(drop_identity=0, drop_expression=0, drop_both=0))
    rows = np.arange(12)
    batch = task.swaps(rows, np.random.default_rng(0))
    pictures = task.latents.latents.float()
    assert all(any(torch.equal(batch.latents[row], pictures[side, row]) for side in (0, 1)) for row in rows)
    lent = batch.identity["arc"]
    lenders = [int((task.identity["arc"] == vector).all(dim=2).any(dim=0).nonzero()[0]) for vector in lent]
    assert sum(few.identity[lender] != few.identity[row] for row, lender in zip(rows, lenders, strict=True)) > 6
    own_holes = task.latents.masks[0].float()
    assert all(any(torch.equal(batch.inputs.mask[row], own_holes[side, row]) for side in (0, 1)) for row in rows)


def test_perceptual_losses_come_every_second_step(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path, SFSRConfig(perceptual_every=2, perceptual_rows=2))
    names = [set(task.loss(np.random.default_rng(0), 4, step)[1]) for step in (0, 1)]
    assert names == [{"denoising", "identity", "expression"}, {"denoising"}]
