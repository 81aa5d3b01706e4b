"""checks.json: how a run's limits were changed after it was made, and the change that is under way; one that was interrupted goes on from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.files import read_json, write_json
from jobs.locations import Location
from manifests.errors import ResumeMismatch

CHECKS = "checks.json"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A check that was begun and isn't finished."""

    old: str  # configuration that the run had, as YAML
    new: str  # that it gets
    gate: Mapping[str, Any]  # conditions/gate.json as it will be
    old_gate: Mapping[str, Any]  # as it was
    changes: tuple[str, ...]  # "key: was X, now Y"
    measured: bool  # pictures are measured again, too
    before: Mapping[str, Any]  # figures of the run before, as recheck_tally.Tally has them


@dataclass(frozen=True, kw_only=True)
class Checks:
    """All checks of a run folder in their order."""

    history: tuple[Mapping[str, Any], ...] = ()  # changes, measured, before, after
    pending: Pending | None = None

    def write(self, folder: Location) -> None:
        """Replaces checks.json, all at once."""
        write_json(folder / CHECKS, {"version": VERSION, "history": list(self.history), "pending": vars(self.pending) if self.pending else None})


def read_checks(folder: Location) -> Checks:
    """The checks of a run folder."""
    path = folder / CHECKS
    if not path.is_file():
        return Checks()
    written: dict[str, Any] = read_json(path)
    if written.get("version") != VERSION:
        raise ResumeMismatch(f"{path} has version {written.get('version')}, expected {VERSION}. Go on with the facemint that wrote it.")
    pending = written["pending"]
    return Checks(history=tuple(written["history"]), pending=Pending(**{**pending, "changes": tuple(pending["changes"])}) if pending else None)


def refuse_unfinished_check(folder: Location) -> None:
    """Raises ResumeMismatch where a check was interrupted: part of the shards have the new limits."""
    if read_checks(folder).pending:
        raise ResumeMismatch(f'run folder {folder} is being judged again, which was interrupted. Run "facemint check {folder}" first; it goes on.')
