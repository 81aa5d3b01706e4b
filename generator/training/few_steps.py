"""Distils the trained denoiser for few steps: phased consistency distillation, with classifier-free guidance learned in."""

# B rows, C h w latents
#
# Notation of Wang et al. (2024), Phased Consistency Models, section 3.1, and Luo et al. (2023), Latent Consistency Models, section 4.2:
#   t       timestep, and a_t the cumulative product of alpha there; -1 stands for clean latents, where it is 1
#   s_m     `lower`: where the phase that t belongs to ends, the timestep before the next phase's first
#   u       one step of the teacher below t, but not below s_m
#   f(z, t) DDIM step of a denoiser from t to s_m; a consistent one leads there from every point of a teacher's path through the phase

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from generator.denoiser import DenoiserInputs
from generator.few_steps import FewSteps, FewStepSettings, fingerprint
from generator.midpoint import epsilon_from_velocity, z0_estimate
from generator.sampler import PredictionType, guided
from generator.training.perceptual import PerceptualLosses
from generator.training.sfsr import NUM_TIMESTEPS, SFSRTask


@dataclass(frozen=True, kw_only=True)
class FewStepsConfig:
    """Choices of the distillation beside the loop's."""

    guidance: float = 3.0  # of the teacher; the student has it without a null call
    phases: int = 4  # steps that the student is to take
    interval: int = 50  # timesteps of one DDIM step of the teacher
    rank: int = 32  # of the additions
    target_decay: float = 0.95  # of the averaged student that makes the targets, a step
    huber: float = 0.01  # root mean square of a difference from which the loss grows as its size, not its square
    perceptual_every: int = 4  # 0: never; n: identity and expression losses of whole swaps on every n-th step
    perceptual_rows: int = 8
    tracked_steps: int = 2  # last steps of a swap that gradients flow through
    identity_weight: float = 0.01  # subtle: with ten times as much the student found grey, soft faces that recognisers like
    expression_weight: float = 0.005


