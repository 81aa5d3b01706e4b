"""The command line: every command with what it writes, and every explainable error as one sentence with its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from manifests.errors import FacemintError, InputError

if TYPE_CHECKING:
    from jobs.config import RunConfig
    from jobs.graph import Planned, Run

EXIT_UNFILLED = 4
EXIT_STOPPED = 75


class Facemint(click.Group):
    """Prints errors that facemint can explain without a traceback; all others are bugs and keep theirs."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FacemintError as error:
            click.echo(f"facemint: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Facemint, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="facemint")
def main() -> None:
    """Makes labelled synthetic face data sets from a recipe: identities x expressions x scenes, judged image by image.

    Exit codes: 0 complete, 2 wrong usage or configuration, 3 error budget spent, 4 finished with unfilled slots, 75 stopped early with the state
    saved (run the same command again).
    """


recipe = click.argument("recipe")
overrides = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Run folder, out/RECIPE if left out; an earlier command's work in it is taken up."
)
local = click.option("--local", is_flag=True, help="One worker in this process, without Ray; same bytes.")
run_folder = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))


@main.command()
@click.argument("what", default="recipes")
@overrides
def show(what: str, overrides: tuple[str, ...]) -> None:
    """Prints a recipe with all defaults; or the lists that WHAT names: words, recipes. Writes nothing."""
    from jobs.config import RECIPES, find_recipe, load_config

    if what == "words":
        from manifests.vocabulary import vocabulary

        for word in vocabulary():
            click.echo(f"{word.word:20} {word.primary or '-':9} {word.affectnet8 or '-':10} valence {word.valence:+.2f} arousal {word.arousal:+.2f}")
    elif what == "recipes":
        for path in sorted(RECIPES.glob("*.yaml")):
            click.echo(f"{path.stem:10} {path.read_text(encoding='utf-8').splitlines()[0].lstrip('# ')}")
    else:
        click.echo(load_config(find_recipe(what), overrides).to_yaml(), nl=False)


@main.command()
@recipe
@out
@overrides
def plan(recipe: str, out: Path | None, overrides: tuple[str, ...]) -> None:
    """Writes the manifest of a recipe: config.yaml and manifest/*.parquet."""
    _, planned = _planned(recipe, out, overrides)
    shards = planned.plan.shards()
    click.echo(f"{planned.plan.num_slots:,} slots in {planned.plan.num_cells:,} cells and {len(shards):,} shards")


@main.command()
@recipe
@out
@overrides
def prepare(recipe: str, out: Path | None, overrides: tuple[str, ...]) -> None:
    """Writes conditions/*.parquet: embeddings of people, references of expressions, backgrounds and masks; plans first if need be."""
    run, planned = _planned(recipe, out, overrides)
    for file in run.prepare(planned):
        click.echo(f"wrote {run.folder / file}")


@main.command()
@recipe
@out
@local
@overrides
def make(recipe: str, out: Path | None, local: bool, overrides: tuple[str, ...]) -> None:
    """Writes data/, rejected/, attempts/ and run.json; plans and prepares first if need be. Finished shards are skipped."""
    run, planned = _planned(recipe, out, overrides)
    finished = run.make(planned, run.prepare(planned), local=local)
    _finish(run, finished)


@main.command()
@recipe
@out
@local
@overrides
def run(recipe: str, out: Path | None, local: bool, overrides: tuple[str, ...]) -> None:
    """Writes the whole data set: manifest, conditions, shards, labels, report. The same command again goes on where it was."""
    run, planned = _planned(recipe, out, overrides)
    finished = run.make(planned, run.prepare(planned), local=local)
    if finished:
        from jobs.summarize import summarize

        for path in summarize(run.folder, again=False):
            click.echo(f"wrote {path}")
    _finish(run, finished)


@main.command()
@run_folder
def report(folder: Path) -> None:
    """Writes qc_report.json, report.html, contact_sheet.png and the card README.md of a run again."""
    from jobs.summarize import summarize

    for path in summarize(folder):
        click.echo(f"wrote {path}")


@main.command()
@run_folder
def verify(folder: Path) -> None:
    """Checks every file, hash, label and count that a run's markers promise; exit code 2 when one is broken. Writes nothing."""
    from jobs.verify import find_problems

    problems = list(find_problems(folder))
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise InputError(f"verify: {folder} has {len(problems)} problems. Run the command that made it again; damaged shards are made anew.")
    click.echo(f"{folder} is whole")


@main.command()
@run_folder
def status(folder: Path) -> None:
    """Prints how far a run is, from its files. Writes nothing."""
    from jobs.status import read_status

    click.echo("\n".join(read_status(folder).lines()))


