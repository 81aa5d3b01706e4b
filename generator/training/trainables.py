"""Everything that the bundled model consists of, as a table: how each part is built, trained, exported and measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.torch import load_file, save_file

from generator.patch_autoencoder import PatchAutoencoder
from generator.training import detector, estimator, expression, few_steps_parts, identity, parser, sfsr_parts
from generator.training.autoencoder import AutoencoderTask, patch_moments
from generator.training.corpus import Corpus
from generator.training.counterparts import load_counterparts
from generator.training.few_steps import FewStepsConfig
from generator.training.loop import LoopConfig, Task
from generator.training.reconstruction import measure_reconstruction
from generator.training.settle import settle
from generator.training.sfsr import SFSRConfig

Figures = dict[str, float]
ConfigType = TypeVar("ConfigType", SFSRConfig, FewStepsConfig)

# subtle: with the paper's weights, 0.003 and 0.01, the identity term is below a hundredth of the denoising loss of this small model
BUNDLED_SFSR = SFSRConfig(perceptual_every=4, identity_weight=0.02, expression_weight=0.02)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Folders of a training: the corpus, the work folder with checkpoints, and the folder laid out as generator/bundled that exports go to."""

    corpus: Path
    work: Path
    bundled: Path


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a user may change of a training; None: as the bundled part was trained."""

    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    perceptual_every: int | None = None  # of the denoiser and the few-step weights
    identity_weight: float | None = None  # of their perceptual losses
    expression_weight: float | None = None
    start: Path | None = None  # core folder whose denoiser, or whose few-step weights, are trained further

    def change(self, config: ConfigType) -> ConfigType:
        """A task's choices with those of the user."""
        fields = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
        changes = {name: value for name, value in vars(self).items() if name in fields and value is not None}
        return dataclasses.replace(config, **changes)  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class Trainable:
    """One part of the bundled model.

    file    what it exports, below the bundled folder
    build   the task, from the corpus and what was trained before it
    loop    the loop's settings for a number of steps
    steps   of the bundled weights
    finish  exports the trained task and returns measured figures
    """

    file: str
    build: Callable[[Corpus, Place, TrainingOptions], Task]
    loop: Callable[[int], LoopConfig]
    steps: int
    finish: Callable[[Task, LoopConfig, Corpus, Place], Figures]

    def loop_config(self, options: TrainingOptions) -> LoopConfig:
        """The loop's settings with a user's changes."""
        config = self.loop(self.steps if options.steps is None else options.steps)
        changes = {"batch_size": options.batch_size, "learning_rate": options.learning_rate}
        return dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def _recogniser(name: str, steps: int) -> Trainable:
    file = f"recognisers/{name}.onnx"

    def finish(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
        settle(task, config, place.work)
        network = identity.load_network(name, place.work)
        figures = identity.export(network, place.bundled / file, corpus)
        has_quadruples = any(place.corpus.rglob("counterpart-*.tar"))
        return identity.measure(network, corpus, load_counterparts(place.corpus) if has_quadruples else {}) | figures

    return Trainable(
        file=file, build=lambda corpus, place, options: identity.build(corpus, name, place.corpus), loop=lambda n: identity.loop_config(name, n),
        steps=steps, finish=finish,
    )  # fmt: skip


def _finish_expression(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
    name = "expression_encoder"
    settle(task, config, place.work)
    network = task.network
    expression.standardise(network.encoder, corpus.rows(np.flatnonzero(~corpus.audit & ~corpus.held_out)[::2]))  # type: ignore[arg-type]
    save_file({key: value.detach().contiguous().clone() for key, value in network.state_dict().items()}, place.work / f"{name}.safetensors")
    encoder = expression.load_network(name, place.work)
    return expression.measure(encoder, corpus) | expression.export(encoder, place.bundled / f"expression/{name}.onnx", corpus)


def _finish_estimator(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
    settle(task, config, place.work)
    network = estimator.load_network("expression_estimator", place.work)
    return estimator.measure(network, corpus) | estimator.export(network, place.bundled / "expression/expression_estimator.onnx", corpus)


def _finish_parser(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
    settle(task, config, place.work)
    network = parser.load_network("face_parser", place.work)
    return parser.measure(network, corpus) | parser.export(network, place.bundled / "faces/face_parser.onnx", corpus)


def _finish_detector(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
    settle(task, config, place.work)
    network = detector.load_network("face_detector", place.work)
    return detector.export(network, place.bundled / "faces/face_detector.onnx", corpus)


def _build_autoencoder(corpus: Corpus, place: Place, options: TrainingOptions) -> Task:
    network = PatchAutoencoder(channels=16, size=corpus.images_rgb.shape[1])
    seen = corpus.rows(~corpus.held_out)
    network.fit(*patch_moments(seen))
    return AutoencoderTask(seen, network)


def _finish_autoencoder(task: Task, config: LoopConfig, corpus: Corpus, place: Place) -> Figures:
    network: PatchAutoencoder = task.network  # type: ignore[assignment]
    network.load_state_dict(load_file(place.work / "autoencoder.safetensors"))
    network.save(place.bundled / "core" / "vae")
    return sfsr_parts.measure_autoencoder(network, corpus) | measure_reconstruction(network, corpus, place.bundled)


def _build_sfsr(corpus: Corpus, place: Place, options: TrainingOptions) -> Task:
    return sfsr_parts.build(corpus, place.work, place.bundled, options.change(BUNDLED_SFSR), start=options.start)


def _build_few_steps(corpus: Corpus, place: Place, options: TrainingOptions) -> Task:
    return few_steps_parts.build(corpus, place.work, place.bundled, options.change(FewStepsConfig()), start=options.start)


# In the order in which they need one another.
TRAINABLES: dict[str, Trainable] = {
    "identity_arc": _recogniser("identity_arc", 880),
    "identity_metric": _recogniser("identity_metric", 560),
    "identity_triplet": _recogniser("identity_triplet", 430),
    "gate": _recogniser("gate", 1500),
    "auditor": _recogniser("auditor", 850),
    "expression_encoder": Trainable(
        file="expression/expression_encoder.onnx",
        build=lambda corpus, place, options: expression.build(corpus, identity.load_network("identity_arc", place.work)),
        loop=expression.loop_config, steps=701, finish=_finish_expression,
    ),
    "expression_estimator": Trainable(
        file="expression/expression_estimator.onnx", build=lambda corpus, place, options: estimator.build(corpus),
        loop=estimator.loop_config, steps=1450, finish=_finish_estimator,
    ),
    "face_parser": Trainable(
        file="faces/face_parser.onnx", build=lambda corpus, place, options: parser.build(corpus), loop=parser.loop_config, steps=700, finish=_finish_parser,
    ),
    "face_detector": Trainable(
        file="faces/face_detector.onnx", build=lambda corpus, place, options: detector.build(corpus),
        loop=detector.loop_config, steps=1300, finish=_finish_detector,
    ),
    "autoencoder": Trainable(
        file="core/vae/model.safetensors", build=_build_autoencoder, steps=2400, finish=_finish_autoencoder,
        loop=lambda n: LoopConfig(steps=n, batch_size=16, learning_rate=5e-4, warmup_steps=50, ema_decay=0.998),
    ),
    "sfsr": Trainable(
        file="core/core.json", build=_build_sfsr, steps=4450,
        loop=sfsr_parts.loop_config, finish=lambda task, config, corpus, place: sfsr_parts.export(place.work, place.bundled),
    ),
    "few_steps": Trainable(
        file="core/few_steps.safetensors", build=_build_few_steps, steps=3000,
        loop=few_steps_parts.loop_config, finish=lambda task, config, corpus, place: few_steps_parts.export(task, corpus, place.work, place.bundled),  # type: ignore[arg-type]
    ),
}  # fmt: skip