class Distillation(nn.Module):
    """The student's additions and the slower ones that make its targets; both are kept, so that a training can go on."""

    def __init__(self, student: FewSteps, target: FewSteps) -> None:
        super().__init__()
        self.student = student
        self.target = target.requires_grad_(False)
        self.target.load_state_dict(student.state_dict())

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Moves the target towards the student."""
        torch._foreach_lerp_(list(self.target.parameters()), [p.detach() for p in self.student.parameters()], 1 - decay)


class FewStepsTask:
    """Consistency of the student within each phase of the noise schedule, on the training rows of SFSR.

    pairs       the SFSR task whose rows and trained network, the teacher, are used; the network is frozen
    perceptual  identity and expression losses of the pictures that whole swaps lead to; None: consistency alone
    start       additions of another denoiser of this shape to go on with; None: fresh ones, which are nothing
    """

    name = "few_steps"

    def __init__(self, pairs: SFSRTask, prediction_type: PredictionType, config: FewStepsConfig, *, perceptual: PerceptualLosses | None = None,
                 start: FewSteps | None = None) -> None:  # fmt: skip
        self.perceptual = perceptual
        self.pairs, self.corpus, self.config, self.prediction_type = pairs, pairs.corpus, config, prediction_type
        self.teacher = pairs.network.requires_grad_(False).eval()
        denoiser = self.teacher.denoiser
        settings = FewStepSettings(guidance=config.guidance, phases=config.phases, rank=config.rank, denoiser_sha256=fingerprint(denoiser))
        student = FewSteps(denoiser, settings)
        if start is not None:
            student.load_state_dict(start.state_dict())
        self.network = Distillation(student, FewSteps(denoiser, settings))
        self.alphas = torch.cat([torch.ones(1), pairs.alphas])  # [t + 1]; the first is that of clean latents

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """Pseudo-Huber distance between f(z_t, t) of the student and f(z_u, u) of its average; the average follows first."""
        self.network.follow(self.config.target_decay)
        rows = draw.integers(0, len(self.corpus), batch_size)
        with torch.no_grad():
            batch = self.pairs.batch(rows, draw)
            t = torch.from_numpy(((np.arange(batch_size) + draw.random()) / batch_size * NUM_TIMESTEPS).astype(np.int64))  # stratified
            noise = torch.from_numpy(draw.standard_normal(tuple(batch.latents.shape), dtype=np.float32))
            z_t = self.alpha(t).sqrt() * batch.latents + (1 - self.alpha(t)).sqrt() * noise
            target = self.target(z_t, t, batch.inputs)
        student = self.network.student.weights(self.teacher.denoiser)  # once for all jumps of the step
        made = self.jump(student, z_t, t, batch.inputs)
        weight = self.pairs.cell_weight(batch.inputs.mask) * self.pairs.channel_weight
        squared = ((made - target) ** 2 * weight).mean(dim=(1, 2, 3)) / weight.mean(dim=(1, 2, 3))  # (B,)
        c = self.config.huber
        distance = ((squared + c**2).sqrt() - c).mean()
        figures = {"distance": float(squared.detach().mean().sqrt())}
        if self.perceptual is None or not self.config.perceptual_every or step % self.config.perceptual_every:
            return distance, figures
        terms = self.perceptual_terms(self.perceptual, student, draw)
        return distance + torch.stack(list(terms.values())).sum(), {**figures, **{name: float(term.detach()) for name, term in terms.items()}}

    def perceptual_terms(self, perceptual: PerceptualLosses, student: Mapping[str, Tensor], draw: np.random.Generator) -> dict[str, Tensor]:
        """Identity and expression losses of whole swaps by the student, from noise to picture; gradients flow through the last steps.

        Training rows show one person each, and the null condition aside no loss on them tells what to do when background and identity
        are two people. So these are swaps, whose answer is in no corpus but whose person and expression can be read (Clark et al. 2024,
        Directly Fine-Tuning Diffusion Models on Differentiable Rewards, section 4).
        """
        count, phases = self.config.perceptual_rows, self.config.phases
        with torch.no_grad():
            batch = self.pairs.swaps(draw.integers(0, len(self.corpus), count), draw)
        z = torch.from_numpy(draw.standard_normal(tuple(batch.latents.shape), dtype=np.float32))
        for phase in reversed(range(phases)):
            with torch.set_grad_enabled(phase < self.config.tracked_steps):
                z = self.jump(student, z, torch.full((count,), (phase + 1) * (NUM_TIMESTEPS // phases) - 1), batch.inputs)
        return perceptual.of_latents(z, batch.perceptual_rows(slice(None)))

    def target(self, z_t: Tensor, t: Tensor, inputs: DenoiserInputs) -> Tensor:
        """Where the student should get from z_t: one guided step of the teacher, then the averaged student to the phase's end."""
        lower = self.lower(t)
        u = torch.maximum(t - self.config.interval, lower)
        null = self.teacher.conditions.null(len(z_t))
        z_u = self._ddim(guided(self.teacher.denoiser, z_t, t, inputs, null, self.config.guidance), z_t, t, u)
        arrived = (u == lower)[:, None, None, None]
        # subtle: u is -1 only where the phase's end is reached already, and there the jump is not taken
        return torch.where(arrived, z_u, self.jump(self.network.target.weights(self.teacher.denoiser), z_u, u.clamp(min=0), inputs))

    def jump(self, weights: Mapping[str, Tensor], z: Tensor, t: Tensor, inputs: DenoiserInputs) -> Tensor:
        """f(z, t): the denoiser with these weights in place of its own, and DDIM's step from t to the end of its phase."""
        prediction: Tensor = functional_call(self.teacher.denoiser, dict(weights), (z, t, inputs))
        return self._ddim(prediction.float(), z, t, self.lower(t))

    def lower(self, t: Tensor) -> Tensor:
        """End of the phase of each timestep (B,), -1 for clean latents; phases are those of DDIM's trailing timesteps."""
        length = NUM_TIMESTEPS // self.config.phases
        return torch.div(t, length, rounding_mode="floor") * length - 1

    def alpha(self, t: Tensor) -> Tensor:
        """a_t of timesteps (B,) from -1 on, (B, 1, 1, 1)."""
        return self.alphas[t + 1][:, None, None, None]

    def _ddim(self, prediction: Tensor, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Song et al. (2021), eq. 12 without noise, from t to s."""
        a_t, a_s = self.alpha(t), self.alpha(s)
        epsilon = epsilon_from_velocity(prediction, z, a_t) if self.prediction_type == "v_prediction" else prediction
        return a_s.sqrt() * z0_estimate(z, epsilon, a_t) + (1 - a_s).sqrt() * epsilon
