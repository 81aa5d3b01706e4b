"""Commands that judge what was made: check, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from jobs.commands.words import RunFolder, overrides, run_folder
from jobs.locations import Location, location
from manifests.errors import ConfigError


class Place(click.ParamType):
    """A run folder or a report: a path that exists, or an address in an object store."""

    name = "run folder or qc_report.json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        """The place."""
        place = location(value)
        return click.Path(exists=True, path_type=Path).convert(str(place), param, ctx) if isinstance(place, Path) else place  # type: ignore[return-value] # of path_type


@click.command()
@run_folder
@overrides
@click.option("--measure", is_flag=True, help="Measure the pictures again, too, instead of judging what was measured.")
@click.option("--dry-run", is_flag=True, help="Print what would change and write nothing.")
def check(folder: Location, overrides: tuple[str, ...], measure: bool, dry_run: bool) -> None:
    """Writes the shards of a finished run again by other limits (qc.KEY=VALUE), without generating: its stored pictures are judged again."""
    from jobs.config import load_config

    if (folder / "config.yaml").is_file():
        load_config(folder / "config.yaml", overrides)  # a wrong key is said before anything heavy is imported
    from jobs.check import check_run

    if check_run(folder, overrides, measure=measure, dry_run=dry_run, say=click.echo):
        from jobs.summarize import summarize

        for path in summarize(folder):
            click.echo(f"wrote {path}")


@click.command()
@click.argument("a", type=Place())
@click.argument("b", type=Place())
@click.option("--out", type=RunFolder(), help="Folder that compare.html and compare.json are written to; nothing is written if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--margin", "margins", multiple=True, metavar="METRIC=VALUE", help="Worse by less than this is no regression; may be given several times.")
def compare(a: Location, b: Location, out: Location | None, as_json: bool, margins: tuple[str, ...]) -> None:
    """Compares run B with run A (folders, or qc_report.json files): prints the differences of the contract's figures; --out writes a page.

    Exit codes: 0 no significant regression, 1 regression, 2 not comparable, because another model measured a figure, or wrong usage.
    """
    wanted = dict(parse_margin(word) for word in margins)
    import json

    from jobs.compare import compare_runs, write_comparison

    found = compare_runs(a, b, wanted)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        click.echo("\n".join(found.lines()))
    for path in write_comparison(found, out) if out else ():
        click.echo(f"wrote {path}", err=True)
    raise click.exceptions.Exit(found.exit_code)


def parse_margin(word: str) -> tuple[str, float]:
    """Metric id and margin of METRIC=VALUE."""
    name, _, text = word.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not name or not 0 <= value < float("inf"):
        raise ConfigError(f'compare: --margin "{word}" is not METRIC=VALUE with a value of 0 or more, such as expression_agreement=0.02.')
    return name, value
