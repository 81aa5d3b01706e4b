from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.midpoint import velocity_from_epsilon
from generator.sampler import SamplerConfig, Schedule, guided, make_scheduler, row_noise, sample
from manifests.errors import ConfigError
from tests.generator import tiny

# diffusers' DPM-Solver converts tensors in a way that numpy 2 will drop one day.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EPSILON = Schedule(prediction_type="epsilon")
VELOCITY = Schedule(prediction_type="v_prediction")


class PointDenoiser(nn.Module):
    """The perfect denoiser of a distribution that is a single point: its noise estimate is exact."""

    def __init__(self, z_0: torch.Tensor, schedule: Schedule) -> None:
        super().__init__()
        self.z_0, self.schedule = z_0, schedule
        self.alphas = make_scheduler("ddim", schedule).alphas_cumprod
        self.calls: list[int] = []

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, inputs: DenoiserInputs) -> torch.Tensor:
        self.calls.append(len(latents))
        a = self.alphas[timestep][:, None, None, None]
        epsilon = (latents - a.sqrt() * self.z_0) / (1 - a).sqrt()
        return epsilon if self.schedule.prediction_type == "epsilon" else velocity_from_epsilon(epsilon, latents, a)


def inputs(count: int, *, seed: int = 0) -> DenoiserInputs:
    draw = torch.Generator().manual_seed(seed)
    return DenoiserInputs(
        context=torch.randn(count, 3, 16, generator=draw),
        background_latents=torch.randn(count, 4, 8, 8, generator=draw),
        mask=torch.rand(count, 1, 8, 8, generator=draw),
    )


@pytest.mark.parametrize(("kind", "steps", "tolerance"), [("pndm", 50, 0.12), ("dpm++", 20, 1e-3), ("ddim", 20, 1e-3)])
@pytest.mark.parametrize("schedule", [EPSILON, VELOCITY], ids=lambda s: s.prediction_type)
def test_samplers_arrive_where_a_perfect_denoiser_points(kind, steps, tolerance, schedule):
    z_0 = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(5))
    config = SamplerConfig(kind=kind, steps=steps, guidance=1)
    latents = sample(PointDenoiser(z_0, schedule), inputs(2), torch.zeros(2, 3, 16), row_noise([1, 2], (4, 8, 8)), config, schedule)
    assert (latents - z_0).abs().max() < tolerance


@pytest.mark.parametrize("kind", ["pndm", "dpm++", "ddim"])
def test_velocity_and_noise_predictions_of_one_denoiser_give_one_result(kind):
    z_0 = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(5))
    config = SamplerConfig(kind=kind, steps=7, guidance=1)
    made = [sample(PointDenoiser(z_0, s), inputs(1), torch.zeros(1, 3, 16), row_noise([1], (4, 8, 8)), config, s) for s in (EPSILON, VELOCITY)]
    torch.testing.assert_close(made[0], made[1], rtol=1e-3, atol=1e-3)


def test_pndm_50_visits_the_timesteps_of_the_published_pipeline():
    scheduler = make_scheduler("pndm", EPSILON)
    scheduler.set_timesteps(50)
    assert scheduler.timesteps[:4].tolist() == [981, 961, 961, 941]  # Stable Diffusion 1.4 in diffusers
    assert scheduler.timesteps[-1] == 1


@pytest.mark.parametrize("kind", ["dpm++", "ddim", "consistency"])
def test_the_other_samplers_start_at_the_noisiest_timestep(kind):
    scheduler = make_scheduler(kind, EPSILON)
    scheduler.set_timesteps(10)
    assert scheduler.timesteps[0] == 999


def test_noise_of_a_row_depends_on_its_seed_alone():
    noise = row_noise([3, 2**63 - 1, 7], (4, 8, 8))
    assert noise.shape == (3, 4, 8, 8)
    assert torch.equal(noise[2], row_noise([7], (4, 8, 8))[0])
    assert not torch.equal(noise[0], noise[1])
    assert abs(float(row_noise(range(64), (16, 16, 16)).std()) - 1) < 0.01


def test_noise_draws_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    row_noise([1, 2], (4, 8, 8))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_guidance_mixes_conditional_and_null_predictions():
    denoiser, rows, null = SFSRDenoiser(tiny.unet()), inputs(2), torch.zeros(2, 3, 16)
    latents, timestep = row_noise([1, 2], (4, 8, 8)), torch.tensor([500, 20])
    with torch.inference_mode():
        conditional = denoiser(latents, timestep, rows)
        nothing = denoiser(latents, timestep, dataclasses.replace(rows, context=null))
        mixed = guided(denoiser, latents, timestep, rows, null, 3.0)
    torch.testing.assert_close(mixed, 3 * conditional - 2 * nothing, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(conditional, nothing)


def test_guidance_one_is_the_conditional_prediction_without_a_null_call():
    denoiser, latents, timestep = SFSRDenoiser(tiny.unet()), row_noise([1, 2], (4, 8, 8)), torch.tensor([500, 20])
    nan = torch.full((2, 3, 16), torch.nan)
    with torch.inference_mode():
        assert torch.equal(guided(denoiser, latents, timestep, inputs(2), nan, 1), denoiser(latents, timestep, inputs(2)))


@pytest.mark.parametrize(("guidance", "rows_per_call"), [(1, 2), (2.5, 4)])
def test_a_step_is_one_call(guidance, rows_per_call):
    denoiser = PointDenoiser(torch.zeros(4, 8, 8), EPSILON)
    sample(denoiser, inputs(2), torch.zeros(2, 3, 16), row_noise([1, 2], (4, 8, 8)), SamplerConfig(kind="ddim", steps=3, guidance=guidance), EPSILON)
    assert denoiser.calls == [rows_per_call] * 3


def test_a_step_of_a_distilled_kind_is_one_conditional_call_whatever_the_guidance():
    denoiser = PointDenoiser(torch.zeros(4, 8, 8), EPSILON)
    nan = torch.full((2, 3, 16), torch.nan)
    sample(denoiser, inputs(2), nan, row_noise([1, 2], (4, 8, 8)), SamplerConfig(kind="consistency", steps=4, guidance=3.0), EPSILON)
    assert denoiser.calls == [2] * 4


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "euler"}, 'kind is "euler", expected one of pndm, dpm++, ddim, consistency'),
        ({"steps": 0}, "steps is 0, expected 1 to 1000"),
        ({"kind": "pndm", "steps": 3}, "expected 4 to 1000 for pndm"),
        ({"kind": "consistency", "steps": 9}, "steps is 9, expected 1 to 8 for consistency"),
        ({"guidance": -1.0}, "guidance is -1.0, expected 0 to 20"),
        ({"guidance": float("nan")}, "guidance is nan"),
    ],
)
def test_impossible_samplers_are_refused(wrong, says):
    with pytest.raises(ConfigError, match="sampler: ") as error:
        SamplerConfig(**{"kind": "dpm++", "steps": 20, "guidance": 2.0, **wrong})
    assert says in str(error.value)


def test_more_steps_than_timesteps_are_refused():
    schedule = Schedule(prediction_type="epsilon", num_train_timesteps=10)
    with pytest.raises(ConfigError, match="more than the 10 timesteps"):
        sample(
            SFSRDenoiser(tiny.unet()), inputs(1), torch.zeros(1, 3, 16), row_noise([1], (4, 8, 8)),
            SamplerConfig(kind="ddim", steps=11, guidance=1), schedule,
        )  # fmt: skip
