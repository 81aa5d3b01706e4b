"""Inline SVG as text: clean and escaped words, elements, axis ticks and number formats."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

MAX_TEXT = 2000  # letters of one value; nothing that a person reads in a report is longer
MAX_PATH = 1_000_000  # letters of an attribute: the paths of curves are long

# Text comes from recipes, file names and models. These letters would break the page's file, hide text or turn its direction around:
# controls, lone surrogates, noncharacters, direction marks and overrides, invisible operators, tags. Joiners (U+200C, U+200D) stay: words need them.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SPACES = re.compile("[\t\n\r\u2028\u2029]")
_STACKED = re.compile("([\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})[\u0300-\u036f\u0483-\u0489"
                      "\u0591-\u05bd\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")  # fmt: skip


def clean(text: object, size: int = MAX_TEXT) -> str:
    """Text of at most `size` letters without controls, direction overrides, stacked accents and halves of letters, shown as U+FFFD."""
    words = str(text)[: 2 * size]
    words = _STACKED.sub(r"\1", _UNWANTED.sub("\ufffd", _SPACES.sub(" ", words)))
    return words if len(words) <= size else words[: size - 1] + "…"


def escape(text: object) -> str:
    """Text that is safe in HTML, in attributes too."""
    return html.escape(clean(text), quote=True)


def element(tag: str, attributes: dict[str, object], *children: str) -> str:
    """One element; names are written by us, values are escaped, children are markup already."""
    written = "".join(f' {name}="{html.escape(clean(_short(value), MAX_PATH))}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(children)}</{tag}>" if children else f"<{tag}{written}/>"


def drawing(width: float, height: float, title: str, description: str, children: Sequence[str], *, identifier: str, min_width: int = 0) -> str:
    """A picture with a name and a description that are read aloud; it scales with the page, and keeps a readable width where that scrolls.

    min_width  one of the classes m280, m360, m460, m560, m640 of the style sheet, or 0; sizes are classes because the page's policy forbids inline styles
    """
    named = (
        element("title", {"id": f"{identifier}-t"}, escape(title)),
        element("desc", {"id": f"{identifier}-d"}, escape(description)),
    )
    attributes: dict[str, object] = {
        "viewBox": f"0 0 {_short(float(width))} {_short(float(height))}",
        "width": float(width),
        "height": float(height),
        "role": "img",
        "aria-labelledby": f"{identifier}-t {identifier}-d",
        "class": f"chart m{min_width}" if min_width else "chart",
    }
    return element("svg", attributes, *named, *children)


def rect(x: float, y: float, width: float, height: float, kind: str, **more: object) -> str:
    """A rectangle; `kind` is its class in the style sheet."""
    return element("rect", {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height), "class": kind, **more})


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def label(x: float, y: float, text: object, kind: str = "t", anchor: str = "start", **more: object) -> str:
    """Text at a point."""
    return element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor, **more}, escape(text))


def fit(text: object, size: int) -> str:
    """The start of a name that is too long for its place."""
    return clean(text, size)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that divide a range into about so many parts."""
    span = max(high - low, 1e-9)
    power = 10 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if span / (factor * power) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{round(value):,}"
    if value and abs(value) < 10.0 ** -(digits - 1):
        return f"{value:.{max(1, digits - 1)}g}"
    if float(value).is_integer() or abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{max(0, digits - (2 if abs(value) >= 10 else 1))}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    return "–" if value is None or math.isnan(value) else f"{value * 100:.{digits}f}\u00a0%"


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
