"""Takes down what the owner of a run states on the command line, before its papers are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs.locations import Location
from jobs.papers.licences import INPUTS
from jobs.papers.release import read_release, write_release
from manifests.errors import ConfigError


def state(folder: Location, statements: Mapping[str, str], licences: Sequence[str]) -> None:
    """Adds the statements that aren't empty to release.json; `licences` are words KEY=TEXT with a key of the recipe that names a path."""
    given = {}
    for word in licences:
        key, equals, text = word.partition("=")
        if not equals or key not in INPUTS or not text.strip():
            raise ConfigError(f'report: "{word}" is no licence of an input, expected KEY=TEXT with a key of {", ".join(INPUTS)}.')
        given[key] = text.strip()
    if given or any(statements.values()):
        write_release(folder, read_release(folder).with_changes(statements, given))
