from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.training.ablations import ABLATIONS, AblatedDenoiser, Ablation, ablated_network
from generator.training.corpus import Corpus
from generator.training.loop import LoopConfig, train
from generator.training.sfsr import SFSRNetwork
from tests.generator.tiny import condition_encoder, unet
from tests.generator.training.small_sfsr import silent, small_task


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(12))


def network() -> SFSRNetwork:
    return SFSRNetwork(condition_encoder(), SFSRDenoiser(unet()))


def line(**changes: object) -> Ablation:
    return Ablation(name="line", title="line", **changes)


def inputs(seed: int) -> DenoiserInputs:
    draw = torch.Generator().manual_seed(seed)
    return DenoiserInputs(context=torch.ones(2, 6, 16), background_latents=torch.randn(2, 4, 8, 8, generator=draw), mask=torch.ones(2, 1, 8, 8))


def test_full_model_is_the_one_that_it_goes_on_from():
    whole = network()
    before = {key: value.clone() for key, value in whole.state_dict().items()}
    after = ablated_network(whole, line()).state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_encoder_that_is_left_out_has_no_tokens_and_the_others_keep_theirs():
    identity = {"arc": torch.randn(2, 12), "metric": torch.randn(2, 8)}
    expression = torch.randn(2, 6)
    whole = network().conditions(identity, expression)
    less = ablated_network(network(), line(without_encoders=(1,))).conditions
    assert list(less.config.identity_dims) == ["metric"]
    assert torch.equal(less({"metric": identity["metric"]}, expression), whole[:, 2:])


def test_background_that_is_left_out_changes_nothing_also_after_training(few: Corpus, tmp_path: Path):
    task = small_task(few, tmp_path)
    task.network = ablated_network(task.network, line(background=False))
    train(task, LoopConfig(steps=3, batch_size=4, learning_rate=1e-2, warmup_steps=1), tmp_path, say=silent)
    denoiser = task.network.denoiser
    assert isinstance(denoiser, AblatedDenoiser)
    latents, timestep = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    with torch.no_grad():
        assert torch.equal(denoiser(latents, timestep, inputs(0)), denoiser(latents, timestep, inputs(1)))
        weight = denoiser.unet.conv_in.weight
        assert bool((weight[:, :5] != unet().conv_in.weight[:, :5]).any())


def test_each_line_leaves_out_one_thing_and_the_first_none():
    assert ABLATIONS[0] == Ablation(name="full", title="full model")
    assert len({line.name for line in ABLATIONS}) == len(ABLATIONS)
    for ablation in ABLATIONS[1:]:
        assert [bool(ablation.without_encoders), not ablation.background, ablation.variant != "posterior_sample"].count(True) == 1
