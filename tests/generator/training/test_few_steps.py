from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from generator.denoiser import DenoiserInputs
from generator.few_steps import FewSteps, FewStepSettings, fingerprint
from generator.loading import load_core, save_core
from generator.sampler import SamplerConfig, Schedule, make_scheduler, sample
from generator.training import few_steps_parts
from generator.training.corpus import Corpus
from generator.training.few_steps import FewStepsConfig, FewStepsTask
from generator.training.loop import LoopConfig, train
from generator.training.sfsr import SFSRConfig
from manifests.errors import WeightsError
from tests.generator import tiny
from tests.generator.training.small_sfsr import silent, small_autoencoder, small_perceptual, small_task

CONFIG = FewStepsConfig(rank=4, interval=50)
LOOP = LoopConfig(steps=3, batch_size=4, learning_rate=1e-3, warmup_steps=1, save_every_s=-1.0)
KEPT = SFSRConfig(drop_identity=0, drop_expression=0, drop_both=0)


@pytest.fixture(scope="module")
def few(drawn_corpus: Corpus) -> Corpus:
    return drawn_corpus.rows(np.arange(12))


def task(few: Corpus, folder: Path, config: FewStepsConfig = CONFIG) -> FewStepsTask:
    return FewStepsTask(small_task(few, folder, KEPT), "v_prediction", config)


class LinearDenoiser(nn.Module):
    """The best possible velocity for latents that are normal with deviation `spread`: linear in the latents, and its paths are known.

    `layer` stands in a block called resnets, so that it gets an addition; it starts as the identity.
    """

    def __init__(self, spread: float, alphas: torch.Tensor) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([nn.Conv2d(4, 4, 1, bias=False)])
        with torch.no_grad():
            self.resnets[0].weight.copy_(torch.eye(4)[:, :, None, None])
        self.spread, self.alphas = spread, alphas

    def forward(self, latents: torch.Tensor, timestep: torch.Tensor, inputs: DenoiserInputs) -> torch.Tensor:
        a = self.alphas[timestep][:, None, None, None]
        factor = (a * (1 - a)).sqrt() * (1 - self.spread**2) / (a * self.spread**2 + 1 - a)
        return factor * self.resnets[0](latents)


def on_linear(few: Corpus, folder: Path, config: FewStepsConfig) -> FewStepsTask:
    """The task with the linear denoiser as its teacher."""
    pairs = small_task(few, folder, KEPT)
    pairs.network.denoiser = LinearDenoiser(0.5, pairs.alphas)
    return FewStepsTask(pairs, "v_prediction", config)


def scale_of_ddim(alphas: torch.Tensor, t: int, s: int, spread: float = 0.5) -> float:
    """What a DDIM step from t to s multiplies latents by, when the velocity is that of normal latents; worked out with angles, not with noise."""
    a, b = (float(alphas[i]) if i >= 0 else 1.0 for i in (t, s))
    angle_t, angle_s = np.arccos(np.sqrt(a)), np.arccos(np.sqrt(b))
    velocity = np.sqrt(a * (1 - a)) * (1 - spread**2) / (a * spread**2 + 1 - a)
    return float(np.cos(angle_t - angle_s) - np.sin(angle_t - angle_s) * velocity)


def test_target_is_one_teachers_step_and_the_jump_to_the_phases_end(few: Corpus, tmp_path: Path):
    own = on_linear(few, tmp_path, CONFIG)
    t = torch.tensor([999, 700, 255, 30])
    ends, between = [749, 499, 249, -1], [949, 650, 249, -1]  # the last two reach the end within the teacher's step
    inputs = own.pairs.batch(np.arange(4), np.random.default_rng(0)).inputs
    z = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ratio = own.target(z, t, inputs) / z
    for row, (start, middle, end) in enumerate(zip(t.tolist(), between, ends, strict=True)):
        expected = scale_of_ddim(own.pairs.alphas, start, middle)
        expected *= scale_of_ddim(own.pairs.alphas, middle, end) if middle > end else 1
        assert torch.allclose(ratio[row], torch.tensor(expected), atol=2e-4)


def test_finer_steps_follow_the_exact_path(few: Corpus, tmp_path: Path):
    """Of normal latents the path is known: they are scaled as their deviation is."""
    own = on_linear(few, tmp_path, dataclasses.replace(CONFIG, interval=1))
    inputs = own.pairs.batch(np.arange(1), np.random.default_rng(0)).inputs
    z = start = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for t in range(999, 749, -1):
            moved = torch.tensor([t])
            velocity = own.teacher.denoiser(z, moved, inputs)
            z = own._ddim(velocity, z, moved, moved - 1)
    a, b = own.pairs.alphas[999], own.pairs.alphas[749]
    exact = ((b * 0.25 + 1 - b) / (a * 0.25 + 1 - a)).sqrt()
    assert torch.allclose(z / start, exact, atol=1e-3)


