"""Text files with places to fill in, written @{place}; whatever goes in is quoted for the language of the file first."""

from __future__ import annotations

import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FORMS = Path(__file__).resolve().parent


class _Form(string.Template):
    delimiter = "@"


def fill(file: str, values: Mapping[str, object]) -> str:
    """The form with its places filled in; every place must have a value."""
    return _Form((FORMS / file).read_text(encoding="utf-8")).substitute({name: str(value) for name, value in values.items()})


def yaml_value(value: Any) -> str:
    """A value on one line, as good inside brackets as after a key."""
    line = yaml.dump([value], Dumper=_OneLine, sort_keys=False, default_flow_style=True, width=sys.maxsize)
    return line.strip()[1:-1]


def yaml_document(document: Mapping[str, Any]) -> str:
    """A document with texts of several lines as they are, where YAML can say them so."""
    return yaml.dump(document, Dumper=_Readable, sort_keys=False, width=sys.maxsize)


def end_mark(text: str) -> str:
    """A word for the end of a here-document that is no line of the text."""
    mark = "END_OF_RECIPE"
    while mark in text.splitlines():
        mark += "_"
    return mark


class _OneLine(yaml.SafeDumper):
    """Writes every text in double quotes, where line breaks are escapes."""


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks."""


_OneLine.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))
_Readable.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))
