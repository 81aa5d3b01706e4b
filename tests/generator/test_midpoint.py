from __future__ import annotations

import pytest
import torch

from generator import midpoint as m
from generator.sampler import Schedule, make_scheduler

# Share of the noise in z_t1 when the estimate is perfect, on Stable Diffusion's schedule: eq. 8, posterior mean, and what is needed.
NOISE_SHARES = {999: (0.047, 0.094, 0.850), 799: (0.088, 0.173, 0.758), 599: (0.121, 0.233, 0.639), 399: (0.130, 0.243, 0.495), 199: (0.108, 0.194, 0.323)}


def alphas() -> torch.Tensor:
    return make_scheduler("ddim", Schedule(prediction_type="epsilon")).alphas_cumprod.double()


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noisy(z_0: torch.Tensor, epsilon: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return a.sqrt() * z_0 + (1 - a).sqrt() * epsilon


@pytest.mark.parametrize("t", NOISE_SHARES)
def test_noise_shares_are_those_of_the_published_schedule(t):
    a = alphas()
    a_t, a_m = a[t], a[t // 2]
    epsilon, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    z_t = noisy(zero, epsilon, a_t)
    shares = [float(m.midpoint(z_t, epsilon, a_t, a_m, variant=v, noise=zero)) for v in ("diffswap", "posterior_mean", "ddim")]
    assert shares == pytest.approx(NOISE_SHARES[t], abs=6e-4)


@pytest.mark.parametrize("variant", m.VARIANTS)
@pytest.mark.parametrize("t", [2, 3, 500, 999])
def test_every_variant_carries_the_right_share_of_the_clean_latents(variant, t):
    a_t, a_m = alphas()[t], alphas()[t // 2]
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    assert float(m.midpoint(noisy(one, zero, a_t), zero, a_t, a_m, variant=variant, noise=zero)) == pytest.approx(float(a_m.sqrt()), rel=1e-9)


@pytest.mark.parametrize("t", [1, 2, 7, 250, 999])
def test_closed_form_equals_repeated_ddpm_means(t):
    a = alphas()
    z_t, epsilon = normal(0, 2, 4, 3, 3), normal(1, 2, 4, 3, 3)
    z_0 = m.z0_estimate(z_t, epsilon, a[t])
    z = z_t
    for s in range(t, t // 2, -1):  # Ho et al. (2020), eq. 7, z_0 held fixed
        alpha, beta = a[s] / a[s - 1], 1 - a[s] / a[s - 1]
        z = (a[s - 1].sqrt() * beta * z_0 + alpha.sqrt() * (1 - a[s - 1]) * z) / (1 - a[s])
    closed = m.midpoint(z_t, epsilon, a[t], a[t // 2], variant="posterior_mean", noise=torch.zeros_like(z_t))
    torch.testing.assert_close(closed, z, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("t", [1, 2, 100, 640, 999])
def test_a_posterior_sample_is_as_noisy_as_the_midpoint_should_be(t):
    a_t, a_m = alphas()[t], alphas()[t // 2]
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    from_epsilon = m.midpoint(noisy(zero, one, a_t), one, a_t, a_m, variant="posterior_sample", noise=zero)
    from_noise = m.midpoint(zero, zero, a_t, a_m, variant="posterior_sample", noise=one)
    assert float(from_epsilon**2 + from_noise**2) == pytest.approx(float(1 - a_m), rel=1e-9)


@pytest.mark.parametrize("variant", m.VARIANTS)
def test_with_an_oracle_at_both_calls_z0_is_recovered(variant):
    a_t, a_m = alphas()[700], alphas()[350]
    z_0, epsilon, noise = normal(0, 2, 4, 4, 4), normal(1, 2, 4, 4, 4), normal(2, 2, 4, 4, 4)
    z_m = m.midpoint(noisy(z_0, epsilon, a_t), epsilon, a_t, a_m, variant=variant, noise=noise)
    oracle = (z_m - a_m.sqrt() * z_0) / (1 - a_m).sqrt()
    torch.testing.assert_close(m.midpoint_z0(z_m, oracle, a_m), z_0, rtol=1e-8, atol=1e-8)


def test_ddim_keeps_the_noise_so_the_same_estimate_recovers_z0():
    a_t, a_m = alphas()[700], alphas()[350]
    z_0, epsilon = normal(0, 2, 4, 4, 4), normal(1, 2, 4, 4, 4)
    z_m = m.midpoint(noisy(z_0, epsilon, a_t), epsilon, a_t, a_m, variant="ddim", noise=epsilon)
    torch.testing.assert_close(m.midpoint_z0(z_m, epsilon, a_m), z_0, rtol=1e-8, atol=1e-8)


def test_rows_have_their_own_timesteps():
    timestep = torch.tensor([40, 999])
    middle = m.midpoint_timestep(timestep)
    assert middle.tolist() == [20, 499]
    a_t, a_m = alphas()[timestep][:, None, None, None], alphas()[middle][:, None, None, None]
    z, epsilon, noise = normal(0, 2, 4, 3, 3), normal(1, 2, 4, 3, 3), normal(2, 2, 4, 3, 3)
    together = m.midpoint(z, epsilon, a_t, a_m, variant="posterior_sample", noise=noise)
    for i in range(2):
        alone = m.midpoint(z[i], epsilon[i], a_t[i], a_m[i], variant="posterior_sample", noise=noise[i])
        torch.testing.assert_close(together[i], alone)


@pytest.mark.parametrize("t", [0, 500, 999])
def test_velocity_and_noise_are_two_forms_of_one_estimate(t):
    a = alphas()[t]
    z_0, epsilon = normal(0, 5), normal(1, 5)
    z_t = noisy(z_0, epsilon, a)
    velocity = a.sqrt() * epsilon - (1 - a).sqrt() * z_0  # Salimans & Ho (2022), appendix D
    torch.testing.assert_close(m.epsilon_from_velocity(velocity, z_t, a), epsilon)
    torch.testing.assert_close(m.velocity_from_epsilon(epsilon, z_t, a), velocity)


def test_losses_are_those_of_the_paper():
    made, asked = torch.tensor([[3.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert float(m.identity_loss(made, asked)) == pytest.approx(0.5)  # cosines 1 and 0, whatever the lengths
    assert float(m.expression_loss(made, asked)) == pytest.approx((4 + 0 + 1 + 4) / 4)
    assert float(m.denoising_loss(made, made + 2)) == pytest.approx(4)
    assert float(m.total_loss(torch.tensor(1.0), torch.tensor(2.0), torch.tensor(3.0))) == pytest.approx(1 + 0.003 * 2 + 0.01 * 3)


@pytest.mark.parametrize("variant", m.VARIANTS)
def test_gradients_reach_both_noise_estimates(variant):
    a_t, a_m = alphas()[600], alphas()[300]
    first, second = normal(1, 2, 3).requires_grad_(), normal(2, 2, 3).requires_grad_()
    z_m = m.midpoint(normal(0, 2, 3), first, a_t, a_m, variant=variant, noise=normal(3, 2, 3))
    m.midpoint_z0(z_m, second, a_m).square().mean().backward()
    assert first.grad is not None and first.grad.abs().min() > 0
    assert second.grad is not None and second.grad.abs().min() > 0
