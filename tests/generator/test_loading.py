from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.diffsfsr import DiffSFSR
from generator.loading import PRESETS, CorePreset, core_from_stable_diffusion, draw_weights, load_core, read_schedule, save_core
from generator.patch_autoencoder import PatchAutoencoder
from generator.sampler import Schedule
from manifests.errors import WeightsError
from tests.generator import tiny

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' DPM-Solver under numpy 2

SEEDS = np.array([5, 6])
MODEL_FILE = "diffusion_pytorch_model.safetensors"
NINE = CorePreset(size=tiny.SIZE, mask_channel=True, conditions=tiny.CONDITIONS)
EIGHT = dataclasses.replace(NINE, mask_channel=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    save_core(tiny.core(), folder)
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.stable_diffusion_folder(tmp_path_factory.mktemp("sd"))


def pictures(core: DiffSFSR) -> np.ndarray:
    return core.generate(tiny.rows(2), SEEDS, tiny.FAST)


def tensors(core: DiffSFSR) -> dict[str, torch.Tensor]:
    parts = {"vae": core.autoencoder, "unet": core.denoiser.unet, "conditions": core.conditions}
    return {f"{part}.{name}": tensor for part, network in parts.items() for name, tensor in network.state_dict().items()}


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_core_saved_in_full_precision_is_read_unchanged(tmp_path, prediction_type):
    core = tiny.core(prediction_type=prediction_type)
    save_core(core, tmp_path, half=False)
    read = load_core(tmp_path)
    assert tensors(read).keys() == tensors(core).keys()
    given = tensors(core)
    assert all(torch.equal(tensor, given[name]) for name, tensor in tensors(read).items())
    assert read.schedule == core.schedule and read.conditions.config == core.conditions.config
    np.testing.assert_array_equal(pictures(read), pictures(core))


def test_a_core_saved_in_half_precision_is_rounded_once(saved, tmp_path):
    first = load_core(saved)
    given = tensors(tiny.core())
    assert all(torch.equal(tensor, given[name].half().float()) for name, tensor in tensors(first).items())
    save_core(first, tmp_path)
    for file in (f"vae/{MODEL_FILE}", f"unet/{MODEL_FILE}", "conditions.safetensors", "core.json"):
        assert (tmp_path / file).read_bytes() == (saved / file).read_bytes()
    np.testing.assert_array_equal(pictures(load_core(tmp_path)), pictures(first))


def test_read_weights_are_float32_and_can_be_trained(saved):
    core = load_core(saved)
    assert {tensor.dtype for tensor in tensors(core).values()} == {torch.float32}
    assert all(p.requires_grad for p in core.denoiser.parameters())


def test_the_bundled_kind_of_autoencoder_is_kept(tmp_path):
    core = tiny.core()
    patch = PatchAutoencoder(channels=4, size=64, width=8)
    draw = torch.Generator().manual_seed(0)
    patch.components.copy_(torch.linalg.qr(torch.randn(192, 4, generator=draw))[0].T)
    core = DiffSFSR(autoencoder=patch, conditions=core.conditions, denoiser=core.denoiser, schedule=core.schedule)
    save_core(core, tmp_path, half=False)
    assert json.loads((tmp_path / "core.json").read_text())["autoencoder"] == "patch"
    read = load_core(tmp_path)
    assert read.size == 64
    assert all(torch.equal(tensor, tensors(core)[name]) for name, tensor in tensors(read).items())


def test_the_parts_open_in_diffusers(saved):
    unet = UNet2DConditionModel.from_pretrained(saved / "unet", local_files_only=True, low_cpu_mem_usage=False)
    assert all(torch.equal(a.float(), b) for a, b in zip(unet.state_dict().values(), load_core(saved).denoiser.unet.state_dict().values(), strict=True))
    AutoencoderKL.from_pretrained(saved / "vae", local_files_only=True, low_cpu_mem_usage=False)
    scheduler = DPMSolverMultistepScheduler.from_pretrained(saved / "scheduler", local_files_only=True)
    assert scheduler.config.prediction_type == "v_prediction"


@pytest.mark.parametrize(("preset", "channels"), [(EIGHT, 8), (NINE, 9)])
def test_a_stable_diffusion_folder_becomes_a_core_that_predicts_the_same(published, preset, channels):
    core = core_from_stable_diffusion(published, preset, seed=3)
    assert core.denoiser.unet.config.in_channels == channels
    assert core.schedule == Schedule(prediction_type="epsilon")
    original = UNet2DConditionModel.from_pretrained(published / "unet", local_files_only=True, low_cpu_mem_usage=False)
    draw = torch.Generator().manual_seed(0)
    latents, context = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 5, 16, generator=draw)
    inputs = DenoiserInputs(context=context, background_latents=torch.randn(2, 4, 8, 8, generator=draw), mask=torch.ones(2, 1, 8, 8))
    with torch.inference_mode():
        expected = original(latents, torch.tensor([7, 900]), encoder_hidden_states=context).sample
        torch.testing.assert_close(core.denoiser(latents, torch.tensor([7, 900]), inputs), expected, rtol=1e-5, atol=1e-5)


