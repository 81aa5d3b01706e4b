"""The command line: all commands, and every explainable error as one sentence with its exit code."""

from __future__ import annotations

from typing import Any

import click

from jobs.commands import COMMANDS
from manifests.errors import FacemintError
from manifests.printable import printable


class Facemint(click.Group):
    """Prints errors that facemint can explain without a traceback; all others are bugs and keep theirs."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FacemintError as error:
            click.echo(f"facemint: {printable(error)}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Facemint, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="facemint")
def main() -> None:
    """Makes labelled synthetic face data sets from a recipe: identities x expressions x scenes, judged image by image.

    Exit codes: 0 complete, 2 wrong usage or configuration, 3 error budget spent, 4 finished with unfilled or quarantined slots, 75 stopped early
    with the state saved, or another command works on the folder (run the same command again).
    """


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
