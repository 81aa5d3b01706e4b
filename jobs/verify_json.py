"""Reads a JSON file that may be damaged or hostile: bounded in size and depth, and written as facemint writes it."""

from __future__ import annotations

import json
from typing import Any

from jobs.files import json_text, open_read
from jobs.locations import Location

MAX_JSON_BYTES = 64 << 20


class JsonDamage(Exception):
    """A JSON file is not one that facemint writes; the text says why."""


def read_object(path: Location) -> tuple[dict[str, Any], bytes]:
    """The object in a file of facemint's, and the file's bytes; they are the only way in which facemint writes that object."""
    if path.stat().st_size > MAX_JSON_BYTES:
        raise JsonDamage(f"it has {path.stat().st_size:,} bytes, at most {MAX_JSON_BYTES:,} are expected")
    with open_read(path) as stream:
        content = stream.read()
    value = parse_object(content)
    try:
        same = json_text(value).encode("utf-8", "surrogatepass") == content
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise JsonDamage("it is not written as facemint writes it")
    return value, content


def parse_object(content: bytes) -> dict[str, Any]:
    """The JSON object in some bytes."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise JsonDamage(f"it is not JSON ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(value, dict):
        raise JsonDamage(f"it holds a {type(value).__name__}, expected an object")
    return value