def test_a_core_from_stable_diffusion_generates_and_can_be_saved(published, tmp_path):
    core = core_from_stable_diffusion(published, NINE, seed=3)
    save_core(core, tmp_path, half=False, licence="CreativeML Open RAIL-M")
    np.testing.assert_array_equal(pictures(load_core(tmp_path)), pictures(core))
    assert json.loads((tmp_path / "core.json").read_text())["licence"] == "CreativeML Open RAIL-M"


def test_fresh_perceptrons_come_from_the_seed(published):
    made = [core_from_stable_diffusion(published, NINE, seed=seed).conditions.state_dict() for seed in (3, 3, 4)]
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert any(not torch.equal(made[0][name], made[2][name]) for name in made[0])


def test_drawn_weights_have_the_spread_of_torchs_own_rule():
    layer = torch.nn.Linear(100, 200)
    draw_weights(layer, 1)
    weight = layer.weight.detach()
    assert float(weight.abs().max()) <= 0.1
    assert float(weight.std()) == pytest.approx(0.1 / 3**0.5, rel=0.02)


def test_inpainting_weights_with_nine_channels_are_taken_as_they_are(tmp_path):
    folder = tiny.stable_diffusion_folder(tmp_path, in_channels=9)
    core = core_from_stable_diffusion(folder, NINE, seed=0)
    assert torch.equal(core.denoiser.unet.conv_in.weight, load_file(folder / "unet" / MODEL_FILE)["conv_in.weight"])
    with pytest.raises(WeightsError, match="takes 9 channels already.*Choose the preset with a mask channel"):
        core_from_stable_diffusion(folder, EIGHT, seed=0)


def test_attention_names_of_published_autoencoders_are_understood(published, tmp_path):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "vae" / MODEL_FILE
    stored = load_file(path)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for name in [name for name in stored if ".attentions." in name]:
        for new, former in old.items():
            if f".{new}." in name:
                stored[name.replace(f".{new}.", f".{former}.")] = stored.pop(name)
    assert any("proj_attn" in name for name in stored)
    save_file(stored, path)
    np.testing.assert_array_equal(pictures(core_from_stable_diffusion(tmp_path, NINE, seed=0)), pictures(core_from_stable_diffusion(published, NINE, seed=0)))


def test_a_half_precision_variant_alone_is_read(published, tmp_path):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "unet" / MODEL_FILE
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    path.unlink()
    assert core_from_stable_diffusion(tmp_path, NINE, seed=0).denoiser.unet.conv_in.weight.dtype == torch.float32


def test_pickles_are_refused(published, tmp_path):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    (tmp_path / "unet" / MODEL_FILE).rename(tmp_path / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"diffusion_pytorch_model\.bin, a pickle, .*Download the safetensors file"):
        core_from_stable_diffusion(tmp_path, NINE, seed=0)


def test_tokens_of_another_width_are_refused(published):
    wide = dataclasses.replace(NINE, conditions=dataclasses.replace(tiny.CONDITIONS, token_dim=768))
    with pytest.raises(WeightsError, match="reads tokens of width 16, the condition encoder makes 768"):
        core_from_stable_diffusion(published, wide, seed=0)


