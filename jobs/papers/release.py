"""What only the owner of a data set can say: its licence, whom to write to, when it was published, and the licences of what they put in."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.files import read_json, write_json
from jobs.locations import Location
from manifests.errors import InputError

FILE = "release.json"
NOT_STATED = "not stated by you"


@dataclass(frozen=True, kw_only=True)
class Release:
    """The owner's statements; empty text where they made none."""

    licence: str = ""  # of the data set, such as cc-by-4.0
    contact: str = ""  # for withdrawal and corrections: an address or a page
    published: str = ""  # YYYY-MM-DD
    licences: Mapping[str, str] = field(default_factory=dict)  # key of the recipe that names a path -> licence of what is there

    def __post_init__(self) -> None:
        if self.published:
            try:
                datetime.date.fromisoformat(self.published)
            except ValueError as error:
                raise InputError(f'release: published is "{self.published}", expected a date such as 2026-11-30.') from error
        for name in ("licence", "contact"):
            if not isinstance(getattr(self, name), str) or "\n" in getattr(self, name):
                raise InputError(f"release: {name} is {getattr(self, name)!r}, expected one line of text.")

    def with_changes(self, changes: Mapping[str, str], licences: Mapping[str, str]) -> Release:
        """The statements with those that are given instead of the old ones."""
        given = {name: value for name, value in changes.items() if value}
        return dataclasses.replace(self, **given, licences={**self.licences, **licences})


def read_release(folder: Location) -> Release:
    """The owner's statements about a run folder; all empty where none were made."""
    place = folder / FILE
    if not place.is_file():
        return Release()
    try:
        return Release(**read_json(place))
    except TypeError as error:
        expected = ", ".join(item.name for item in dataclasses.fields(Release))
        raise InputError(f"release: {place} has other keys than {expected} ({error}). Correct it, or delete it.") from error


def write_release(folder: Location, release: Release) -> None:
    """Writes release.json, which the papers are made with from then on."""
    write_json(folder / FILE, dataclasses.asdict(release))
