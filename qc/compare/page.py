"""The page of a comparison: what changed first, then the differences with their intervals, then the same keys side by side; no script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from qc.compare.comparison import MARGINS, RELATIVE_MARGIN, Comparison, Q, Row
from qc.report.page.document import source_hash
from qc.report.svg import drawing, escape, label, line, number, rect

POLICY = "default-src 'none'; img-src data:; style-src '{style}'; base-uri 'none'; form-action 'none'"
BADGES = {"regression": "fail", "not comparable": "warn", "worse": "warn", "improvement": "pass", "better": "pass", "same": "pass"}
SIDE = (
    "main,header.top,footer{display:block;max-width:1120px;margin:0 auto;padding-left:24px;padding-right:24px}"
    "figure.pair{display:inline-block;margin:0 18px 18px 0}figure.pair img{display:inline-block;width:96px;height:96px;border-radius:9px;margin-right:4px}"
)
_IMAGE = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/]+={0,2}")  # nothing in it needs escaping


def render_comparison(found: Comparison) -> str:
    """The page as text."""
    style = (resources.files("qc") / "report" / "page.css").read_text(encoding="utf-8") + SIDE
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY.format(style=source_hash(style))}">'
        '<meta name="viewport" content="width=device-width,'
        f'initial-scale=1"><meta name="robots" content="noindex"><title>{escape(found.a)} and {escape(found.b)} compared</title><style>{style}</style>'
    )
    badge = {0: ("pass", "no regression"), 1: ("fail", "regression"), 2: ("warn", "not comparable")}[found.exit_code]
    top = (
        '<header class="top"><p class="eyebrow">Comparison of two runs</p><h1>B compared with A</h1>'
        f'<p><span class="badge {badge[0]}">{badge[1]}</span></p><p class="lead">{escape(found.verdict)}</p>'
        f"<dl><dt>A</dt><dd>{escape(found.a)}</dd><dt>B</dt><dd>{escape(found.b)}</dd></dl></header>"
    )
    body = _changes(found) + _differences(found) + _tiles(found)
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{top}<main>{body}</main><footer>Made by facemint compare.</footer></body></html>\n'


def _changes(found: Comparison) -> str:
    models = [[row["role"], row["name"], row["a"][:16], row["b"][:16]] for row in found.models]
    limits = [[row["check"], row["a"], row["b"]] for row in found.limits]
    counts = [[name, f"{a:,}" if isinstance(a, int) else str(a), f"{b:,}" if isinstance(b, int) else str(b)] for name, (a, b) in found.counts.items()]
    parts = [
        _table(["role", "model", "A, sha256", "B, sha256"], models, "Models that differ") if models else "<p>The same models made and judged both.</p>",
        _table(["check", "A", "B"], limits, "Limits that differ") if limits else "<p>The same limits were applied.</p>",
        _table(["", "A", "B"], counts, "Pictures") if counts else "",
    ]
    return _section("What changed", "".join(parts))


def _differences(found: Comparison) -> str:
    rows = []
    for row in found.rows:
        its = row.difference
        low, high = _number(its.low, row), _number(its.high, row)
        badge = f'<span class="badge {BADGES.get(row.status, "none")}">{escape(row.status)}</span>'
        spread = f"{low} to {high}" if its.low is not None else "–"
        sizes = f"{its.n_a:,} / {its.n_b:,}"
        cells = [_number(its.a, row), _number(its.b, row), _number(its.value, row), spread, number(its.p), _number(row.margin, row), sizes]
        text = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(row.label)}<br>{badge}</th>{text}<td>{escape(row.why or its.method)}</td></tr>')
    names = ("figure", "A", "B", "B minus A", "95 % interval", "p", "margin", "n", "method")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    units = ", ".join(f"{value:g} {unit}" for unit, value in MARGINS.items())
    note = (
        f"A figure is a regression where it is worse by more than its margin and the difference is significant among all of them (Benjamini and Hochberg, "
        f"q = {Q:g}). Margins: {units}; {RELATIVE_MARGIN:.0%} of A's value for others, unless another was given. {found.paired}"
    )
    table = f'<table class="wide"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    chart = _chart([row for row in found.rows if row.difference.low is not None and row.margin > 0])
    return _section("Differences", f'<p class="note">{escape(note)}</p>{chart}{_scroll(table, "Table of differences")}')


def _chart(rows: Sequence[Row]) -> str:
    """Differences with intervals in units of their margins, so that all are on one axis; right of 0 is better."""
    if not rows:
        return ""
    width, left, step, reach = 720.0, 250.0, 30.0, 4.0

    def x(value: float) -> float:
        return left + (width - left - 20) * (min(max(value, -reach), reach) + reach) / (2 * reach)

    height = step * len(rows) + 34
    parts = [rect(x(-1), 4, x(1) - x(-1), height - 30, "track"), line(x(0), 4, x(0), height - 26, "axis")]
    for place, row in enumerate(rows):
        its, middle = row.difference, 4 + step * (place + 0.5)
        sign = -1.0 if row.direction == "lower" else 1.0
        low, value, high = (sign * float(end or 0.0) / row.margin for end in (its.low, its.value, its.high))
        parts += [label(left - 10, middle + 5, row.label[:34], "t small", "end"), line(x(low), middle, x(high), middle, "own")]
        parts.append(rect(x(value) - 4, middle - 4, 8, 8, "bad" if row.status == "regression" else "accent"))
    named = ((0.4 - reach, "worse"), (-1, "−1"), (0, "0"), (1, "+1"), (reach - 0.4, "better"))
    parts += [label(x(value), height - 8, text, "t small muted", "middle") for value, text in named]
    told = "; ".join(f"{row.label}: {row.status}" for row in rows)
    picture = drawing(width, height, "Differences in units of their margins", told, parts, identifier="differences", min_width=560)
    return _scroll(picture, "Chart of differences")


def _tiles(found: Comparison) -> str:
    pairs = []
    for key, a, b in found.tiles:
        if not (_IMAGE.fullmatch(a) and _IMAGE.fullmatch(b)):
            continue
        name = escape(key)
        images = "".join(f'<img src="{uri}" alt="{name}, run {run}" width="96" height="96">' for uri, run in ((a, "A"), (b, "B")))
        pairs.append(f'<figure class="pair">{images}<figcaption class="mono">{name}</figcaption></figure>')
    if not pairs:
        return _section("The same key in both", "<p>The reports show no key in common.</p>")
    return _section("The same key in both", f'<p class="note">A on the left, B on the right.</p>{"".join(pairs)}')


def _number(value: float | None, row: Row) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.2f} %" if row.unit == "share" else number(value)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in names)
    body = "".join(f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>' for row in rows)
    return _scroll(f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", caption)


def _scroll(content: str, name: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">{content}</div>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"
