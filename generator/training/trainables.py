"""Everything that the bundled model consists of, as a table: how each part is built, trained, exported and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file

from generator.patch_autoencoder import PatchAutoencoder
from generator.training import detector, estimator, expression, identity, parser, sfsr_parts
from generator.training.autoencoder import AutoencoderTask, patch_moments
from generator.training.corpus import Corpus
from generator.training.counterparts import load_counterparts
from generator.training.loop import LoopConfig, Task
from generator.training.settle import settle

Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Folders of a training: the corpus, the work folder with checkpoints, and the bundled folder that exports go to."""

    corpus: Path
    work: Path
    bundled: Path


@dataclass(frozen=True, kw_only=True)
class Trainable:
    """One part of the bundled model.

    build   the task, from the corpus and what was trained before it
    loop    the loop's settings for a number of steps
    steps   of the bundled weights
    finish  exports the trained task and returns measured figures
    """

    build: Callable[[Corpus, Place], Task]
    loop: Callable[[int], LoopConfig]
    steps: int
    finish: Callable[[Task, Corpus, Place], Figures]


def _recogniser(name: str, steps: int) -> Trainable:
    def finish(task: Task, corpus: Corpus, place: Place) -> Figures:
        settle(task, identity.loop_config(name, steps), place.work)
        network = identity.load_network(name, place.work)
        figures = identity.export(network, place.bundled / f"recognisers/{name}.onnx", corpus)
        return identity.measure(network, corpus, load_counterparts(place.corpus)) | figures

    return Trainable(build=lambda corpus, place: identity.build(corpus, name), loop=lambda n: identity.loop_config(name, n), steps=steps, finish=finish)


def _finish_expression(task: Task, corpus: Corpus, place: Place) -> Figures:
    name = "expression_encoder"
    settle(task, expression.loop_config(1), place.work)
    network = task.network
    expression.standardise(network.encoder, corpus.rows(np.flatnonzero(~corpus.audit & ~corpus.held_out)[::2]))  # type: ignore[arg-type]
    save_file({key: value.detach().contiguous().clone() for key, value in network.state_dict().items()}, place.work / f"{name}.safetensors")
    encoder = expression.load_network(name, place.work)
    return expression.measure(encoder, corpus) | expression.export(encoder, place.bundled / f"expression/{name}.onnx", corpus)


def _finish_estimator(task: Task, corpus: Corpus, place: Place) -> Figures:
    settle(task, estimator.loop_config(1), place.work)
    network = estimator.load_network("expression_estimator", place.work)
    return estimator.measure(network, corpus) | estimator.export(network, place.bundled / "expression/expression_estimator.onnx", corpus)


def _finish_parser(task: Task, corpus: Corpus, place: Place) -> Figures:
    settle(task, parser.loop_config(1), place.work)
    network = parser.load_network("face_parser", place.work)
    return parser.measure(network, corpus) | parser.export(network, place.bundled / "faces/face_parser.onnx", corpus)


def _finish_detector(task: Task, corpus: Corpus, place: Place) -> Figures:
    settle(task, detector.loop_config(1), place.work)
    network = detector.load_network("face_detector", place.work)
    return detector.export(network, place.bundled / "faces/face_detector.onnx", corpus)


def _build_autoencoder(corpus: Corpus, place: Place) -> Task:
    network = PatchAutoencoder(channels=16, size=corpus.images_rgb.shape[1])
    seen = corpus.rows(~corpus.held_out)
    network.fit(*patch_moments(seen))
    return AutoencoderTask(seen, network)


def _finish_autoencoder(task: Task, corpus: Corpus, place: Place) -> Figures:
    network: PatchAutoencoder = task.network  # type: ignore[assignment]
    network.load_state_dict(load_file(place.work / "autoencoder.safetensors"))
    network.save(place.bundled / "core" / "vae")
    return sfsr_parts.measure_autoencoder(network, corpus)


TRAINABLES: dict[str, Trainable] = {
    "identity_arc": _recogniser("identity_arc", 880),
    "identity_metric": _recogniser("identity_metric", 560),
    "identity_triplet": _recogniser("identity_triplet", 430),
    "gate": _recogniser("gate", 700),
    "auditor": _recogniser("auditor", 1050),
    "expression_encoder": Trainable(
        build=lambda corpus, place: expression.build(corpus, identity.load_network("identity_arc", place.work)),
        loop=expression.loop_config, steps=701, finish=_finish_expression,
    ),
    "expression_estimator": Trainable(
        build=lambda corpus, place: estimator.build(corpus), loop=estimator.loop_config, steps=900, finish=_finish_estimator,
    ),
    "face_parser": Trainable(build=lambda corpus, place: parser.build(corpus), loop=parser.loop_config, steps=700, finish=_finish_parser),
    "face_detector": Trainable(build=lambda corpus, place: detector.build(corpus), loop=detector.loop_config, steps=900, finish=_finish_detector),
    "autoencoder": Trainable(
        build=_build_autoencoder, steps=6000, finish=_finish_autoencoder,
        loop=lambda n: LoopConfig(steps=n, batch_size=16, learning_rate=5e-4, warmup_steps=50, ema_decay=0.998),
    ),
    "sfsr": Trainable(
        build=lambda corpus, place: sfsr_parts.build(corpus, place.work, place.bundled), steps=4000,
        loop=sfsr_parts.loop_config, finish=lambda task, corpus, place: sfsr_parts.export(place.work, place.bundled),
    ),
}  # fmt: skip
