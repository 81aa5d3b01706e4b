"""Where a run folder is: a local path, or an address in an object store that answers to the same questions."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from jobs.bucket import SCHEMES
from jobs.object_store import ObjectPath
from manifests.errors import ConfigError

Location: TypeAlias = Path | ObjectPath


def location(text: str | Location) -> Location:
    """The place that a text names: s3://bucket/prefix or gs://bucket/prefix in an object store, anything else on this machine."""
    if not isinstance(text, str):
        return text
    scheme, mark, _ = text.partition("://")
    if not mark:
        return Path(text)
    if scheme == "file":
        return Path(unquote(urlsplit(text).path))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*SCHEMES, "file"))
        raise ConfigError(f'storage: "{scheme}://" is not a kind of place that facemint can write to. Use a path, or an address with {known}.')
    return ObjectPath.from_text(text)


def absolute_text(place: Location) -> str:
    """Text that `location` reads back as the same place in another process with another working folder."""
    return str(place.resolve()) if isinstance(place, Path) else str(place)


def found(folder: Location, pattern: str) -> list[Location]:
    """What is in a folder under a name like the pattern, sorted by name; nothing where there is no folder."""
    places: list[Location] = [*folder.glob(pattern)]
    return sorted(places, key=lambda place: place.name)


def below(place: Location, folder: Location) -> str:
    """The place's name relative to a folder above it, with slashes."""
    if isinstance(place, ObjectPath):
        return place.relative_to(folder).as_posix()
    return place.relative_to(Path(str(folder))).as_posix()
