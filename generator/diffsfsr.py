"""The DiffSFSR core: background, identity and expression of N rows in, N pictures out."""

# N rows, C h w latents, L tokens, D token width, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.autoencoder import Autoencoder
from generator.conditions import ConditionEncoder
from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.few_steps import FewSteps
from generator.masks import alpha, composite, empty_background, hole, latent_mask
from generator.sampler import SamplerConfig, Schedule, row_noise, sample
from manifests.errors import InputError, WeightsError
from manifests.rows import ConditionBatch

Network = TypeVar("Network", bound=nn.Module)
Precision = Literal["float32", "bfloat16"]
PRECISIONS: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class DiffSFSR:
    """Simultaneous face swapping and reenactment by inpainting: diffusion inside the face's hole, the background's bytes elsewhere.

    Weights stay float32; with dtype "bfloat16" the denoiser's matrix products and convolutions run in bfloat16 (autocast).
    Equal inputs, weights, batch shape, number of threads, device type and library versions give equal bytes: sums are cut by thread.
    """

    def __init__(self, *, autoencoder: Autoencoder, conditions: ConditionEncoder, denoiser: SFSRDenoiser, schedule: Schedule,
                 few_steps: FewSteps | None = None, device: str = "cpu", dtype: Precision = "float32") -> None:  # fmt: skip
        _check_parts(autoencoder, conditions, denoiser)
        self.device = torch.device(device)
        self.dtype = PRECISIONS[dtype]
        self.autoencoder = _channels_last(autoencoder.to(self.device).eval())
        self.conditions = conditions.to(self.device).eval()
        self.denoiser = _channels_last(denoiser.to(self.device).eval())
        self.schedule = schedule
        self.few_steps = few_steps
        self._distilled: SFSRDenoiser | None = None

    @property
    def size(self) -> int:
        """Side of the pictures, pixels."""
        return self.autoencoder.latent_shape[1] * self.autoencoder.factor

    def generate(self, conditions: ConditionBatch, seeds: NDArray[np.integer], sampler: SamplerConfig) -> NDArray[np.uint8]:
        """Pictures (N, H, W, 3) of the rows; outside a row's hole its bytes are those of background_rgb.

        seeds  (N,) integers, 0 .. 2^63 - 1; with equal batch shape a row's picture depends on its own seed and conditions only.
        Identity embeddings of encoders that this core does not know are left aside.
        """
        return self.draw(conditions, seeds, sampler)[0]

    def draw(self, conditions: ConditionBatch, seeds: NDArray[np.integer], sampler: SamplerConfig) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """What `generate` gives, and (N,) whether the network's numbers were finite; where they weren't, the hole is black."""
        self._check_inputs(conditions, seeds)
        denoiser = self.denoiser_for(sampler)
        if not conditions.num_rows:
            return conditions.background_rgb.copy(), np.zeros(0, dtype=np.bool_)
        holes = np.stack([hole(mask) for mask in conditions.face_mask])
        with torch.inference_mode():
            inputs = self.inputs(conditions, holes)
            null_context = self.conditions.null(conditions.num_rows)
            noise = row_noise(seeds.tolist(), self.autoencoder.latent_shape).to(self.device)
            # subtle: the autoencoder stays outside, bfloat16 pictures would be off by a grey level here and there
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                latents = sample(denoiser, inputs, null_context, noise, sampler, self.schedule)
            pictures, finite = self._decode(latents)
        return composite(pictures, conditions.background_rgb, np.stack([alpha(h) for h in holes])), finite

    def denoiser_for(self, sampler: SamplerConfig) -> SFSRDenoiser:
        """The denoiser that a sampler calls: the core's own, or for a distilled kind a copy with the few-step additions merged in, kept from then on.

        Raises WeightsError where the core has no additions or they belong to another denoiser, ConfigError for another guidance than theirs.
        """
        if not sampler.method.distilled:
            return self.denoiser
        if self.few_steps is None:
            raise WeightsError(
                f'core: sampler kind "{sampler.kind}" needs few-step weights, and this core has none (few_steps.safetensors). '
                'Train them with "facemint train few_steps", or use kind dpm++.'
            )
        self.few_steps.check_guidance(sampler.guidance)
        if self._distilled is None:
            self._distilled = _channels_last(self.few_steps.merged(self.denoiser).to(self.device).eval())
        return self._distilled

    def inputs(self, conditions: ConditionBatch, holes: NDArray[np.uint8]) -> DenoiserInputs:
        """What the denoiser sees of the rows, given their holes (N, H, W): condition tokens, emptied background latents, mask."""
        images = torch.from_numpy(np.ascontiguousarray(conditions.background_rgb)).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        area = torch.from_numpy(holes).to(self.device)[:, None].float()  # (N, 1, H, W)
        identity = {name: self._tensor(conditions.identity_embeddings[name]) for name in self.conditions.config.identity_dims}
        return DenoiserInputs(
            context=self.conditions(identity, self._tensor(conditions.expression_embedding)),
            background_latents=self.autoencoder.encode(empty_background(images, area)).float(),
            mask=latent_mask(area, self.autoencoder.factor),
        )

    def _decode(self, latents: Tensor) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        pictures = self.autoencoder.decode(latents).float()  # (N, 3, H, W)
        finite = torch.isfinite(latents).flatten(1).all(1) & torch.isfinite(pictures).flatten(1).all(1)
        pictures = torch.where(finite[:, None, None, None], pictures, -1.0)  # subtle: what a NaN is as a byte differs by device
        return ((pictures + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy(), finite.cpu().numpy()

    def _tensor(self, embedding: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(embedding)).to(self.device)

    def _check_inputs(self, conditions: ConditionBatch, seeds: NDArray[np.integer]) -> None:
        config = self.conditions.config
        height, width = conditions.background_rgb.shape[1:3]
        if (height, width) != (self.size, self.size):
            raise InputError(
                f"core: backgrounds are {width} x {height} pixels, this core makes {self.size} x {self.size}. Align the pictures to that size first."
            )
        for name, dim in config.identity_dims.items():
            if name not in conditions.identity_embeddings:
                given = ", ".join(sorted(conditions.identity_embeddings)) or "none"
                raise InputError(
                    f'core: no identity embedding by "{name}" (given: {given}). Encode the identities with the encoders that this core was trained with.'
                )
            _check_width(f'identity embedding by "{name}"', conditions.identity_embeddings[name], dim)
        _check_width("expression embedding", conditions.expression_embedding, config.expression_dim)
        if seeds.shape != (conditions.num_rows,) or not np.issubdtype(seeds.dtype, np.integer):
            raise InputError(f"core: seeds are {seeds.dtype} {seeds.shape}, expected ({conditions.num_rows},) integers, one per row.")
        if len(seeds) and not 0 <= int(seeds.min()) <= int(seeds.max()) < 2**63:
            raise InputError(f"core: seeds reach from {seeds.min()} to {seeds.max()}, expected 0 to 2^63 - 1. Use row_seed of the manifest.")


def _channels_last(network: Network) -> Network:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs don't know this form
    return network


def _check_width(what: str, embedding: NDArray[np.float32], dim: int) -> None:
    if embedding.shape[1] != dim:
        raise InputError(f"core: {what} has {embedding.shape[1]} numbers, expected {dim}. It comes from another encoder than this core was trained with.")


def _check_parts(autoencoder: Autoencoder, conditions: ConditionEncoder, denoiser: SFSRDenoiser) -> None:
    channels, cells, _ = autoencoder.latent_shape
    unet = denoiser.unet.config
    misfits: Sequence[tuple[bool, str]] = (
        (cells % 2 ** (len(unet.block_out_channels) - 1) != 0, f"{cells} latent cells a side can't be halved {len(unet.block_out_channels) - 1} times"),
        (unet.out_channels != channels, f"the UNet makes {unet.out_channels} latent channels, the autoencoder has {channels}"),
        (unet.cross_attention_dim != conditions.config.token_dim,
         f"the UNet reads tokens of width {unet.cross_attention_dim}, the condition encoder makes {conditions.config.token_dim}"),
    )  # fmt: skip
    for wrong, reason in misfits:
        if wrong:
            raise WeightsError(f"core: its parts don't fit, {reason}. Take all parts from one training.")