def damage(change: str, folder: Path) -> None:
    unet = folder / "unet" / MODEL_FILE
    if change == "folder":
        shutil.rmtree(folder)
    elif change == "core.json":
        (folder / "core.json").unlink()
    elif change == "bad json":
        (folder / "core.json").write_text("{")
    elif change == "list":
        (folder / "core.json").write_text("[]")
    elif change == "other core":
        edit_json(folder / "core.json", lambda record: record.update(core="arc2face"))
    elif change == "field":
        edit_json(folder / "core.json", lambda record: record["conditions"].update(colour=3))
    elif change == "kind":
        edit_json(folder / "core.json", lambda record: record.update(autoencoder="vq"))
    elif change == "size":
        edit_json(folder / "core.json", lambda record: record.update(size=17))
    elif change == "unet":
        unet.unlink()
    elif change == "corrupt":
        unet.write_bytes(unet.read_bytes()[:-1000])
    elif change == "no safetensors":
        unet.write_bytes(b"hello")
    elif change == "lfs":
        (folder / "conditions.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    elif change == "class":
        edit_json(folder / "unet" / "config.json", lambda record: record.update(_class_name="ControlNetModel"))
    elif change == "config":
        edit_json(folder / "unet" / "config.json", lambda record: record.update(down_block_types=["NoBlock2D", "DownBlock2D"]))
    elif change == "shape":
        edit_json(folder / "unet" / "config.json", lambda record: record.update(in_channels=8))
    elif change == "tensors":
        edit_json(folder / "unet" / "config.json", lambda record: record.update(layers_per_block=2))
    elif change == "conditions":
        edit_json(folder / "core.json", lambda record: record["conditions"].update(expression_dim=7))
    elif change == "scheduler":
        (folder / "scheduler" / "scheduler_config.json").unlink()
    elif change == "prediction":
        edit_json(folder / "scheduler" / "scheduler_config.json", lambda record: record.update(prediction_type="sample"))
    elif change == "betas":
        edit_json(folder / "scheduler" / "scheduler_config.json", lambda record: record.update(trained_betas=[0.1]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("folder", r"core\.json\" does not exist \(nor does its folder .*\)\. Give models\.core the folder"),
        ("core.json", r"core\.json\" does not exist\. Give models\.core the folder"),
        ("bad json", r"core\.json\" is no readable JSON"),
        ("list", "holds a list, expected an object"),
        ("other core", r'says core "arc2face", expected "diffsfsr"\. Give'),
        ("field", r"is incomplete \(TypeError: .*colour.*\)\. Restore"),
        ("kind", r"is incomplete \(KeyError: 'vq'\)\. Restore"),
        ("size", r"is for 17 pixels, its autoencoder for 16\. Take all parts from one training"),
        ("unet", r"unet.*can't be read: the file does not exist\. Download"),
        ("corrupt", r"unet.*is damaged \(.*\)\. Fetch the file again"),
        ("no safetensors", r"unet.*is damaged \(.*\)\. Fetch the file again"),
        ("lfs", r"conditions\.safetensors\" is damaged"),
        ("class", "holds a ControlNetModel, expected UNet2DConditionModel"),
        ("config", r"describes no usable UNet2DConditionModel \(.*\)\. Restore"),
        ("shape", r"conv_in\.weight has shape \(32, 9, 3, 3\), expected \(32, 8, 3, 3\)"),
        ("tensors", r"lacks \d+ tensors and has 0 too many \(.* is missing\)"),
        ("conditions", r"expression\.layers\.0\.weight has shape \(24, 6\), expected \(24, 7\)"),
        ("scheduler", r"scheduler_config\.json\" does not exist\. Copy the folder scheduler"),
        ("prediction", r'has prediction_type "sample", expected one of epsilon, v_prediction'),
        ("betas", "has trained or rescaled betas"),
    ],
)
def test_every_damage_is_named_with_its_remedy(saved, tmp_path, change, says):
    folder = tmp_path / "core"
    shutil.copytree(saved, folder)
    damage(change, folder)
    with pytest.raises(WeightsError, match=says):
        load_core(folder)


def test_weights_beyond_half_precision_are_not_saved(tmp_path):
    core = tiny.core()
    with torch.no_grad():
        core.denoiser.unet.conv_out.bias[0] = 1e6
    with pytest.raises(WeightsError, match=r"conv_out\.bias .* has values that float16 can't hold"):
        save_core(core, tmp_path)
    assert not (tmp_path / "core.json").exists()


def test_presets_name_their_sizes():
    assert list(PRESETS) == ["bundled-128", "sd14-512"]
    paper = PRESETS["sd14-512"]
    assert (paper.size, paper.mask_channel, paper.conditions.token_dim) == (512, False, 768)
    assert len(paper.conditions.identity_dims) == 3  # DiffSFSR, section 3.1


def test_the_schedule_is_stable_diffusions_by_default(published):
    assert read_schedule(published) == Schedule(prediction_type="epsilon")


def test_the_bundled_core_makes_pictures(bundled):
    if not (bundled / "core" / "core.json").is_file():
        pytest.skip("no bundled core")
    core = load_core(bundled / "core", dtype="bfloat16")
    assert isinstance(core.denoiser, SFSRDenoiser)
    assert core.size == PRESETS["bundled-128"].size
    assert core.conditions.config.identity_dims == PRESETS["bundled-128"].conditions.identity_dims
