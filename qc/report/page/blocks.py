"""Building blocks of the page: sections, panels, tables, pictures, figures with their interval; every text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qc.report.contract import told_apart
from qc.report.svg import clean, escape, number, percent

SAFE_PICTURE = re.compile(r"data:image/(?:webp|jpeg|png);base64,[A-Za-z0-9+/=]+")
BADGES = {
    "pass": ("pass", "✓ pass"),
    "warn": ("warn", "! warn"),
    "fail": ("fail", "✕ fail"),
    "info": ("info", "i for information"),
    "not_measured": ("none", "– not measured"),
}
DEGREES = ("deg", "degrees", "°")
NOT_MEASURED = '<p class="note"><span class="badge none">– not measured</span></p>'
MAX_TABLE_ROWS = 600


@dataclass(frozen=True, kw_only=True)
class Section:
    """Where a section is and what it is called."""

    key: str
    heading: str


class Tiles:
    """The small pictures of a report, while they fit into the page's budget."""

    def __init__(self, uris: dict[str, Any], *, budget: int) -> None:
        self._uris, self._budget = uris, budget
        self.left_out = 0

    def image(self, key: object, alt: str) -> str:
        """The picture with its words, or a grey place that says that there is none."""
        uri = self._uris.get(key) if isinstance(key, str) else None
        if not isinstance(uri, str) or not SAFE_PICTURE.fullmatch(uri):
            return f'<span class="gap" role="img" aria-label="{escape(alt)}: no picture">no picture</span>'
        if len(uri) > self._budget:
            self.left_out += 1
            return f'<span class="gap" role="img" aria-label="{escape(alt)}: left out to keep the page small">left out</span>'
        self._budget -= len(uri)
        return f'<img src="{escape_uri(uri)}" alt="{escape(alt)}" width="96" height="96">'


def escape_uri(uri: str) -> str:
    """A data URI that SAFE_PICTURE matched needs no escaping; anything else becomes empty."""
    return uri if SAFE_PICTURE.fullmatch(uri) else ""


def section(where: Section, body: str) -> str:
    """A section with its heading."""
    return f'<section id="{where.key}" aria-labelledby="{where.key}-h"><h2 id="{where.key}-h">{escape(where.heading)}</h2>{body}</section>'


def note(text: str) -> str:
    """A paragraph of explanation (plain text)."""
    return f'<p class="note">{escape(text)}</p>' if text else ""


def panel(heading: str, body: str, *, explained: str = "") -> str:
    """A part of a section."""
    return f'<div class="panel"><h3>{escape(heading)}</h3>{note(explained)}{body}</div>'


def chart_panel(heading: str, chart: str, behind: str, *, explained: str = "") -> str:
    """A chart with the table of its numbers behind it."""
    details = f'<details><summary>As a table<span class="vh">: {escape(heading)}</span></summary>{scroll(behind, f"Table: {heading}")}</details>'
    return panel(heading, scroll(chart, f"Chart: {heading}") + details, explained=explained)


def columns(*panels: str) -> str:
    """Panels beside each other where the screen is wide."""
    shown = [text for text in panels if text]
    return f'<div class="two">{"".join(shown)}</div>' if shown else ""


def scroll(content: str, name: str) -> str:
    """A region that scrolls sideways by itself, also by keyboard."""
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(name)}">{content}</div>'


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str, *, kind: str = "", numbers: Sequence[int] = ()) -> str:
    """A table whose first column names the row; columns listed in `numbers` stand to the right. Cells are text, or Markup."""
    more = f" Only the first {MAX_TABLE_ROWS:,} of {len(rows):,} rows are shown; the rest is in the JSON." if len(rows) > MAX_TABLE_ROWS else ""
    sides = [' class="n"' if k in numbers else "" for k in range(len(headings))]
    head = "".join(f'<th scope="col"{side}>{escape(name)}</th>' for name, side in zip(headings, sides, strict=True))
    body = ""
    for row in rows[:MAX_TABLE_ROWS]:
        cells = "".join(f"<td{side}>{_cell(value)}</td>" for value, side in zip(row[1:], sides[1:], strict=True))
        body += f'<tr><th scope="row">{_cell(row[0])}</th>{cells}</tr>'
    named = f' class="{kind}"' if kind else ""
    return f"<table{named}><caption>{escape(caption + more)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def bins_table(shown: dict[str, Any], unit: str) -> str:
    """The table behind a histogram: its filled bins."""
    rows = [[f"{number(shown['edges'][k])} to {number(shown['edges'][k + 1])}", f"{count:,}"] for k, count in enumerate(shown["counts"]) if count]
    return table([unit, "pictures"], rows, f"Median {number(shown.get('median'))}", numbers=(1,))


