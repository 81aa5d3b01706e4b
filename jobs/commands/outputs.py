"""Commands that read a run folder: report, verify, status."""

from __future__ import annotations

import click

from jobs.commands.words import run_folder
from jobs.locations import Location
from jobs.stopping import stopped_by_signals
from manifests.errors import InputError
from manifests.printable import printable


@click.command()
@run_folder
@click.option("--licence", default="", help="Of the data set, such as cc-by-4.0, for its papers.")
@click.option("--contact", default="", help="For questions and withdrawal: an address or a page, for its papers.")
@click.option("--published", default="", metavar="YYYY-MM-DD", help="Date of publication, for its papers.")
@click.option("--licence-of", "licences", multiple=True, metavar="KEY=TEXT", help="Of what a key of the recipe names, such as identities.path=\"own work\".")
@stopped_by_signals()
def report(folder: Location, licence: str, contact: str, published: str, licences: tuple[str, ...]) -> None:
    """Writes a run's report, contact sheet and papers again (README.md, croissant.json, licences.json); what you state is kept in release.json."""
    from jobs.papers.statements import state

    state(folder, {"licence": licence, "contact": contact, "published": published}, licences)
    from jobs.summarize import summarize

    for path in summarize(folder):
        click.echo(f"wrote {path}")


@click.command()
@run_folder
@click.option("--deep", is_flag=True, help="Decode every picture, too, and compare its pixels with its label.")
def verify(folder: Location, deep: bool) -> None:
    """Checks every file, hash, label and count that a run's markers promise; exit code 2 when one is broken. Writes nothing."""
    from jobs.verify import find_problems

    count = 0
    for problem in find_problems(folder, deep=deep):
        click.echo(printable(problem), err=True)
        count += 1
    if count:
        raise InputError(f"verify: {folder} has {count} problem{'s' if count > 1 else ''}. Each line above ends with what to do.")
    click.echo(f"{folder} is whole")


@click.command()
@run_folder
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(folder: Location, as_json: bool) -> None:
    """Prints how far a run is, who drives it and what was set aside, from its files. Writes nothing."""
    import json

    from jobs.status import read_status

    found = read_status(folder)
    click.echo(json.dumps(found.to_json(), indent=1) if as_json else "\n".join(found.lines()))
