"""facemint sheet: all words on one person, the way between two words, or a word's intensity dial, as a picture with a table of readings."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from jobs.bundle import BUNDLED, core_folder
from jobs.config import RunConfig
from jobs.figure_config import about_core, about_machine
from jobs.files import write_json, write_whole
from jobs.images import encode
from jobs.judging import open_judge
from jobs.sheet_layout import Tile, tile_sheet
from jobs.sheet_pictures import SheetPictures, Stage, Step
from jobs.sheet_tables import StepReading, by_step, read_sheet, summary
from manifests.errors import ConfigError
from qc.packs import bundled_pack

COLUMNS = 17  # 8 rows of the 136 words
INTENSITIES = (0.0, 0.5, 1.0)
MAX_STEPS = 33  # of a way; more don't fit a sheet


def words_sheet(config: RunConfig, out: Path, *, people: int, scene: str | None, words: Sequence[str] = ()) -> list[str]:
    """Writes words.png, words.json and words.csv; returns what is to be told. The sheet shows the first person, the tables all.

    words  empty: all
    """
    stage = Stage.of(config, num_people=people, scene_id=scene)
    pictures, rows = _make(config, stage, stage.words(words), centres_of(stage))
    shown = rows[: len(pictures.steps)]
    tiles = [
        Tile(image_rgb=image, lines=(row.caption, "no face" if row.error is None else f"{row.error:.3f} {row.read_class}"), alarm=row.class_right is False)
        for image, row in zip(pictures.images_rgb[0], shown, strict=True)
    ]
    title = f"{len(tiles)} words, {pictures.people[0]} in {pictures.scene_id}; under each word its error (RMS of 35 units) and the class read, red where wrong"
    return _write(out, "words", tile_sheet(tiles, columns=COLUMNS, title=title), config, pictures, rows)


def travel_sheet(config: RunConfig, out: Path, first: str, last: str, *, num_steps: int, people: int, scene: str | None) -> list[str]:
    """Writes travel-FIRST-LAST.png, .json and .csv: a strip for each person."""
    if not 2 <= num_steps <= MAX_STEPS:
        raise ConfigError(f"sheet: {num_steps} steps were asked for, expected 2 to {MAX_STEPS}.")
    stage = Stage.of(config, num_people=people, scene_id=scene)
    steps = stage.way(first, last, num_steps)
    return _strip(config, out, stage, steps, f"travel-{steps[0].caption}-{steps[-1].caption}", f"from {steps[0].caption} to {steps[-1].caption}")


def intensity_sheet(config: RunConfig, out: Path, word: str, *, intensities: Sequence[float], people: int, scene: str | None) -> list[str]:
    """Writes intensity-WORD.png, .json and .csv: a strip for each person."""
    if any(not 0 <= value <= 1 for value in intensities) or len(set(intensities)) < 2:
        raise ConfigError(f"sheet: intensities are {', '.join(f'{value:g}' for value in intensities)}, expected two or more different ones from 0 to 1.")
    stage = Stage.of(config, num_people=people, scene_id=scene)
    steps = stage.dial(word, sorted(set(intensities)))
    name = steps[0].shown.word
    return _strip(config, out, stage, steps, f"intensity-{name}", f"intensity of {name}")


def centres_of(stage: Stage) -> dict[str, NDArray[np.float32]]:
    """Mean units (35,) of each word's references."""
    return {word: np.mean([shown.units for shown in found], axis=0, dtype=np.float32) for word, found in stage.tables.expressions.items()}


def _strip(config: RunConfig, out: Path, stage: Stage, steps: Sequence[Step], name: str, title: str) -> list[str]:
    pictures, rows = _make(config, stage, steps, {})
    images = pictures.images_rgb.reshape(-1, *pictures.images_rgb.shape[2:])
    tiles = [
        Tile(image_rgb=image, lines=(row.caption, "no face" if row.progress is None else f"read {row.progress:.2f}"))
        for image, row in zip(images, rows, strict=True)
    ]
    sheet = tile_sheet(tiles, columns=len(steps), title=f"{title}; {pictures.scene_id}; read: progress by the estimator")
    return _write(out, name, sheet, config, pictures, rows)


def _make(
    config: RunConfig, stage: Stage, steps: Sequence[Step], centres: Mapping[str, NDArray[np.float32]]
) -> tuple[SheetPictures, list[StepReading]]:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making pictures", total=len(stage.people) * len(steps))
        pictures = stage.draw(config, steps, tick=lambda rows: bar.advance(task, rows))
        bar.add_task("reading expressions", total=None)
        judge = open_judge(config, min_cosine=-1.0, pack=bundled_pack(BUNDLED, threads=config.threads))
        return pictures, read_sheet(judge, pictures, centres)


def _write(out: Path, name: str, sheet: NDArray[np.uint8], config: RunConfig, pictures: SheetPictures, rows: Sequence[StepReading]) -> list[str]:
    found = summary(rows)
    record = {
        "core": about_core(core_folder(config.models)),
        **about_machine(config),
        "people": list(pictures.people),
        "scene": pictures.scene_id,
        "summary": found,
        "steps": by_step(rows),
    }
    write_whole(out / f"{name}.png", encode(sheet, "png"))
    write_json(out / f"{name}.json", record)
    write_whole(out / f"{name}.csv", _csv(rows))
    figures = [f"{key.replace('_', ' ')} {value:.4g}" for key, value in found.items() if isinstance(value, (int, float))]
    return [f"wrote {out / name}.png, .json, .csv", ", ".join(figures)]


def _csv(rows: Sequence[StepReading]) -> str:
    stream = io.StringIO()
    table = [row.to_json() for row in rows]
    writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()} for row in table)
    return stream.getvalue()
