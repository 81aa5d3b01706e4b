"""facemint train: builds one part of the bundled model, or all of them in order; the same command again goes on where it was."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from generator.training import detector
from generator.training.bundle import write_bundle_ledger
from generator.training.corpus import Corpus, load_corpus
from generator.training.loop import train
from generator.training.model_cards import write_model_cards
from generator.training.settle import write_card
from generator.training.trainables import TRAINABLES, Place, TrainingOptions
from jobs.banks import build_banks, write_banks_card
from jobs.bundle import BUNDLED
from jobs.files import read_json
from manifests.errors import ConfigError
from qc.faces import FaceDetector

ALL, BANKS, LEDGER = "all", "banks", "ledger"
CHOICES = (*TRAINABLES, BANKS, LEDGER, ALL)
DEFAULT_WORK = Path("facemint-training")
BUNDLED_START = "bundled"  # start=bundled: go on with the core that comes with facemint
KEYS: dict[str, type] = {
    "steps": int, "batch_size": int, "learning_rate": float,
    "perceptual_every": int, "identity_weight": float, "expression_weight": float, "start": Path,
}  # fmt: skip
SMALLEST = {"steps": 1, "batch_size": 1, "learning_rate": 0.0, "perceptual_every": 0, "identity_weight": 0.0, "expression_weight": 0.0}
DIFFUSION = ("sfsr", "few_steps")
ONLY_OF = {"perceptual_every": DIFFUSION, "identity_weight": DIFFUSION, "expression_weight": DIFFUSION, "start": DIFFUSION}  # keys that few parts have


def run_training(
    what: str,
    corpus: Path,
    work: Path | None,
    overrides: Sequence[str] = (),
    *,
    bundled: Path | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = click.echo,
) -> list[Path]:
    """Trains, exports and measures; returns the files and cards that were written.

    what       a part of TRAINABLES, "banks", "ledger" (weights.json and model cards of what is there), or "all" in order
    corpus     folder with the corpus shards
    work       folder for checkpoints, caches and cards/NAME.json; None: facemint-training
    overrides  steps=, batch_size=, learning_rate=; of sfsr and few_steps perceptual_every=, identity_weight=, expression_weight=, start= (a core
               folder to go on with, or "bundled")
    bundled    folder that exports go to, laid out as generator/bundled; None: WORK/bundled
    threads    CPU threads; None: one per core. Sums are cut by thread, so the last digits of a training depend on it.
    """
    if what not in CHOICES:
        near = difflib.get_close_matches(what, CHOICES, n=1, cutoff=0.0)[0]
        raise ConfigError(f'training: there is no part "{what}", the parts are {", ".join(CHOICES)}. Did you mean "{near}"?')
    options = parse_options(what, overrides)
    work = work or DEFAULT_WORK
    place = Place(corpus=Path(corpus), work=Path(work), bundled=Path(bundled) if bundled else Path(work) / "bundled")
    torch.set_num_threads(threads or os.cpu_count() or 1)
    written: list[Path] = []
    parts = list(TRAINABLES) if what == ALL else [what] if what in TRAINABLES else []
    unfinished = [name for name in parts if not is_finished(name, options, place)]
    for name in parts:
        if name not in unfinished:
            say(f"{name} is finished")
    pictures = load_corpus(place.corpus) if unfinished or what in (ALL, BANKS) else None
    for name in unfinished:
        assert pictures is not None
        written.append(train_part(name, options, pictures, place, say))
    if what in (ALL, BANKS):
        assert pictures is not None
        write_banks_card(pictures, place, build_banks(pictures, place, say))
    if what in (ALL, BANKS, LEDGER):
        written += write_ledger_and_cards(place, say)
    return written


def parse_options(what: str, overrides: Sequence[str]) -> TrainingOptions:
    """The changes that key=value words ask for. Raises ConfigError for keys that WHAT does not have."""
    values: dict[str, Any] = {}
    for word in overrides:
        key, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f'training: "{word}" is not an override, expected key=value, such as "steps=500".')
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]
            raise ConfigError(f'training: there is no key "{key}", the keys are {", ".join(KEYS)}. Did you mean "{near}"?')
        if what in (BANKS, LEDGER) or what not in (ALL, *ONLY_OF.get(key, (what,))) or (key, what) == ("start", ALL):
            raise ConfigError(f'training: {what} has no key "{key}". Leave it out.')
        try:
            values[key] = KEYS[key](text)
        except ValueError as error:
            raise ConfigError(f'training: {key} is "{text}", expected a {"whole number" if KEYS[key] is int else "number"}.') from error
        if key == "start":
            values[key] = BUNDLED / "core" if text == BUNDLED_START else Path(text)
        elif values[key] < SMALLEST[key]:
            raise ConfigError(f"training: {key} is {text}, expected {SMALLEST[key]} or more.")
    return TrainingOptions(**values)


def is_finished(name: str, options: TrainingOptions, place: Place) -> bool:
    """Whether a part's card says that it was trained for as many steps as are wanted, and its export is there."""
    card = place.work / "cards" / f"{name}.json"
    if not card.is_file() or not (place.bundled / TRAINABLES[name].file).is_file():
        return False
    return int(read_json(card)["steps"]) >= TRAINABLES[name].loop_config(options).steps


def train_part(name: str, options: TrainingOptions, corpus: Corpus, place: Place, say: Callable[[str], None]) -> Path:
    """Trains one part until its steps are done, exports and measures it, and writes its card; returns the card."""
    part = TRAINABLES[name]
    config = part.loop_config(options)
    say(f"{name}: {config.steps} steps of {config.batch_size}")
    task = part.build(corpus, place, options)
    train(task, config, place.work, say=say)
    figures = part.finish(task, config, corpus, place)
    if name == detector.NAME:  # a whole detector is more than its net: the pyramid around it belongs to quality control
        figures = detector.measure(FaceDetector(place.bundled / part.file).detect, corpus) | figures
    say(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
    progress_file = place.work / f"{name}.json"
    rows = trained_on(task, corpus)
    changes = [f"{key}={_shown(value)}" for key, value in dataclasses.asdict(options).items() if value is not None]
    command = " ".join([f"facemint train {name} --corpus CORPUS", *changes])
    return write_card(place.work, name, trained_on=rows, batch_size=config.batch_size, progress_file=progress_file, figures=figures, notes="", command=command)


def _shown(value: object) -> object:
    """An option's value for a card, which names no folder of this machine."""
    return value if not isinstance(value, Path) else BUNDLED_START if value == BUNDLED / "core" else "CORE"


def trained_on(task: object, corpus: Corpus) -> Corpus:
    """The rows that a task learns from."""
    own = getattr(task, "corpus", None)
    return own if isinstance(own, Corpus) else corpus.rows(~corpus.held_out)


def write_ledger_and_cards(place: Place, say: Callable[[str], None]) -> list[Path]:
    """weights.json and cards/*.md of what is in the bundled folder, with the figures of WORK/evaluation/evaluation.json when they are there."""
    evaluation = place.work / "evaluation" / "evaluation.json"
    cards = write_model_cards(place.work, place.bundled, evaluation=evaluation if evaluation.is_file() else None)
    ledger = write_bundle_ledger(place.bundled)
    say(f"ledger: {len(ledger.weights)} files, {sum(weight.bytes for weight in ledger.weights) / 1e6:.1f} MB, {len(cards)} cards")
    return cards
