"""Cores from folders and back: our own core folder, and a local Stable Diffusion folder as the start of a training."""

# C latent channels, D token width

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from generator.autoencoder import Autoencoder, KLAutoencoder
from generator.conditions import ConditionConfig, ConditionEncoder
from generator.denoiser import SFSRDenoiser, widen_conv_in
from generator.diffsfsr import DiffSFSR, Precision
from generator.few_steps import FILE_NAME, read_few_steps
from generator.patch_autoencoder import PatchAutoencoder
from generator.sampler import Schedule
from manifests.errors import WeightsError

CORE_NAME = "diffsfsr"
MODEL_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")  # the first that is there is read
# Names of the attention weights in autoencoders that were saved before diffusers 0.18, Stable Diffusion's among them.
OLD_ATTENTION_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True, kw_only=True)
class CorePreset:
    """Sizes of a core that is trained anew."""

    size: int  # side of the pictures, pixels
    mask_channel: bool  # 2C + 1 input channels of the UNet, as Stable Diffusion's inpainting has, instead of the paper's 2C
    conditions: ConditionConfig


PRESETS: dict[str, CorePreset] = {
    "bundled-128": CorePreset(
        size=128,
        mask_channel=True,
        conditions=ConditionConfig(
            identity_dims={"identity_arc": 256, "identity_metric": 128, "identity_triplet": 128}, expression_dim=32, token_dim=256, tokens_per_condition=4
        ),
    ),
    # DiffSFSR, section 3.1: ArcFace, dlib's ResNet and FaceNet; DLN, whose embedding has 16 numbers.
    "sd14-512": CorePreset(
        size=512,
        mask_channel=False,
        conditions=ConditionConfig(identity_dims={"arcface": 512, "dlib": 128, "facenet": 512}, expression_dim=16, token_dim=768, hidden_dim=1024),
    ),
}


