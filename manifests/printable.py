"""Text of others made safe to show: what would steer a terminal, end a line of a log or turn the reading direction around is written as an escape."""

from __future__ import annotations

import unicodedata

MAX_TEXT = 4_000  # letters of one message
_STEERING = ("Cc", "Cs", "Zl", "Zp")  # controls, halves of letters, ends of lines and paragraphs
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # embeddings, overrides and isolates of the reading direction


def is_printable(text: str) -> bool:
    """Whether the text can be shown as it is; no-break spaces, joiners and any alphabet can."""
    return not any(_unsafe(char) for char in text)


def printable(text: object, *, size: int = MAX_TEXT) -> str:
    r"""At most `size` letters on one line, with \n, \x1b, \u202e and the like for what can't be shown."""
    words = str(text)
    shown = "".join(char.encode("unicode_escape", "surrogatepass").decode("ascii") if _unsafe(char) else char for char in words[:size])
    return shown + (f" ... ({len(words) - size:,} letters more)" if len(words) > size else "")


def _unsafe(char: str) -> bool:
    return char in _TURNING or unicodedata.category(char) in _STEERING
