"""From noise to latents: the training schedule, four published samplers, classifier-free guidance and one noise source per row."""

# B rows, C latent channels, h w latent cells, L tokens, D token width

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler
from torch import Tensor

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.midpoint import epsilon_from_velocity
from manifests.errors import ConfigError

SamplerKind = Literal["pndm", "dpm++", "ddim", "consistency"]
PredictionType = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A sampler: the scheduler with its settings, and what it asks of its caller."""

    scheduler: Any
    settings: Mapping[str, Any]
    fewest_steps: int = 1
    most_steps: int = 1000
    distilled: bool = False  # its denoiser has learned the jumps and the guidance (generator/few_steps.py), so a step is one conditional call


DDIM = {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"}

# PNDM as Stable Diffusion and DiffSFSR use it; the others start at the last timestep, where the network was trained on almost pure
# noise, and end at clean latents. A consistency-distilled denoiser takes DDIM's steps, each from the top of a phase to its lower end.
METHODS: dict[str, Method] = {
    "pndm": Method(
        scheduler=PNDMScheduler,
        settings={"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"},
        fewest_steps=4,  # subtle: its multistep formula looks back over four predictions
    ),
    "dpm++": Method(scheduler=DPMSolverMultistepScheduler, settings={"algorithm_type": "dpmsolver++", "solver_order": 2, "timestep_spacing": "trailing"}),
    "ddim": Method(scheduler=DDIMScheduler, settings=DDIM),
    "consistency": Method(scheduler=DDIMScheduler, settings=DDIM, most_steps=8, distilled=True),
}


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How latents are drawn; DiffSFSR, section 4, uses PNDM with 50 steps."""

    kind: SamplerKind
    steps: int  # denoiser calls; PNDM makes one more
    guidance: float  # 1 means no guidance, and half the work; a distilled kind has the one that its weights learned, at no further work

    def __post_init__(self) -> None:
        if self.kind not in METHODS:
            raise ConfigError(f'sampler: kind is "{self.kind}", expected one of {", ".join(get_args(SamplerKind))}.')
        if not self.method.fewest_steps <= self.steps <= self.method.most_steps:
            raise ConfigError(f"sampler: steps is {self.steps}, expected {self.method.fewest_steps} to {self.method.most_steps} for {self.kind}.")
        if not 0 <= self.guidance <= 20:
            raise ConfigError(f"sampler: guidance is {self.guidance}, expected 0 to 20; 1 means none, 2 to 4 is usual.")

    @property
    def method(self) -> Method:
        """What the kind stands for."""
        return METHODS[self.kind]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The noise schedule that a denoiser was trained with, and what it predicts."""

    prediction_type: PredictionType
    num_train_timesteps: int = 1000
    beta_start: float = 0.00085  # Stable Diffusion's
    beta_end: float = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"


def make_scheduler(kind: SamplerKind, schedule: Schedule) -> Any:
    """A fresh diffusers scheduler for a network with this schedule; it is given noise estimates, whatever the network predicts.

    subtle: diffusers' PNDM extrapolates what it is given. Noise is what Liu et al. (2022) extrapolate; velocities drift.
    """
    method = METHODS[kind]
    return method.scheduler(**{**asdict(schedule), "prediction_type": "epsilon"}, **method.settings)


def row_noise(seeds: Iterable[int], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise, (N, *shape) float32 on the CPU; row i depends on seed i alone, so batches may be cut anywhere.

    seeds  0 .. 2^63 - 1
    """
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])


def guided(denoiser: SFSRDenoiser, latents: Tensor, timestep: Tensor, inputs: DenoiserInputs, null_context: Tensor, guidance: float) -> Tensor:
    """Prediction with classifier-free guidance, by one call on the rows with and without their conditions.

    latents       (B, C, h, w) noisy latents, unit variance at t = 0
    timestep      (B,) int64, 0 .. 999
    null_context  (B, L, D) context without identity and expression; the background stays
    guidance      w >= 0; 1 means no guidance and makes no null call
    returns       (B, C, h, w) float32

    Imagen (Saharia et al. 2022), eq. 2:  eps = w eps_cond + (1 - w) eps_null; linear, so it holds for velocities too
    """
    if guidance == 1:
        return denoiser(latents, timestep, inputs).float()
    both = DenoiserInputs(
        context=torch.cat([inputs.context, null_context.to(inputs.context.dtype)]),  # (2B, L, D)
        background_latents=torch.cat([inputs.background_latents] * 2),
        mask=torch.cat([inputs.mask] * 2),
    )
    conditional, null = denoiser(torch.cat([latents] * 2), torch.cat([timestep] * 2), both).float().chunk(2)
    return guidance * conditional + (1 - guidance) * null


def sample(denoiser: SFSRDenoiser, inputs: DenoiserInputs, null_context: Tensor, noise: Tensor, config: SamplerConfig, schedule: Schedule) -> Tensor:
    """Latents (B, C, h, w) of unit variance, from standard normal noise of the same shape.

    denoiser  of a distilled kind the one with its few-step additions, which makes no null call
    """
    if config.steps > schedule.num_train_timesteps:
        raise ConfigError(f"sampler: steps is {config.steps}, more than the {schedule.num_train_timesteps} timesteps that the denoiser was trained with.")
    scheduler = make_scheduler(config.kind, schedule)
    scheduler.set_timesteps(config.steps)
    guidance = 1.0 if config.method.distilled else config.guidance
    latents = noise
    for step in scheduler.timesteps.tolist():
        timestep = torch.full((len(latents),), step, device=latents.device)
        epsilon = guided(denoiser, latents, timestep, inputs, null_context, guidance)
        if schedule.prediction_type == "v_prediction":
            epsilon = epsilon_from_velocity(epsilon, latents, scheduler.alphas_cumprod[step])
        latents = scheduler.step(epsilon, step, latents, return_dict=False)[0]
    return latents