@main.group()
def weights() -> None:
    """Lists or checks the bundled weights. Writes nothing."""


@weights.command("list")
def weights_list() -> None:
    """Prints every bundled weight with its role, size, licence and hash. Writes nothing."""
    from jobs.bundle import BUNDLED
    from manifests.ledger import read_ledger

    ledger = read_ledger(BUNDLED)
    for weight in ledger.weights:
        click.echo(f"{weight.name:28} {weight.role:12} {weight.bytes / 1e6:7.2f} MB  {weight.sha256[:12]}  {weight.licence:12} {weight.file}")
    click.echo(f"{len(ledger.weights)} files, {sum(weight.bytes for weight in ledger.weights) / 1e6:.1f} MB")


@weights.command("verify")
def weights_verify() -> None:
    """Compares every bundled weight with its size and hash, and checks that no model holds two roles. Writes nothing."""
    from jobs.bundle import BUNDLED
    from manifests.ledger import check_roles, read_ledger, verify_ledger

    ledger = read_ledger(BUNDLED)
    verify_ledger(ledger)
    check_roles(ledger.weights)
    click.echo(f"{len(ledger.weights)} files are as the ledger says, and no model holds two roles")


@main.command()
@click.option("--identity", required=True, type=click.Path(path_type=Path), help="Photograph of the person.")
@click.option("--expression", required=True, type=click.Path(path_type=Path), help="Photograph with the expression.")
@click.option("--background", required=True, type=click.Path(path_type=Path), help="Photograph whose face is replaced; its pose stays.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="PNG to write.")
@overrides
def swap(identity: Path, expression: Path, background: Path, out: Path, overrides: tuple[str, ...]) -> None:
    """Writes one picture from three, and prints its QC figures; keys as in a recipe, such as sampler.steps=30 seed=7."""
    from jobs.config import config_from_words
    from jobs.swap import swap_pictures

    config = config_from_words(overrides)
    for line in swap_pictures(config, identity=identity, expression=expression, background=background, out=out):
        click.echo(line)


@main.command()
@click.argument("what")
@click.option("--corpus", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with the corpus shards.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Folder for states and weights.")
@overrides
def train(what: str, corpus: Path, work: Path | None, overrides: tuple[str, ...]) -> None:
    """Writes trained weights and the state to go on from; WHAT names the net. The same command again resumes."""
    from jobs.training import run_training

    run_training(what, corpus, work, overrides)


@main.command()
@click.option("--data", required=True, multiple=True, type=click.Path(path_type=Path), help="Benchmark tar; may be given several times.")
@click.argument("more", nargs=-1, type=click.Path(path_type=Path), metavar="[TAR]...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the table and its pictures.")
@click.option("--core", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Core folder; the bundled one if left out.")
@click.option("--pack", type=click.Path(exists=True, file_okay=False, path_type=Path), help="insightface pack that judges too.")
@click.option("--limit", type=click.IntRange(min=1), help="Quadruples to use; all if left out.")
def evaluate(data: tuple[Path, ...], more: tuple[Path, ...], out: Path | None, core: Path | None, pack: Path | None, limit: int | None) -> None:
    """Writes the benchmark table of a core on swap quadruples, beside no-op, naive paste and the exact target."""
    from jobs.evaluation import run_evaluation

    run_evaluation([*data, *more], out, core, pack=pack, limit=limit)


def _config(recipe: str, overrides: tuple[str, ...]) -> RunConfig:
    from jobs.config import find_recipe, load_config

    return load_config(find_recipe(recipe), overrides)


def _planned(recipe: str, out: Path | None, overrides: tuple[str, ...]) -> tuple[Run, Planned]:
    config = _config(recipe, overrides)  # first: a wrong key is said before anything heavy is imported
    from jobs.graph import Run

    run = Run(out or Path("out") / Path(recipe).stem, config)
    planned = run.plan()
    for axis, item in planned.left_out():
        click.echo(f"left out: {axis} {item.file}: {item.reason}", err=True)
    return run, planned


def _finish(run: Run, finished: bool) -> None:
    if not finished:
        click.echo("stopped early; the state is saved, run the same command again", err=True)
        raise click.exceptions.Exit(EXIT_STOPPED)
    unfilled = run.unfilled()
    if unfilled:
        click.echo(f"{unfilled:,} slots are unfilled; data/*.json names them with their reasons", err=True)
        raise click.exceptions.Exit(EXIT_UNFILLED)


if __name__ == "__main__":
    main()
