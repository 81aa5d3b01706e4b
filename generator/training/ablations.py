"""What the parts of DiffSFSR are worth: short trainings that go on from one core, each without one of them (the paper's Table 3)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from generator.conditions import ConditionEncoder
from generator.denoiser import SFSRDenoiser
from generator.diffsfsr import DiffSFSR
from generator.loading import save_core
from generator.midpoint import Variant
from generator.patch_autoencoder import PatchAutoencoder
from generator.sampler import Schedule
from generator.training.corpus import Corpus
from generator.training.embeddings import kept_embeddings
from generator.training.loop import LoopConfig
from generator.training.sfsr import SFSRConfig, SFSRNetwork, SFSRTask
from generator.training.sfsr_pairs import encode_corpus
from generator.training.sfsr_parts import perceptual_losses, started_network

# The perceptual losses on every second step: in a short training they are what tells the encoders and the midpoints apart.
CONFIG = SFSRConfig(perceptual_every=2, identity_weight=0.06, expression_weight=0.02)
STEPS = 250


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """One line of the table: what a training goes without.

    without_encoders    places of identity encoders, from 1 on, that neither condition nor judge
    background          whether the denoiser sees the background's latents; it sees the mask in any case, and the composite needs both
    variant             how the perceptual losses get to the midpoint
    """

    name: str
    title: str
    without_encoders: tuple[int, ...] = ()
    background: bool = True
    variant: Variant = "posterior_sample"


ABLATIONS: tuple[Ablation, ...] = (
    Ablation(name="full", title="full model"),
    Ablation(name="no_background", title="without background condition", background=False),
    Ablation(name="no_third_encoder", title="without the third identity encoder", without_encoders=(3,)),
    Ablation(name="no_second_encoder", title="without the second identity encoder", without_encoders=(2,)),
    Ablation(name="first_encoder_alone", title="with the first identity encoder alone", without_encoders=(2, 3)),
    Ablation(name="diffswap_midpoint", title="full model, midpoint of DiffSwap", variant="diffswap"),
)


def loop_config(steps: int = STEPS) -> LoopConfig:
    """How each is trained: the same batches from the same start."""
    return LoopConfig(steps=steps, batch_size=24, learning_rate=3e-4, warmup_steps=20, ema_decay=0.98)


class AblatedDenoiser(SFSRDenoiser):
    """A denoiser that sees no background latents: they are zero, whatever it is given."""

    def without_background(self) -> AblatedDenoiser:
        """Takes the weights of the background's channels away, for good."""
        layer = self.unet.conv_in
        first = layer.in_channels - self.unet.config.out_channels  # they are the last ones

        def forget(gradient: Tensor) -> Tensor:
            gradient = gradient.clone()
            gradient[:, first:] = 0
            return gradient

        with torch.no_grad():
            layer.weight[:, first:] = 0
        layer.weight.register_hook(forget)
        return self


def ablated_network(network: SFSRNetwork, ablation: Ablation) -> SFSRNetwork:
    """The network less what an ablation goes without; its weights are taken over, and `network` is used up."""
    config = network.conditions.config
    kept = {name: dim for place, (name, dim) in enumerate(config.identity_dims.items(), start=1) if place not in ablation.without_encoders}
    conditions = ConditionEncoder(dataclasses.replace(config, identity_dims=kept))
    conditions.load_state_dict({key: value for key, value in network.conditions.state_dict().items() if key in conditions.state_dict()})
    denoiser = network.denoiser if ablation.background else AblatedDenoiser(network.denoiser.unet).without_background()
    return SFSRNetwork(conditions, denoiser)


def build(ablation: Ablation, corpus: Corpus, start: Path, bundled: Path, work: Path, config: SFSRConfig = CONFIG) -> SFSRTask:
    """The task of one line, on all identities that are not held out.

    start    core folder that all lines go on from
    bundled  folder laid out as generator/bundled, with the encoders that condition and judge
    """
    network = ablated_network(started_network(start), ablation)
    autoencoder = PatchAutoencoder.load(start / "vae")
    seen = corpus.rows(~corpus.held_out)
    perceptual = perceptual_losses(autoencoder, bundled, identity_weight=config.identity_weight, expression_weight=config.expression_weight)
    perceptual.variant = ablation.variant
    perceptual.recognisers = {name: perceptual.recognisers[name] for name in network.conditions.config.identity_dims}
    task = SFSRTask(
        seen, encode_corpus(seen, autoencoder, work), kept_embeddings(seen, bundled, work), network, config,
        channel_scale=autoencoder.deviation, perceptual=perceptual,
    )  # fmt: skip
    task.name = ablation.name
    return task


def export(task: SFSRTask, start: Path, folder: Path) -> None:
    """Writes the trained core with the autoencoder of the one that it went on from."""
    core = DiffSFSR(
        autoencoder=PatchAutoencoder.load(start / "vae"), conditions=task.network.conditions, denoiser=task.network.denoiser,
        schedule=Schedule(prediction_type="v_prediction"),
    )  # fmt: skip
    save_core(core, folder)
