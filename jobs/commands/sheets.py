"""Commands that show what the model can express: sheet words, sheet travel, sheet intensity."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.commands.words import overrides

out = click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder that the sheet and its tables are written to.")
people = click.option("--people", type=click.IntRange(min=1), default=1, show_default=True, help="Sampled people; seed=N samples others.")
scene = click.option("--scene", help="Scene of the bundled bank, such as bundled-017; the most frontal one if left out.")


@click.group()
def sheet() -> None:
    """Writes pictures of one person's expressions, with a table of what the expression estimator reads from them."""


@sheet.command()
@out
@people
@scene
@click.option("--word", "chosen", multiple=True, help="Show this word; may be given several times. All 136 words if left out.")
@overrides
def words(out: Path, people: int, scene: str | None, chosen: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Writes words.png, words.json and words.csv: all 136 words on one sampled person; the tables cover all --people."""
    from jobs.figure_config import figure_config

    config = figure_config(overrides)
    from jobs.sheets import words_sheet

    _tell(words_sheet(config, out, people=people, scene=scene, words=chosen))


@sheet.command()
@click.argument("first")
@click.argument("last")
@out
@people
@scene
@click.option("--steps", type=int, default=7, show_default=True, help="Pictures of the strip, both words included.")
@overrides
def travel(first: str, last: str, out: Path, people: int, scene: str | None, steps: int, overrides: tuple[str, ...]) -> None:
    """Writes travel-FIRST-LAST.png, .json and .csv: a strip from one word to another, a row for each person."""
    from jobs.figure_config import figure_config

    config = figure_config(overrides)
    from jobs.sheets import travel_sheet

    _tell(travel_sheet(config, out, first, last, num_steps=steps, people=people, scene=scene))


@sheet.command()
@click.argument("word")
@out
@people
@scene
@click.option("--at", "intensities", multiple=True, type=float, help="Intensity from 0 to 1; may be given several times. 0, 0.5 and 1 if left out.")
@overrides
def intensity(word: str, out: Path, people: int, scene: str | None, intensities: tuple[float, ...], overrides: tuple[str, ...]) -> None:
    """Writes intensity-WORD.png, .json and .csv: a word from neutral to its typical strength, a row for each person."""
    from jobs.figure_config import figure_config

    config = figure_config(overrides)
    from jobs.sheets import INTENSITIES, intensity_sheet

    _tell(intensity_sheet(config, out, word, intensities=intensities or INTENSITIES, people=people, scene=scene))


def _tell(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)