def test_phases_end_where_ddims_timesteps_are(few: Corpus, tmp_path: Path):
    scheduler = make_scheduler("consistency", Schedule(prediction_type="v_prediction"))
    scheduler.set_timesteps(4)
    timesteps = scheduler.timesteps
    assert task(few, tmp_path).lower(timesteps).tolist() == [*timesteps[1:].tolist(), -1]
    assert task(few, tmp_path).lower(torch.tensor([750, 500, 248, 0])).tolist() == [749, 499, -1, -1]


def test_jump_is_the_step_that_the_sampler_takes(few: Corpus, tmp_path: Path):
    own = task(few, tmp_path)
    inputs = own.pairs.batch(np.arange(2), np.random.default_rng(0)).inputs
    z = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    scheduler = make_scheduler("consistency", Schedule(prediction_type="v_prediction"))
    scheduler.config.prediction_type = "v_prediction"
    scheduler.set_timesteps(4)
    with torch.no_grad():
        for t in scheduler.timesteps:
            step = scheduler.step(own.teacher.denoiser(z, t.repeat(2), inputs), int(t), z, return_dict=False)[0]
            torch.testing.assert_close(own.jump(own.network.student.weights(own.teacher.denoiser), z, t.repeat(2), inputs), step, rtol=1e-4, atol=1e-4)


def test_target_follows_the_student_and_starts_as_it(few: Corpus, tmp_path: Path):
    network = task(few, tmp_path).network
    up = next(name for name, _ in network.student.named_parameters() if name.endswith(".up"))
    with torch.no_grad():
        network.student.get_parameter(up).fill_(1.0)
    network.follow(0.75)
    assert torch.equal(network.target.get_parameter(up), torch.full_like(network.target.get_parameter(up), 0.25))
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad} == {"student"}


def test_three_steps_in_two_commands_give_the_same_bytes(few: Corpus, tmp_path: Path):
    class Stopped(Exception):
        """Stands for a killed process."""

    class StoppingTask(FewStepsTask):
        def loss(self, draw, batch_size, step):
            if step == 2:
                raise Stopped
            return super().loss(draw, batch_size, step)

    train(task(few, tmp_path), LOOP, tmp_path / "whole", say=silent)
    stopping = task(few, tmp_path)
    stopping.__class__ = StoppingTask
    with pytest.raises(Stopped):
        train(stopping, LOOP, tmp_path / "cut", say=silent)
    train(task(few, tmp_path), LOOP, tmp_path / "cut", say=silent)
    for file in ("few_steps.safetensors", "few_steps.state.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


def test_training_lowers_the_loss_and_leaves_the_teacher(few: Corpus, tmp_path: Path):
    own = task(few, tmp_path, dataclasses.replace(CONFIG, interval=250, rank=16))
    teacher = {name: tensor.clone() for name, tensor in own.teacher.state_dict().items()}

    def distance() -> float:
        with torch.no_grad():
            return own.loss(np.random.default_rng(99), 16, 0)[1]["distance"]

    before = distance()
    train(own, dataclasses.replace(LOOP, steps=30, batch_size=6, ema_decay=0.8, save_every_s=60, bf16=False), tmp_path, say=silent)
    assert distance() < 0.9 * before
    assert all(torch.equal(tensor, teacher[name]) for name, tensor in own.teacher.state_dict().items())


def judged(few: Corpus, folder: Path, **changes: object) -> FewStepsTask:
    """The task with the losses of whole swaps."""
    config = dataclasses.replace(CONFIG, perceptual_every=2, perceptual_rows=2, **changes)
    losses = small_perceptual(small_autoencoder(few), identity_weight=config.identity_weight, expression_weight=config.expression_weight)
    return FewStepsTask(small_task(few, folder, KEPT), "v_prediction", config, perceptual=losses)


def test_losses_of_whole_swaps_come_every_second_step(few: Corpus, tmp_path: Path):
    own = judged(few, tmp_path)
    names = [set(own.loss(np.random.default_rng(0), 2, step)[1]) for step in (0, 1)]
    assert names == [{"distance", "identity", "expression"}, {"distance"}]


def test_swaps_are_what_the_sampler_makes(few: Corpus, tmp_path: Path):
    own = judged(few, tmp_path)
    seen: list[torch.Tensor] = []
    own.perceptual.of_latents = lambda latents, rows: seen.append(latents.detach()) or {"identity": latents.sum()}
    own.perceptual_terms(own.perceptual, own.network.student.weights(own.teacher.denoiser), np.random.default_rng(5))
    draw = np.random.default_rng(5)
    with torch.no_grad():
        batch = own.pairs.swaps(draw.integers(0, len(few), 2), draw)
        noise = torch.from_numpy(draw.standard_normal((2, 4, 16, 16), dtype=np.float32))
        sampler = SamplerConfig(kind="consistency", steps=4, guidance=3)
        wanted = sample(own.teacher.denoiser, batch.inputs, own.teacher.conditions.null(2), noise, sampler, Schedule(prediction_type="v_prediction"))
    torch.testing.assert_close(seen[0], wanted, rtol=1e-3, atol=1e-3)


def test_whole_swaps_teach_the_student_alone(few: Corpus, tmp_path: Path):
    own = judged(few, tmp_path, tracked_steps=1)
    terms = own.perceptual_terms(own.perceptual, own.network.student.weights(own.teacher.denoiser), np.random.default_rng(0))
    torch.stack(list(terms.values())).sum().backward()
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in own.network.student.parameters())
    assert all(p.grad is None for p in [*own.teacher.parameters(), *own.network.target.parameters()])


