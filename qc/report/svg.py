"""Inline SVG as text: escaped elements, axis ticks and number formats."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence


def escape(text: object) -> str:
    """Text that is safe in HTML, in attributes too."""
    return html.escape(str(text), quote=True)


def element(tag: str, attributes: dict[str, object], *children: str) -> str:
    """One element; names are written by us, values are escaped, children are markup already."""
    written = "".join(f' {name}="{escape(_short(value))}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(children)}</{tag}>" if children else f"<{tag}{written}/>"


def drawing(width: float, height: float, title: str, description: str, children: Sequence[str], *, identifier: str, min_width: int = 0) -> str:
    """A picture with a name and a description that are read aloud; it scales with the page."""
    named = (
        element("title", {"id": f"{identifier}-t"}, escape(title)),
        element("desc", {"id": f"{identifier}-d"}, escape(description)),
    )
    attributes: dict[str, object] = {
        "viewBox": f"0 0 {_short(width)} {_short(height)}",
        "role": "img",
        "aria-labelledby": f"{identifier}-t {identifier}-d",
        "style": f"width:100%;max-width:{round(width * 1.25)}px;min-width:{min_width}px;height:auto;display:block",
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


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that divide a range into about so many parts."""
    span = max(high - low, 1e-9)
    power = 10 ** math.floor(math.log10(span / about))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if span / (factor * power) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 10) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if float(value).is_integer() and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:.{digits}g}" if abs(value) >= 10 ** (digits - 1) or float(value).is_integer() else f"{value:.{max(0, digits - 1)}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    return "–" if value is None or math.isnan(value) else f"{value * 100:.{digits}f}\u00a0%"


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