def load_core(folder: Path, *, device: str = "cpu", dtype: Precision = "float32") -> DiffSFSR:
    """Reads what save_core wrote: core.json, conditions.safetensors, the folders vae, unet and scheduler, and few_steps.safetensors where it is there.

    Weights are float32 in memory, whatever the files hold. Raises WeightsError when anything is missing, altered or of another kind.
    """
    folder = Path(folder)
    record = _read_json(
        folder, "core.json", 'Give models.core the folder of a facemint core; a Stable Diffusion folder has to be trained first ("facemint train").'
    )
    if record.get("core") != CORE_NAME:
        raise WeightsError(f'core: "{folder / "core.json"}" says core "{record.get("core")}", expected "{CORE_NAME}". Give the folder of a {CORE_NAME} core.')
    try:
        loader = AUTOENCODERS[record["autoencoder"]]
        config = ConditionConfig(**record["conditions"])
        size = int(record["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f'core: "{folder / "core.json"}" is incomplete ({type(error).__name__}: {error}). Restore it from where the weights came from.'
        ) from error
    autoencoder = loader(folder / "vae", size)
    if autoencoder.latent_shape[1] * autoencoder.factor != size:
        made = autoencoder.latent_shape[1] * autoencoder.factor
        raise WeightsError(f'core: "{folder}" is for {size} pixels, its autoencoder for {made}. Take all parts from one training.')
    unet = _load_model(UNet2DConditionModel, folder / "unet")
    conditions = ConditionEncoder(config)
    _fill(conditions, _read_tensors(folder / "conditions.safetensors"), folder / "conditions.safetensors")
    denoiser = _denoiser(unet, folder / "unet")
    few_steps = read_few_steps(folder / FILE_NAME, denoiser) if (folder / FILE_NAME).is_file() else None
    return DiffSFSR(
        autoencoder=autoencoder, conditions=conditions, denoiser=denoiser, schedule=read_schedule(folder), few_steps=few_steps, device=device, dtype=dtype
    )


def save_core(core: DiffSFSR, folder: Path, *, half: bool = True, licence: str = "Apache-2.0") -> None:
    """Writes a core folder; unet, scheduler and an AutoencoderKL are laid out as diffusers does. core.json comes last.

    half  keep weights as float16; reading and writing again changes nothing more. Few-step additions are float16 always, and belong
          to the denoiser's numbers as they are in memory: those of a denoiser that float16 rounds are refused when they are used.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(core.autoencoder, PatchAutoencoder):
        kind = "patch"
        core.autoencoder.save(folder / "vae", half=half)
    elif isinstance(core.autoencoder, KLAutoencoder):
        kind = "kl"
        _save_model(core.autoencoder.autoencoder, folder / "vae", half=half)
    else:
        raise WeightsError(f"core: an autoencoder of class {type(core.autoencoder).__name__} can't be saved. Use PatchAutoencoder or KLAutoencoder.")
    _save_model(core.denoiser.unet, folder / "unet", half=half)
    _write_tensors(core.conditions.state_dict(), folder / "conditions.safetensors", half=half)
    if core.few_steps is not None:
        core.few_steps.save(folder / FILE_NAME)
    PNDMScheduler(**asdict(core.schedule), skip_prk_steps=True, steps_offset=1).save_config(folder / "scheduler")
    record = {"core": CORE_NAME, "autoencoder": kind, "size": core.size, "conditions": asdict(core.conditions.config), "licence": licence}
    temporary = folder / ".core.json.tmp"
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, folder / "core.json")


def core_from_stable_diffusion(folder: Path, preset: CorePreset, *, seed: int, device: str = "cpu", dtype: Precision = "float32") -> DiffSFSR:
    """A core to train from a local Stable Diffusion 1.4 or 1.5 folder (unet, vae, scheduler in safetensors files; inpainting ones too).

    The UNet's new input channels start at zero, so its first prediction is the published one; the condition perceptrons are fresh,
    drawn from `seed`. Nothing is downloaded.
    """
    folder = Path(folder)
    unet = _load_model(UNet2DConditionModel, folder / "unet")
    channels = 2 * unet.config.out_channels + preset.mask_channel
    try:
        widen_conv_in(unet, in_channels=channels)
    except ValueError as error:
        raise WeightsError(f'Stable Diffusion folder: "{folder / "unet"}": {error}. Choose the preset with a mask channel.') from error
    autoencoder = KLAutoencoder(_load_model(AutoencoderKL, folder / "vae"), size=preset.size)
    conditions = ConditionEncoder(preset.conditions)
    draw_weights(conditions, seed)
    return DiffSFSR(
        autoencoder=autoencoder, conditions=conditions, denoiser=_denoiser(unet, folder / "unet"), schedule=read_schedule(folder), device=device, dtype=dtype
    )


def draw_weights(network: nn.Module, seed: int) -> None:
    """Draws the linear layers of `network` anew from `seed`, by torch's own rule (uniform within +- 1 / sqrt(inputs))."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                for parameter in layer.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)


def read_schedule(folder: Path) -> Schedule:
    """The training schedule in scheduler/scheduler_config.json, of whichever diffusers scheduler."""
    path = folder / "scheduler" / "scheduler_config.json"
    record = _read_json(folder / "scheduler", path.name, "Copy the folder scheduler from where the weights came from.")
    known = {"prediction_type": ("epsilon", "v_prediction"), "beta_schedule": ("scaled_linear", "linear")}
    fields = {name: record[name] for name in Schedule.__dataclass_fields__ if name in record}
    fields.setdefault("prediction_type", "epsilon")  # subtle: Stable Diffusion 1.4 was saved before diffusers had this field
    for name, choices in known.items():
        if fields.get(name, choices[0]) not in choices:
            raise WeightsError(f'core: "{path}" has {name} "{fields[name]}", expected one of {", ".join(choices)}. Use weights trained with such a schedule.')
    if record.get("trained_betas") is not None or record.get("rescale_betas_zero_snr"):
        raise WeightsError(f'core: "{path}" has trained or rescaled betas, which are not supported. Use weights trained with a plain schedule.')
    return Schedule(**fields)


def _load_model(model_class: Any, folder: Path) -> Any:
    """A diffusers model from its folder, in float32, without drawing weights that would be overwritten."""
    config = _read_json(folder, "config.json", "Give a folder with unet, vae and scheduler as diffusers saves them.")
    if config.get("_class_name") != model_class.__name__:
        raise WeightsError(f'core: "{folder}" holds a {config.get("_class_name")}, expected {model_class.__name__}. Give the folder of another model.')
    path = next((folder / name for name in MODEL_FILES if (folder / name).is_file()), folder / MODEL_FILES[0])
    tensors = _read_tensors(path)
    try:
        with torch.device("meta"):
            model = model_class.from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise WeightsError(
            f'core: "{folder / "config.json"}" describes no usable {model_class.__name__} ({error}). Restore it from where it came from.'
        ) from error
    _fill(model, {_current_name(name): tensor for name, tensor in tensors.items()}, path)
    return model.eval()


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Puts tensors into the network, every one of its and no other."""
    own = network.state_dict()
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        first = f"{missing[0]} is missing" if missing else f"{unknown[0]} is unknown"
        raise WeightsError(f'core: "{path}" lacks {len(missing)} tensors and has {len(unknown)} too many ({first}). It belongs to another configuration.')
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            got, expected = tuple(tensor.shape), tuple(own[name].shape)
            raise WeightsError(f'core: "{path}": {name} has shape {got}, expected {expected}. The file belongs to another configuration.')
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    network.requires_grad_(True)


def _load_kl(folder: Path, size: int) -> Autoencoder:
    return KLAutoencoder(_load_model(AutoencoderKL, folder), size=size)


def _load_patch(folder: Path, size: int) -> Autoencoder:
    return PatchAutoencoder.load(folder)


# How core.json's "autoencoder" is read.
AUTOENCODERS = {"patch": _load_patch, "kl": _load_kl}


def _denoiser(unet: UNet2DConditionModel, folder: Path) -> SFSRDenoiser:
    try:
        return SFSRDenoiser(unet)
    except ValueError as error:
        raise WeightsError(f'core: "{folder}": {error}. Give the UNet of a DiffSFSR core.') from error


def _save_model(model: Any, folder: Path, *, half: bool) -> None:
    model.save_config(folder)
    _write_tensors(model.state_dict(), folder / MODEL_FILES[0], half=half)


def _write_tensors(tensors: Mapping[str, Tensor], path: Path, *, half: bool) -> None:
    stored = {name: tensor.detach().to("cpu", torch.float16 if half else torch.float32).contiguous() for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f'core: {name} of "{path}" has values that {"float16" if half else "float32"} can\'t hold. Train again, or save without half.')
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(stored, temporary, metadata={"format": "pt"})
    os.replace(temporary, path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        others = sorted(p.name for p in path.parent.glob("*.bin")) if path.parent.is_dir() else []
        reason = f"the folder holds {', '.join(others)}, a pickle, which may run code when it is read" if others else "the file does not exist"
        raise WeightsError(f'core: "{path}" can\'t be read: {reason}. Download the safetensors file of the same model, or convert it with diffusers.')
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f'core: "{path}" is damaged ({error}). Fetch the file again and compare its sha256.') from error


def _read_json(folder: Path, name: str, remedy: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        what = "does not exist" if folder.is_dir() else f'does not exist (nor does its folder "{folder}")'
        raise WeightsError(f'core: "{path}" {what}. {remedy}')
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f'core: "{path}" is no readable JSON ({error}). {remedy}') from error
    if not isinstance(record, dict):
        raise WeightsError(f'core: "{path}" holds a {type(record).__name__}, expected an object. {remedy}')
    return record


def _current_name(name: str) -> str:
    """A tensor's name as diffusers calls it today."""
    parts = name.split(".")
    if "attentions" in parts and parts[-2] in OLD_ATTENTION_NAMES:
        return ".".join([*parts[:-2], OLD_ATTENTION_NAMES[parts[-2]], parts[-1]])
    return name
