"""Commands that mend a run folder: retry."""

from __future__ import annotations

import click

from jobs.commands.runs import make_and_summarize
from jobs.commands.words import local, run_folder
from jobs.locations import Location
from jobs.stopping import stopped_by_signals


@click.command()
@run_folder
@click.option("--unfilled", is_flag=True, help="Try slots again that no attempt filled.")
@click.option("--quarantined", is_flag=True, help="Try slots again that were set aside. Without one of the two: both.")
@click.option("--attempts", type=click.IntRange(min=1), help="Further attempts of an unfilled slot; the recipe's max_attempts if left out.")
@local
@stopped_by_signals()
def retry(folder: Location, unfilled: bool, quarantined: bool, attempts: int | None, local: bool) -> None:
    """Writes the shards with unfilled or quarantined slots again, after further attempts at those; filled slots stay as they are."""
    from jobs.extend import recipe_of_run

    config = recipe_of_run(folder)
    from jobs.graph import Run
    from jobs.retry import ask_again

    run = Run(folder, config)
    planned = run.plan()
    both = unfilled == quarantined
    retries = ask_again(folder, config.max_attempts, unfilled=unfilled or both, quarantined=quarantined or both, attempts=attempts or config.max_attempts)
    if not retries.pending:
        click.echo(f"{folder} has no slots to try again")
        return
    click.echo(f"trying slots of {len(retries.pending):,} shards again", err=True)
    make_and_summarize(run, planned, local=local)
