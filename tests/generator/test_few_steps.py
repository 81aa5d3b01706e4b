from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.func import functional_call

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.few_steps import FewSteps, FewStepSettings, added_to, fingerprint, read_few_steps
from generator.loading import load_core, save_core
from generator.sampler import SamplerConfig
from manifests.errors import ConfigError, WeightsError
from tests.generator import tiny

FOUR = SamplerConfig(kind="consistency", steps=4, guidance=3.0)
SEEDS = np.array([1, 2])


def denoiser(*, seed: int = 0) -> SFSRDenoiser:
    return SFSRDenoiser(tiny.unet(seed=seed))


def additions(to: SFSRDenoiser, *, rank: int = 2, size: float = 0.0) -> FewSteps:
    """Fresh additions, or with random ones of a size."""
    result = FewSteps(to, FewStepSettings(guidance=3.0, phases=4, rank=rank, denoiser_sha256=fingerprint(to)))
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            if name.endswith(".up"):
                parameter.copy_(size * torch.randn(parameter.shape, generator=draw))
    return result


def call_arguments() -> tuple[torch.Tensor, torch.Tensor, DenoiserInputs]:
    draw = torch.Generator().manual_seed(0)
    inputs = DenoiserInputs(
        context=torch.randn(2, 6, 16, generator=draw), background_latents=torch.randn(2, 4, 8, 8, generator=draw), mask=torch.ones(2, 1, 8, 8)
    )
    return torch.randn(2, 4, 8, 8, generator=draw), torch.tensor([999, 20]), inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A core folder with additions that do something."""
    save_core(tiny.core(), tmp_path / "core")
    core = load_core(tmp_path / "core")
    additions(core.denoiser, size=0.3).save(tmp_path / "core" / "few_steps.safetensors")
    return tmp_path / "core"


def test_fresh_additions_leave_every_bit():
    own = denoiser()
    fresh = additions(own)
    with torch.inference_mode():
        expected = own(*call_arguments())
        assert torch.equal(functional_call(own, fresh.weights(own), call_arguments()), expected)
        assert torch.equal(fresh.merged(own)(*call_arguments()), expected)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_merging_equals_adding(bfloat16):
    own = denoiser()
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    some = additions(own, size=0.3)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        added = functional_call(own, some.weights(own), call_arguments())
        assert torch.equal(some.merged(own)(*call_arguments()), added)
        assert not torch.allclose(own(*call_arguments()).float(), added.float(), atol=1e-2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.state_dict().items())


def test_additions_are_those_of_attention_and_residual_blocks():
    own = denoiser()
    names = set(added_to(own))
    assert {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", "unet.up_blocks.1.resnets.0.conv1.weight"} <= names
    assert not any(name.startswith(("unet.conv_in", "unet.conv_out", "unet.time_embedding")) or "norm" in name for name in names)
    sizes = {name: tuple(layer().shape) for name, layer in additions(own).layers.items()}
    assert sizes == {name.replace(".", "/"): tuple(weight.shape) for name, weight in added_to(own).items()}


def test_gradients_reach_the_additions_and_not_the_denoiser():
    own = denoiser().requires_grad_(False)
    some = additions(own, size=0.1)
    functional_call(own, some.weights(own), call_arguments()).square().mean().backward()
    assert all(bool(p.grad.abs().sum() > 0) for name, p in some.named_parameters() if "to_k" not in name and "to_q" not in name)
    assert all(p.grad is None for p in own.parameters())


def test_core_folder_keeps_additions_and_their_settings(folder: Path, tmp_path: Path):
    core = load_core(folder)
    assert core.few_steps.settings == FewStepSettings(guidance=3.0, phases=4, rank=2, denoiser_sha256=fingerprint(core.denoiser))
    save_core(core, tmp_path / "again")
    again = load_core(tmp_path / "again")
    assert all(torch.equal(a, b) for a, b in zip(core.few_steps.parameters(), again.few_steps.parameters(), strict=True))
    rows = tiny.rows(2)
    np.testing.assert_array_equal(again.generate(rows, SEEDS, FOUR), core.generate(rows, SEEDS, FOUR))


def test_other_samplers_make_the_same_bytes_with_and_without_additions(folder: Path):
    rows = tiny.rows(2)
    core = load_core(folder)
    distilled = core.generate(rows, SEEDS, FOUR)
    own = core.generate(rows, SEEDS, tiny.FAST)
    (folder / "few_steps.safetensors").unlink()
    np.testing.assert_array_equal(load_core(folder).generate(rows, SEEDS, tiny.FAST), own)
    assert (distilled != own).any()


def test_additions_of_nothing_are_ddim_without_guidance(folder: Path):
    core = load_core(folder)
    additions(core.denoiser).save(folder / "few_steps.safetensors")
    ddim = core.generate(tiny.rows(2), SEEDS, SamplerConfig(kind="ddim", steps=4, guidance=1.0))
    np.testing.assert_array_equal(load_core(folder).generate(tiny.rows(2), SEEDS, FOUR), ddim)


def test_core_without_additions_says_how_to_get_them():
    with pytest.raises(WeightsError, match=r'"consistency" needs few-step weights.*none \(few_steps.safetensors\).*facemint train few_steps'):
        tiny.core().generate(tiny.rows(2), SEEDS, FOUR)


def test_another_guidance_than_the_distilled_one_is_refused(folder: Path):
    with pytest.raises(ConfigError, match="guidance is 2, but the core's few-step weights were distilled at 3 .*Use guidance 3"):
        load_core(folder).generate(tiny.rows(2), SEEDS, dataclasses.replace(FOUR, guidance=2.0))


def test_additions_beside_another_denoiser_are_refused(folder: Path):
    core = load_core(folder)
    with torch.no_grad():
        core.denoiser.unet.conv_in.bias[0] += 1
    with pytest.raises(WeightsError, match="distilled from another denoiser"):
        core.generate(tiny.rows(2), SEEDS, FOUR)


def test_fingerprint_is_of_the_numbers_and_not_of_their_layout():
    own = denoiser()
    first = fingerprint(own)
    assert fingerprint(own.to(memory_format=torch.channels_last)) == first != fingerprint(denoiser(seed=1))


def test_damaged_and_foreign_files_are_refused(folder: Path):
    path = folder / "few_steps.safetensors"
    whole, own = path.read_bytes(), load_core(folder).denoiser
    path.write_bytes(whole[:200])
    with pytest.raises(WeightsError, match="is damaged"):
        load_core(folder)
    path.write_bytes(whole)
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(WeightsError, match="doesn't say what it was distilled for"):
        read_few_steps(path, own)
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match="another shape"):
        read_few_steps(path, SFSRDenoiser(_wider()))


def test_numbers_beyond_float16_are_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match="float16 can't hold"):
        additions(denoiser(), size=1e6).save(tmp_path / "few_steps.safetensors")
    assert not list(tmp_path.iterdir())


def _wider():
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config({**tiny.unet().config, "block_out_channels": (32, 96)})
