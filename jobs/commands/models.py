"""Commands around the model: weights, swap, train, evaluate, ablations, people."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.commands.words import overrides

TASK_CHOICES = ("all", "swap-all", "swap-id", "swap-expression")

@click.group()
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


@click.command()
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


@click.command()
@click.argument("what")
@click.option("--corpus", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with the corpus shards.")
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Folder for states and weights.")
@overrides
def train(what: str, corpus: Path, work: Path | None, overrides: tuple[str, ...]) -> None:
    """Writes trained weights and the state to go on from; WHAT names the net. The same command again resumes."""
    from jobs.training import run_training

    run_training(what, corpus, work, overrides)


@click.command()
@click.option("--data", required=True, multiple=True, type=click.Path(path_type=Path), help="Benchmark tar; may be given several times.")
@click.argument("more", nargs=-1, metavar="[TAR]... [KEY=VALUE]...")
@click.option("--task", type=click.Choice(TASK_CHOICES), default="all", show_default=True, help="What is swapped; all: each of the three in turn.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the tables and their pictures.")
@click.option("--core", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Core folder; the bundled one if left out.")
@click.option("--pack", type=click.Path(exists=True, file_okay=False, path_type=Path), help="insightface pack that judges too.")
@click.option("--limit", type=click.IntRange(min=1), help="Quadruples to use; all if left out.")
def evaluate(
    data: tuple[Path, ...], more: tuple[str, ...], task: str, out: Path | None, core: Path | None, pack: Path | None, limit: int | None
) -> None:
    """Writes the benchmark tables of a core on swap quadruples, beside no-op, naive paste and the exact target; keys such as sampler.steps=4."""
    words = [word for word in more if "=" in word and not Path(word).is_file()]
    from jobs.figure_config import figure_config

    config = figure_config([*words, *([f"models.core={core}"] if core else [])])
    from jobs.benchmark import TASKS
    from jobs.evaluation import run_evaluation

    tasks = tuple(name for name in TASKS if task in (name, "all"))
    run_evaluation([*data, *(Path(word) for word in more if word not in words)], out, config, tasks=tasks, pack=pack, limit=limit)


@click.command()
@click.option("--corpus", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with the corpus shards.")
@click.option("--work", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of a training; WORK/ablations is written.")
@click.option("--data", multiple=True, type=click.Path(path_type=Path), help="Benchmark tar; those of the corpus if left out.")
@click.option("--limit", type=click.IntRange(min=1), help="Quadruples to use; all if left out.")
@overrides
def ablations(corpus: Path, work: Path, data: tuple[Path, ...], limit: int | None, overrides: tuple[str, ...]) -> None:
    """Writes what each part of DiffSFSR is worth: short trainings without it, measured side by side. Keys: steps, batch_size, sampler.steps and more."""
    from jobs.ablations import run_ablations

    run_ablations(corpus, work, overrides, data=data, limit=limit)


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for people.json, people.md and people.png.")
@click.option("--count", type=click.IntRange(min=2), default=200, show_default=True, help="People to sample.")
@click.option("--expressions", type=click.IntRange(min=2), default=5, show_default=True, help="Pictures of each, with as many expressions.")
@click.option("--proofs", type=click.IntRange(min=0), default=3, show_default=True, help="Pictures that people are chosen by first; 0: all are taken.")
@click.option("--pack", type=click.Path(exists=True, file_okay=False, path_type=Path), help="insightface pack whose detector and recogniser look too.")
@overrides
def people(out: Path, count: int, expressions: int, proofs: int, pack: Path | None, overrides: tuple[str, ...]) -> None:
    """Writes whether sampled people are distinct from each other and from all training people, measured on the faces made of them."""
    from jobs.figure_config import figure_config

    config = figure_config(overrides)
    from jobs.new_people_run import run_people

    run_people(config, out, num_people=count, num_expressions=expressions, num_proofs=proofs, pack=pack)