@dataclass(frozen=True)
class Markup:
    """Markup of our own that a table takes as it is."""

    text: str


def badge(status: object) -> str:
    """The status as a sign, a word and a colour."""
    kind, words = BADGES.get(str(status), BADGES["not_measured"])
    return f'<span class="badge {kind}">{words}</span>'


def value_and_limit(value: object, limit: object, unit: object) -> tuple[str, str]:
    """Both as `value_text` has them, with more digits where they would look alike and aren't."""
    texts = value_text(value, unit), value_text(limit, unit)
    if not isinstance(value, int | float) or not isinstance(limit, int | float) or value == limit or _figure(texts[0]) != _figure(texts[1]):
        return texts
    return told_apart(value, limit, lambda number, digits: percent(number, digits) if unit == "share" else f"{number:.{digits + 3}g}")


def _figure(text: str) -> float:
    """The number that a reader reads."""
    return float(re.sub(r"[^0-9.eE+-]", "", text))


def value_text(value: object, unit: object = "") -> str:
    """A number with its unit; "not measured" where there is none."""
    if isinstance(value, bool) or value is None:
        return "not measured" if value is None else "yes" if value else "no"
    if not isinstance(value, int | float):
        return clean(value, 80)
    if unit == "share":
        small = 0 < abs(value) < 0.1 or 0.9 < value < 1
        return percent(value, 1 if small and abs(value * 100 - round(value * 100)) > 0.04 else 0)
    return number(value) + ("°" if unit in DEGREES else "")


def interval_text(ci: Any, unit: object = "") -> str:
    """ "0.41 to 0.47", or a dash."""
    if not isinstance(ci, dict) or ci.get("lo") is None or ci.get("hi") is None:
        return "–"
    return f"{value_text(ci['lo'], unit)} to {value_text(ci['hi'], unit)}"


def is_metric(found: object) -> bool:
    """Whether this is a metric object of the contract."""
    return isinstance(found, dict) and {"id", "label", "value", "stage", "status"} <= found.keys()


def metrics_in(found: object) -> Iterator[dict[str, Any]]:
    """Every metric object inside a part of the report, in order, each once."""
    seen: set[tuple[str, str]] = set()
    for metric in _walk(found):
        name = (str(metric["id"]), str(metric["stage"]))
        if name not in seen:
            seen.add(name)
            yield metric


def metrics_table(metrics: Sequence[dict[str, Any]], caption: str) -> str:
    """Figures with their interval, number and status."""
    rows = []
    for m in metrics:
        clusters = f" in {m['n_clusters']:,} people" if isinstance(m.get("n_clusters"), int) else ""
        count = f"{m['n']:,}{clusters}" if isinstance(m.get("n"), int) else "–"
        unit = "" if m.get("unit") in ("share", None, *DEGREES) else m["unit"]
        stage = "accepted" if m["stage"] == "accepted" else "every attempt" if m["stage"] == "unfiltered" else m["stage"]
        role = m.get("role") or "–"
        rows.append([m["label"], stage, role, value_text(m["value"], m.get("unit")), interval_text(m.get("ci"), m.get("unit")), count, unit,
                     Markup(badge(m["status"]))])  # fmt: skip
    headings = ["figure", "of", "measured by", "value", "95 % interval", "n", "unit", "status"]
    return scroll(table(headings, rows, caption, kind="wide sortable", numbers=(3, 4)), caption)


def figure(found: object) -> tuple[float | None, str]:
    """Value and words of a metric object or of a bare number."""
    if isinstance(found, dict):
        value = found.get("value")
        spread = interval_text(found.get("ci"), found.get("unit"))
        return value, value_text(value, found.get("unit")) + (f" ({spread})" if spread != "–" else "")
    if isinstance(found, int | float) and not isinstance(found, bool):
        return float(found), number(float(found))
    return None, "not measured"


def count_text(value: object) -> str:
    """A whole number with thousands, or a dash."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else number(value) if isinstance(value, float) else "–"


def _walk(found: object) -> Iterator[dict[str, Any]]:
    if isinstance(found, dict):
        if is_metric(found):
            yield found
            return
        for value in found.values():
            yield from _walk(value)
    elif isinstance(found, list):
        for value in found:
            if isinstance(value, dict | list):
                yield from _walk(value)


def _cell(value: object) -> str:
    return value.text if isinstance(value, Markup) else "–" if value is None else escape(value)
