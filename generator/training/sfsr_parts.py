"""The bundled SFSR network: built from the parts trained before it, and exported as a core folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file

from generator.conditions import ConditionConfig, ConditionEncoder
from generator.denoiser import SFSRDenoiser, bundled_unet
from generator.diffsfsr import DiffSFSR
from generator.loading import load_core, save_core
from generator.patch_autoencoder import PatchAutoencoder
from generator.sampler import Schedule
from generator.training.augment import to_unit
from generator.training.corpus import Corpus
from generator.training.embeddings import EXPRESSION_FILES, IDENTITY_FILES, kept_embeddings
from generator.training.loop import LoopConfig
from generator.training.onnx_net import OnnxNet
from generator.training.perceptual import PerceptualLosses
from generator.training.sfsr import SFSRConfig, SFSRNetwork, SFSRTask
from generator.training.sfsr_pairs import encode_corpus

TOKEN_DIM = 256
TOKENS_PER_CONDITION = 4


def loop_config(steps: int) -> LoopConfig:
    """How the bundled denoiser is trained."""
    return LoopConfig(steps=steps, batch_size=24, learning_rate=5e-4, ema_decay=0.998)


def fresh_network(embeddings: dict[str, np.ndarray], *, seed: int = 0) -> SFSRNetwork:
    """The untrained denoiser and condition encoder for embeddings of these widths."""
    torch.manual_seed(seed)
    config = ConditionConfig(
        identity_dims={name: embeddings[name].shape[-1] for name in IDENTITY_FILES},
        expression_dim=embeddings["expression"].shape[-1], token_dim=TOKEN_DIM, tokens_per_condition=TOKENS_PER_CONDITION,
    )  # fmt: skip
    unet = bundled_unet()
    # at this size the fused attention made a training step on a CPU a tenth slower than the plain one
    unet.set_attn_processor(AttnProcessor())
    return SFSRNetwork(ConditionEncoder(config), SFSRDenoiser(unet))


def perceptual_losses(autoencoder: PatchAutoencoder, bundled: Path, *, identity_weight: float, expression_weight: float) -> PerceptualLosses:
    """Losses through the ONNX files of a bundled folder: the very encoders that condition, and no judge."""
    return PerceptualLosses(
        autoencoder, {name: OnnxNet(bundled / file) for name, file in IDENTITY_FILES.items()}, OnnxNet(bundled / EXPRESSION_FILES["expression"]),
        identity_weight=identity_weight, expression_weight=expression_weight,
    )  # fmt: skip


def started_network(core: Path) -> SFSRNetwork:
    """The trained denoiser and condition encoder of a core folder, to go on with."""
    trained = load_core(core)
    # at this size the fused attention made a training step on a CPU a tenth slower than the plain one
    trained.denoiser.unet.set_attn_processor(AttnProcessor())
    # subtle: a core computes channels last, which made a training step slower and would pair moments otherwise
    trained.denoiser.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stubs don't know this form
    return SFSRNetwork(trained.conditions, trained.denoiser).requires_grad_(True)


def build(corpus: Corpus, work: Path, bundled: Path, config: SFSRConfig | None = None, *, start: Path | None = None) -> SFSRTask:
    """The task on all identities that are not held out; latents and embeddings are kept in the work folder.

    start  core folder whose denoiser and condition encoder are trained further; None: fresh ones
    """
    config = config or SFSRConfig()
    seen = corpus.rows(~corpus.held_out)
    autoencoder = PatchAutoencoder.load(bundled / "core" / "vae")
    latents = encode_corpus(seen, autoencoder, work)
    embeddings = kept_embeddings(seen, bundled, work)
    perceptual = None
    if config.perceptual_every:
        perceptual = perceptual_losses(autoencoder, bundled, identity_weight=config.identity_weight, expression_weight=config.expression_weight)
    network = fresh_network(embeddings) if start is None else started_network(start)
    return SFSRTask(seen, latents, embeddings, network, config, channel_scale=autoencoder.deviation, perceptual=perceptual)


def load_network(work: Path) -> SFSRNetwork:
    """The network with the averaged weights of a training in `work`."""
    state = load_file(work / "sfsr.safetensors")
    dims = {name: state[f"conditions.identity.{name}.layers.0.weight"].shape[1] for name in IDENTITY_FILES}
    widths = {**dims, "expression": state["conditions.expression.layers.0.weight"].shape[1]}
    network = fresh_network({name: np.empty((0, width)) for name, width in widths.items()})
    network.load_state_dict(state)
    return network.eval()


def export(work: Path, bundled: Path) -> dict[str, float]:
    """Writes the core folder from the averaged weights; returns its size."""
    network = load_network(work)
    core = DiffSFSR(
        autoencoder=PatchAutoencoder.load(bundled / "core" / "vae"), conditions=network.conditions, denoiser=network.denoiser,
        schedule=Schedule(prediction_type="v_prediction"), device="cpu", dtype="float32",
    )  # fmt: skip
    save_core(core, bundled / "core")
    return {"megabytes": sum(f.stat().st_size for f in (bundled / "core").rglob("*") if f.is_file()) / 1e6}


@torch.inference_mode()
def measure_autoencoder(network: PatchAutoencoder, corpus: Corpus) -> dict[str, float]:
    """Peak signal-to-noise ratio on held-out portraits, dB: whole picture, face, eyes and mouth; linear code alone beside it."""
    held = corpus.rows(corpus.held_out)
    images = to_unit(held.images_rgb)
    areas = {"all": np.ones_like(held.labels, dtype=bool), "face": np.isin(held.labels, (1, 4, 5, 6)), "eyes_mouth": np.isin(held.labels, (4, 5, 6))}
    figures = {}
    for kind in ("decode", "decode_linear"):
        decode = getattr(network, kind)
        made = torch.cat([decode(network.encode(images[i : i + 32])).clamp(-1, 1) for i in range(0, len(images), 32)])
        squared = ((made - images) ** 2).mean(dim=1).numpy()
        for name, area in areas.items():
            figures[f"{kind}_psnr_db_{name}"] = float(10 * np.log10(4 / squared[area].mean()))
    return figures