def test_exported_weights_are_measured_against_the_teacher(tmp_path: Path):
    save_core(tiny.core(), tmp_path)
    core = load_core(tmp_path)
    settings = FewStepSettings(guidance=3.0, phases=4, rank=2, denoiser_sha256=fingerprint(core.denoiser))
    FewSteps(core.denoiser, settings).save(tmp_path / "few_steps.safetensors")
    rows = tiny.rows(3)
    figures = few_steps_parts.measure(core, tmp_path / "few_steps.safetensors", rows)
    assert set(figures) == {"few_steps_distance", "teacher_dpm_distance", "teacher_ddim_distance"}
    assert all(0 < value < 10 for value in figures.values())


def test_swaps_mix_pictures_and_leave_the_expression_out_of_identities(few: Corpus):
    embeddings = {name: np.stack([np.eye(len(few), dtype=np.float32)] * 2) for name in ("arc", "expression")}
    rows = few_steps_parts.swaps(few, embeddings, 6)
    assert rows.num_rows == 6 and set(rows.identity_embeddings) == {"arc"}
    scenes = [int(np.flatnonzero((few.images_rgb == image).all(axis=(1, 2, 3)))[0]) for image in rows.background_rgb]
    people, shown = rows.identity_embeddings["arc"].argmax(axis=1).tolist(), rows.expression_embedding.argmax(axis=1).tolist()
    assert all(len(set(picked)) == 6 for picked in (scenes, people, shown))
    assert scenes != people != shown != scenes


def test_folder_without_a_core_takes_the_one_that_comes_with_facemint(tmp_path: Path):
    assert few_steps_parts.source(tmp_path) == few_steps_parts.BUNDLED
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "core.json").write_text("{}")
    assert few_steps_parts.source(tmp_path) == tmp_path


def test_core_without_a_patch_autoencoder_is_refused(few: Corpus, tmp_path: Path):
    save_core(tiny.core(), tmp_path / "core")
    with pytest.raises(WeightsError, match="no patch autoencoder"):
        few_steps_parts.build(few, tmp_path, tmp_path)


def test_a_training_that_goes_on_starts_with_the_additions_of_the_one_before(few: Corpus, tmp_path: Path):
    trained = task(few, tmp_path / "first")
    train(trained, LOOP, tmp_path / "first", say=silent)
    pairs = small_task(few, tmp_path / "second", KEPT)
    with torch.no_grad():
        next(pairs.network.denoiser.parameters()).add_(0.1)  # the denoiser changed meanwhile
    begun = FewStepsTask(pairs, "v_prediction", CONFIG, start=trained.network.student)
    for part in (begun.network.student, begun.network.target):
        assert all(torch.equal(value, trained.network.student.state_dict()[name]) for name, value in part.state_dict().items())
    assert begun.network.student.settings.denoiser_sha256 != trained.network.student.settings.denoiser_sha256


def test_additions_of_another_rank_are_no_start(few: Corpus, tmp_path: Path):
    trained = task(few, tmp_path)
    trained.network.student.save(tmp_path / "few_steps.safetensors")
    denoiser = trained.teacher.denoiser
    assert few_steps_parts.started(tmp_path / "few_steps.safetensors", denoiser, CONFIG).settings.rank == 4
    with pytest.raises(WeightsError, match="additions of rank 4, expected 8"):
        few_steps_parts.started(tmp_path / "few_steps.safetensors", denoiser, dataclasses.replace(CONFIG, rank=8))
