"""Commands that go from a recipe to a data set: show, plan, prepare, make, run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs.commands.words import EXIT_STOPPED, EXIT_UNFILLED, extend, local, out, overrides, overwrite, part, ray_address, recipe
from jobs.partition import parse_part
from jobs.stopping import stopped_by_signals
from manifests.printable import printable

if TYPE_CHECKING:
    from jobs.config import RunConfig
    from jobs.graph import Planned, Run
    from jobs.locations import Location


@click.command()
@click.argument("what", default="recipes")
@overrides
def show(what: str, overrides: tuple[str, ...]) -> None:
    """Prints a recipe with all defaults; or what WHAT names: words, recipes, grafana (a dashboard for Grafana). Writes nothing."""
    from jobs.config import RECIPES, find_recipe, load_config

    if what == "words":
        from manifests.vocabulary import vocabulary

        for word in vocabulary():
            click.echo(f"{word.word:20} {word.primary or '-':9} {word.affectnet8 or '-':10} valence {word.valence:+.2f} arousal {word.arousal:+.2f}")
    elif what == "grafana":
        click.echo((Path(__file__).parent.parent / "grafana" / "facemint.json").read_text(encoding="utf-8"), nl=False)
    elif what == "recipes":
        for path in sorted(RECIPES.glob("*.yaml")):
            click.echo(f"{path.stem:10} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")
    else:
        click.echo(load_config(find_recipe(what), overrides).to_yaml(), nl=False)


@click.command()
@recipe
@out
@extend
@overwrite
@overrides
@click.option("--estimate", is_flag=True, help="Print attempts, hours and bytes to expect instead; writes nothing.")
@click.option("--pilot", type=click.IntRange(min=0), default=64, show_default=True, help="With --estimate: attempts really made to learn from; 0: none.")
@click.option("--price-per-hour", type=click.FloatRange(min=0), help="With --estimate: of one worker, to print the price of the run.")
@click.option("--json", "as_json", is_flag=True, help="With --estimate: as JSON.")
@stopped_by_signals()
def plan(
    recipe: str, out: Location | None, extend: bool, overwrite: bool, overrides: tuple[str, ...], estimate: bool, pilot: int,
    price_per_hour: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Writes the manifest of a recipe: config.yaml and manifest/*.parquet; with --estimate nothing, and prints what the run will take."""
    if estimate:
        _estimate(recipe, overrides, pilot, price_per_hour, as_json)
        return
    _, planned = _planned(recipe, out, overrides, extend=extend, overwrite=overwrite)
    shards = planned.plan.shards()
    click.echo(f"{planned.plan.num_slots:,} slots in {planned.plan.num_cells:,} cells and {len(shards):,} shards")


@click.command()
@recipe
@out
@overrides
@stopped_by_signals()
def prepare(recipe: str, out: Location | None, overrides: tuple[str, ...]) -> None:
    """Writes conditions/*.parquet: embeddings of people, references of expressions, backgrounds and masks; plans first if need be."""
    run, planned = _planned(recipe, out, overrides)
    for file in run.prepare(planned):
        click.echo(f"wrote {run.folder / file}")


@click.command()
@recipe
@out
@extend
@overwrite
@local
@ray_address
@part
@overrides
@stopped_by_signals()
def make(
    recipe: str, out: Location | None, extend: bool, overwrite: bool, local: bool, address: str | None, part: str | None, overrides: tuple[str, ...]
) -> None:
    """Writes data/, rejected/, attempts/ and run.json; plans and prepares first if need be. Finished shards are skipped."""
    numbers = parse_part(part or "0/1")
    run, planned = _planned(recipe, out, overrides, extend=extend, overwrite=overwrite)
    finished = run.make(planned, run.prepare(planned), local=local, address=address, part=numbers)
    _finish(run, finished)


@click.command()
@recipe
@out
@extend
@overwrite
@local
@ray_address
@overrides
@stopped_by_signals()
def run(recipe: str, out: Location | None, extend: bool, overwrite: bool, local: bool, address: str | None, overrides: tuple[str, ...]) -> None:
    """Writes the whole data set: manifest, conditions, shards, labels, report. The same command again goes on where it was."""
    run, planned = _planned(recipe, out, overrides, extend=extend, overwrite=overwrite)
    make_and_summarize(run, planned, local=local, address=address)


def make_and_summarize(run: Run, planned: Planned, *, local: bool, address: str | None = None) -> None:
    """The stages after plan; exits with the code of a run that was stopped or has unfilled slots."""
    finished = run.make(planned, run.prepare(planned), local=local, address=address)
    if finished:
        from jobs.summarize import summarize

        for path in summarize(run.folder, again=False):
            click.echo(f"wrote {path}")
    _finish(run, finished)


def _estimate(recipe: str, overrides: tuple[str, ...], pilot: int, price_per_hour: float | None, as_json: bool) -> None:
    config = _config(recipe, overrides)
    import json

    from jobs.estimate import estimate_recipe

    found = estimate_recipe(config, pilot=pilot, price_per_hour=price_per_hour)
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else "\n".join(found.lines()))


def _config(recipe: str, overrides: tuple[str, ...]) -> RunConfig:
    from jobs.config import find_recipe, load_config

    return load_config(find_recipe(recipe), overrides)


def _planned(recipe: str, out: Location | None, overrides: tuple[str, ...], *, extend: bool = False, overwrite: bool = False) -> tuple[Run, Planned]:
    config = _config(recipe, overrides)  # first: a wrong key is said before anything heavy is imported
    if extend and overwrite:
        raise click.UsageError("--extend keeps what a folder has and --overwrite deletes it. Give one of them.")
    from jobs.arrow import postpone_pandas
    from jobs.graph import Run

    postpone_pandas()
    folder = out or Path("out") / Path(recipe).stem
    if overwrite:
        from jobs.overwrite import overwrite_run

        click.echo(f"deleted {overwrite_run(folder, config):,} files of the run in {folder}", err=True)
    run = Run(folder, config, extend=extend)
    planned = run.plan()
    for axis, item in planned.left_out():
        click.echo(printable(f"left out: {axis} {item.file}: {item.reason}"), err=True)
    return run, planned


def _finish(run: Run, finished: bool) -> None:
    if not finished:
        click.echo("stopped early; the state is saved, run the same command again", err=True)
        raise click.exceptions.Exit(EXIT_STOPPED)
    open_slots = run.open_slots()
    if any(open_slots.values()):
        told = " and ".join(f"{number:,} slots are {state}" for state, number in open_slots.items() if number)
        click.echo(f"{told}; slots/*.parquet names them with their reasons, facemint retry tries them again", err=True)
        raise click.exceptions.Exit(EXIT_UNFILLED)
