"""The distillation for few steps on the bundled core: built from what is trained, exported beside it, measured against its teacher."""

# N rows, C h w latents

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from generator.denoiser import DenoiserInputs, SFSRDenoiser
from generator.diffsfsr import DiffSFSR
from generator.few_steps import FILE_NAME, FewSteps, read_few_steps
from generator.loading import load_core
from generator.masks import hole, latent_mask
from generator.patch_autoencoder import PatchAutoencoder
from generator.sampler import SamplerConfig, row_noise, sample
from generator.training.corpus import Corpus
from generator.training.embeddings import kept_embeddings
from generator.training.few_steps import FewStepsConfig, FewStepsTask
from generator.training.loop import LoopConfig
from generator.training.sfsr import SFSRConfig, SFSRNetwork, SFSRTask
from generator.training.sfsr_pairs import encode_corpus
from generator.training.sfsr_parts import perceptual_losses
from manifests.errors import WeightsError
from manifests.face_mask import face_mask
from manifests.rows import ConditionBatch

BUNDLED = Path(__file__).resolve().parent.parent / "bundled"
MEASURED_ROWS = 32
TEACHER_STEPS = 25


def loop_config(steps: int) -> LoopConfig:
    """How the bundled few-step weights are trained."""
    return LoopConfig(steps=steps, batch_size=16, learning_rate=7e-4, warmup_steps=50, ema_decay=0.998, weight_decay=0.0)


def source(bundled: Path) -> Path:
    """The bundled folder whose core is distilled: the one in training, or as long as that has no core the one that comes with facemint."""
    return bundled if (bundled / "core" / "core.json").is_file() else BUNDLED


def build(corpus: Corpus, work: Path, bundled: Path, config: FewStepsConfig | None = None, *, start: Path | None = None) -> FewStepsTask:
    """The task on all identities that are not held out; latents and embeddings are kept in the work folder, as for sfsr.

    start  core folder whose few-step weights are trained further, after its denoiser changed or not; None: fresh ones
    """
    folder = source(bundled)
    core = load_core(folder / "core")
    if not isinstance(core.autoencoder, PatchAutoencoder):
        raise WeightsError(f'few steps: the core "{folder / "core"}" has no patch autoencoder. Give a --bundled folder whose core "facemint train sfsr" made.')
    core.denoiser.unet.set_attn_processor(AttnProcessor())  # as in the training of sfsr, and for the same reason
    seen = corpus.rows(~corpus.held_out)
    pairs = SFSRTask(
        seen, encode_corpus(seen, core.autoencoder, work), kept_embeddings(seen, folder, work), SFSRNetwork(core.conditions, core.denoiser),
        SFSRConfig(drop_identity=0, drop_expression=0, drop_both=0), channel_scale=core.autoencoder.deviation,
    )  # fmt: skip
    config = config or FewStepsConfig()
    begun = None if start is None else started(start / FILE_NAME, core.denoiser, config)
    perceptual = None
    if config.perceptual_every:
        perceptual = perceptual_losses(core.autoencoder, folder, identity_weight=config.identity_weight, expression_weight=config.expression_weight)
    return FewStepsTask(pairs, core.schedule.prediction_type, config, perceptual=perceptual, start=begun)


def started(path: Path, denoiser: SFSRDenoiser, config: FewStepsConfig) -> FewSteps:
    """Few-step weights to go on with. Raises WeightsError when they are of another rank than the config asks for, or not to be read."""
    found = read_few_steps(path, denoiser)
    if found.settings.rank != config.rank:
        raise WeightsError(f'few steps: "{path}" has additions of rank {found.settings.rank}, expected {config.rank}. Start without it.')
    return found


def export(task: FewStepsTask, corpus: Corpus, work: Path, bundled: Path) -> dict[str, float]:
    """Writes core/few_steps.safetensors from the averaged additions and measures them as they were written."""
    path = bundled / "core" / FILE_NAME
    task.network.student.save(path)
    core = load_core(source(bundled) / "core")
    held = corpus.rows(corpus.held_out)
    figures = measure(core, path, swaps(held, kept_embeddings(held, source(bundled), work), MEASURED_ROWS))
    return {"megabytes": path.stat().st_size / 1e6, **figures}


def swaps(corpus: Corpus, embeddings: dict[str, np.ndarray], count: int) -> ConditionBatch:
    """Rows with the scene of one picture, the identity of another and the expression of a third, drawn without regard to who is who."""
    scene, person, shown = (np.random.default_rng([23, i]).permutation(len(corpus))[:count] for i in range(3))
    masks = [face_mask(labels, points) for labels, points in zip(corpus.labels[scene], corpus.landmarks68_px[scene], strict=True)]
    return ConditionBatch(
        identity_embeddings={name: rows[0, person] for name, rows in embeddings.items() if name != "expression"},
        expression_embedding=embeddings["expression"][0, shown], background_rgb=corpus.images_rgb[scene], face_mask=np.stack(masks),
    )  # fmt: skip


def measure(core: DiffSFSR, path: Path, rows: ConditionBatch) -> dict[str, float]:
    """Root mean square distance, inside the hole, of latents to those of 25 guided steps from the same noise: few steps, and the teacher's own as few.

    Latents have unit variance. `path` is a file of few-step weights for this core.
    """
    core.few_steps = read_few_steps(path, core.denoiser)
    settings = core.few_steps.settings
    phases, guidance = settings.phases, settings.guidance
    aim = latents_of(core, rows, SamplerConfig(kind="dpm++", steps=TEACHER_STEPS, guidance=guidance))
    samplers = {
        "few_steps": SamplerConfig(kind="consistency", steps=phases, guidance=guidance),
        "teacher_dpm": SamplerConfig(kind="dpm++", steps=phases, guidance=guidance),
        "teacher_ddim": SamplerConfig(kind="ddim", steps=phases, guidance=guidance),
    }
    inside = torch.from_numpy(np.stack([hole(mask) for mask in rows.face_mask]))[:, None].float()
    weight = latent_mask(inside, core.autoencoder.factor)
    return {f"{name}_distance": _distance(latents_of(core, rows, sampler), aim, weight) for name, sampler in samplers.items()}


def latents_of(core: DiffSFSR, rows: ConditionBatch, sampler: SamplerConfig, *, batch: int = 8) -> Tensor:
    """Latents (N, C, h, w) that a sampler draws for rows; row i from the noise of seed i."""
    drawn = []
    with torch.inference_mode():
        inputs = core.inputs(rows, np.stack([hole(mask) for mask in rows.face_mask]))
        noise = row_noise(range(rows.num_rows), core.autoencoder.latent_shape)
        for start in range(0, rows.num_rows, batch):
            few = slice(start, start + batch)
            part = DenoiserInputs(context=inputs.context[few], background_latents=inputs.background_latents[few], mask=inputs.mask[few])
            null = core.conditions.null(len(part.context))
            drawn.append(sample(core.denoiser_for(sampler), part, null, noise[few], sampler, core.schedule))
    return torch.cat(drawn)


def _distance(made: Tensor, aim: Tensor, weight: Tensor) -> float:
    return float((((made - aim) ** 2).mean(dim=1, keepdim=True) * weight).sum().div(weight.sum()).sqrt())
