"""Charts of counts and rates: waterfall, rates with intervals, bars before and after, one histogram; colours live in the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qc.report.charts_frame import HALF, Frame, legend
from qc.report.svg import drawing, element, fit, label, line, number, percent, rect, ticks


def waterfall_chart(rows: Sequence[dict[str, Any]]) -> str:
    """Bars of what is left: attempts, then what each reason took, then what was accepted."""
    total = max([int(row["count"]) for row in rows] + [1])
    width, left, bar, gap = 640.0, 236.0, 22.0, 9.0
    room = width - left
    parts, y = [], 4.0
    for row in rows:
        size = room * row["count"] / total
        x = left + (room * row["left"] / total if row["kind"] == "lost" else 0.0)
        parts.append(label(left - 92, y + bar * 0.7, fit(row["label"], 20), "t", "end"))
        parts.append(rect(left, y, room, bar, "track", rx=4))
        parts.append(rect(min(x, width - 2), y, max(size, 2.0 if row["count"] else 0), bar, {"lost": "bad", "kept": "good", "start": "c1"}[row["kind"]], rx=3))
        parts.append(label(left - 12, y + bar * 0.7, f"{row['count']:,}", "t strong", "end"))
        y += bar + gap
    said = "; ".join(f"{row['label']} {row['count']:,}" for row in rows)
    return drawing(width, y, "From attempts to accepted pictures", said, parts, identifier="waterfall", min_width=460)


def rates_chart(rows: Sequence[dict[str, Any]], *, name: str, title: str, identifier: str, value_range: tuple[float, float] | None = (0.0, 1.0)) -> str:
    """One line per row: a dot at its value, a bar for its interval, a triangle beside flagged ones. rows: {key, value, lo, hi, flagged}."""
    known = [row for row in rows if row["value"] is not None]
    low, high = value_range or _span(known)
    step, left = 23.0, 128.0
    frame = Frame(width=HALF, height=40 + step * len(rows) + 26, x_range=(low, high), y_range=(0, 1), left=left, right=72.0, top=8.0, bottom=44.0)
    shares = value_range == (0.0, 1.0)
    parts = frame.axes(name, "", x_ticks=ticks(low, high, 4), x_text=(lambda v: percent(v)) if shares else "{:g}".format)
    for index, row in enumerate(rows):
        y = frame.top + 12 + step * index
        parts.append(label(left - 10, y + 4, fit(row["key"], 17), "t small", "end"))
        if row["value"] is None:
            parts.append(label(left + 6, y + 4, "not measured", "t small muted"))
            continue
        if row.get("lo") is not None and row.get("hi") is not None:
            parts.append(line(frame.x(row["lo"]), y, frame.x(row["hi"]), y, "whisker"))
        parts.append(element("circle", {"cx": frame.x(row["value"]), "cy": y, "r": 4.2, "class": "c2" if row.get("flagged") else "c1"}))
        text = percent(row["value"], 0 if row["value"] in (0, 1) else 1) if shares else number(row["value"])
        parts.append(label(frame.end + 8, y + 4, text, "t small"))
        if row.get("flagged"):
            parts.append(element("path", {"d": f"M{HALF - 13:.1f} {y + 4:.1f}l5 -9l5 9Z", "class": "flag"}))
    said = "; ".join(f"{row['key']} {number(row['value'])}" for row in rows[:12])
    return drawing(frame.width, frame.height, title, said, parts, identifier=identifier)


def before_after_chart(classes: Sequence[str], before: Sequence[int], after: Sequence[int], *, title: str, identifier: str) -> str:
    """Two bars per class: the share of all attempts, and of what was kept."""
    totals = max(sum(before), 1), max(sum(after), 1)
    shares = [(b / totals[0], a / totals[1]) for b, a in zip(before, after, strict=True)]
    peak = max([0.01, *[share for pair in shares for share in pair]])
    left, step = 118.0, 31.0
    frame = Frame(width=HALF, height=62 + step * len(classes) + 14, x_range=(0, peak), y_range=(0, 1), left=left, right=50.0, top=30.0, bottom=44.0)
    parts = legend([("c2 hatch", "before filtering"), ("c1", "kept")], left, 14, step=128)
    parts += frame.axes("share of pictures", "", x_ticks=ticks(0, peak, 4), x_text=lambda v: percent(v, 0 if peak > 0.1 else 1))
    for index, (name, (b, a)) in enumerate(zip(classes, shares, strict=True)):
        y = frame.top + 4 + step * index
        parts.append(label(left - 10, y + 17, fit(name, 16), "t small", "end"))
        parts.append(rect(left, y + 2, frame.x(b) - left, 9, "c2 hatch", rx=1.5))
        parts.append(rect(left, y + 13, frame.x(a) - left, 9, "c1", rx=1.5))
        parts.append(label(frame.x(max(a, b)) + 6, y + 17, percent(a, 1), "t small muted"))
    said = "; ".join(f"{name} {percent(b, 1)} before, {percent(a, 1)} kept" for name, (b, a) in zip(classes[:12], shares, strict=False))
    return drawing(frame.width, frame.height, title, said, parts, identifier=identifier)


def bars_chart(edges: Sequence[float], counts: Sequence[int], *, limit: float | None, median: float | None, unit: str, title: str, identifier: str,
               small: bool = False) -> str:  # fmt: skip
    """One histogram as columns; a dashed line marks the limit, a triangle below the axis the median."""
    peak = max([*counts, 1])
    low, high = min(edges[0], edges[0] if limit is None else limit), max(edges[-1], edges[-1] if limit is None else limit)
    if limit is not None and high - low > 4 * (edges[-1] - edges[0]):  # a limit far away would squeeze the columns into a line
        low, high = edges[0], edges[-1]
    frame = Frame(width=300.0 if small else HALF, height=168.0 if small else 230.0, x_range=(low, high), y_range=(0, peak), left=46.0, top=24.0, bottom=44.0)
    few = ticks(0, peak, 2 if small else 4)
    parts = frame.axes(unit, "pictures", x_ticks=ticks(low, high, 4), y_ticks=[tick for tick in few if float(tick).is_integer()], y_text=lambda v: f"{v:,.0f}")
    for k, count in enumerate(counts):
        if count:
            x, top = frame.x(edges[k]), min(frame.y(count), frame.floor - 1.2)
            parts.append(rect(x + 0.5, top, frame.x(edges[k + 1]) - x - 1.0, frame.floor - top, "c1"))
    parts += frame.limit(limit, f"limit {number(limit)}")
    if median is not None and low <= median <= high:
        parts.append(element("path", {"d": f"M{frame.x(median) - 5:.1f} {frame.floor + 7:.1f}l5 -7l5 7Z", "class": "ink"}))
    said = f"{sum(counts):,} pictures from {number(edges[0])} to {number(edges[-1])} {unit}" + (f", median {number(median)}" if median is not None else "")
    outside = limit is not None and not low <= limit <= high
    return drawing(frame.width, frame.height, title, said + (f"; the limit {number(limit)} is outside" if outside else ""), parts, identifier=identifier)


def _span(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    values = [row[name] for row in rows for name in ("value", "lo", "hi") if row.get(name) is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.08 * (high - low) or 0.1
    return low - margin, high + margin
