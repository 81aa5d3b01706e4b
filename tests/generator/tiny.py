"""Random networks in the layouts of the real ones, small enough to run in milliseconds, and rows to run them on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel

from generator.autoencoder import KLAutoencoder
from generator.conditions import ConditionConfig, ConditionEncoder
from generator.denoiser import SFSRDenoiser
from generator.diffsfsr import DiffSFSR
from generator.loading import draw_weights
from generator.sampler import SamplerConfig, Schedule
from manifests.rows import ConditionBatch

SIZE = 16
CONDITIONS = ConditionConfig(identity_dims={"arc": 12, "metric": 8}, expression_dim=6, token_dim=16, tokens_per_condition=2, hidden_dim=24)
FAST = SamplerConfig(kind="dpm++", steps=3, guidance=2.0)


def unet(*, in_channels: int = 9, seed: int = 0) -> UNet2DConditionModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=8,
            in_channels=in_channels,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(32, 64),
            layers_per_block=1,
            cross_attention_dim=16,
            attention_head_dim=2,
            norm_num_groups=8,
        ).eval()


def autoencoder_kl(*, seed: int = 1) -> AutoencoderKL:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(16, 32),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=SIZE,
            scaling_factor=0.5,
        ).eval()


def condition_encoder(*, seed: int = 2) -> ConditionEncoder:
    encoder = ConditionEncoder(CONDITIONS)
    draw_weights(encoder, seed)
    return encoder


def core(*, in_channels: int = 9, prediction_type: str = "v_prediction", dtype: str = "float32") -> DiffSFSR:
    return DiffSFSR(
        autoencoder=KLAutoencoder(autoencoder_kl(), size=SIZE),
        conditions=condition_encoder(),
        denoiser=SFSRDenoiser(unet(in_channels=in_channels)),
        schedule=Schedule(prediction_type=prediction_type),
        dtype=dtype,
    )


def rows(count: int, *, seed: int = 0) -> ConditionBatch:
    """Random pictures with a face in the middle and random embeddings; row i depends on (seed, i) alone."""
    draws = [np.random.default_rng([seed, i]) for i in range(count)]
    identity = {name: np.stack([d.standard_normal(dim, dtype=np.float32) for d in draws]) for name, dim in CONDITIONS.identity_dims.items()}
    mask = np.zeros((count, SIZE, SIZE), dtype=np.uint8)
    mask[:, 5:10, 5:11] = 1
    return ConditionBatch(
        identity_embeddings={name: e / np.linalg.norm(e, axis=1, keepdims=True) for name, e in identity.items()},
        expression_embedding=np.stack([d.standard_normal(CONDITIONS.expression_dim, dtype=np.float32) for d in draws]),
        background_rgb=np.stack([d.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for d in draws]),
        face_mask=mask,
    )


def stable_diffusion_folder(folder: Path, *, in_channels: int = 4) -> Path:
    """A diffusers folder as Stable Diffusion 1.4 is published, as far as a core reads it."""
    unet(in_channels=in_channels).save_pretrained(folder / "unet")
    autoencoder_kl().save_pretrained(folder / "vae")
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1)
    scheduler.save_pretrained(folder / "scheduler")
    path = folder / "scheduler" / "scheduler_config.json"
    record = json.loads(path.read_text())
    del record["prediction_type"]  # as in the published file
    path.write_text(json.dumps(record))
    return folder
