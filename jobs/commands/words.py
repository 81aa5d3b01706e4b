"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from jobs.locations import Location, location

EXIT_UNFILLED = 4
EXIT_STOPPED = 75


class RunFolder(click.ParamType):
    """A local path, or an address in an object store such as s3://bucket/folder, which is not asked for here."""

    name = "folder or s3://..."

    def __init__(self, *, exists: bool = False) -> None:
        self._path = click.Path(exists=exists, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Location:
        """The place. A path that is a file, or that must exist and doesn't, is wrong usage."""
        place = location(value)
        return self._path.convert(str(place), param, ctx) if isinstance(place, Path) else place  # type: ignore[return-value] # of path_type


recipe = click.argument("recipe")
overrides = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
out = click.option(
    "--out", type=RunFolder(), help="Run folder or s3://BUCKET/FOLDER, out/RECIPE if left out; an earlier command's work in it is taken up."
)
local = click.option("--local", is_flag=True, help="One worker in this process, without Ray; same bytes.")
extend = click.option("--extend", is_flag=True, help="Go on with a larger recipe in a finished run folder: more people, expressions, scenes or views.")
overwrite = click.option("--overwrite", is_flag=True, help="Delete what an earlier run made in the folder, and start anew.")
ray_address = click.option(
    "--ray", "address", metavar="ADDRESS", help="Join the Ray cluster at HOST:PORT, or auto for this machine's; RAY_ADDRESS if left out, else a Ray of its own."
)
part = click.option("--part", metavar="I/N", help="Make only part I of N, from 0/N to N-1/N; N commands that know nothing of each other make the whole.")
run_folder = click.argument("folder", type=RunFolder(exists=True))
