"""The charts of the report, each a function of the JSON's numbers to SVG; colours live in the style sheet, for light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from qc.report.svg import drawing, element, label, line, number, percent, rect, ticks


def waterfall_chart(rows: Sequence[dict]) -> str:
    """Bars of what is left: attempts, then what each reason took, then what was accepted."""
    total = max([row["count"] for row in rows] + [1])
    width, left, bar, gap = 560.0, 186.0, 22.0, 9.0
    room = width - left
    parts, y, start = [], 6.0, 0.0
    for row in rows:
        size = room * row["count"] / total
        x = left + (start if row["kind"] == "lost" else 0.0)
        if row["kind"] == "lost":
            x = left + room * row["left"] / total
        parts.append(label(left - 64, y + bar * 0.7, row["label"], "t", "end"))
        parts.append(rect(left, y, room, bar, "track", rx=4))
        parts.append(rect(x, y, max(size, 1.5 if row["count"] else 0), bar, {"lost": "bad", "kept": "good", "start": "accent"}[row["kind"]], rx=4))
        parts.append(label(left - 12, y + bar * 0.7, f"{row['count']:,}", "t strong", "end"))
        y += bar + gap
    said = "; ".join(f"{row['label']} {row['count']}" for row in rows)
    return drawing(width, y, "From attempts to accepted pictures", said, parts, identifier="waterfall", min_width=400)


def heat_map(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]], *, title: str,
             description: str, identifier: str, diagonal: bool = False) -> str:  # fmt: skip
    """A grid of shares 0..1 with the numbers written in the cells; empty where nothing was asked."""
    cell_w, cell_h, left, top = 66.0, 34.0, 116.0, 34.0
    parts = [label(left + (i + 0.5) * cell_w, top - 12, _fit(name, 10), "t small", "middle") for i, name in enumerate(columns)]
    for j, name in enumerate(rows):
        y = top + j * cell_h
        parts.append(label(left - 12, y + cell_h / 2 + 4, _fit(name, 15), "t small", "end"))
        for i, value in enumerate(values[j]):
            x = left + i * cell_w
            if value is None:
                parts.append(rect(x + 1.5, y + 1.5, cell_w - 3, cell_h - 3, "void", rx=5))
                continue
            kind = "cell own" if diagonal and i == j else "cell"
            parts.append(rect(x + 1.5, y + 1.5, cell_w - 3, cell_h - 3, "cellground", rx=5))
            parts.append(rect(x + 1.5, y + 1.5, cell_w - 3, cell_h - 3, kind, rx=5, **{"fill-opacity": f"{0.06 + 0.94 * value:.3f}"}))
            parts.append(label(x + cell_w / 2, y + cell_h / 2 + 4, texts[j][i], "t small over" if value > 0.5 else "t small", "middle"))
    width = left + cell_w * len(columns) + 6
    return drawing(width, top + cell_h * len(rows) + 4, title, description, parts, identifier=identifier, min_width=round(min(width, 560)))


def histogram_chart(edges: Sequence[float], mated: Sequence[float], nonmated: Sequence[float], *, threshold: float | None, title: str, identifier: str) -> str:
    """Two densities over the same bins, as outlines with a tint; a dashed line marks the threshold."""
    width, height, left, bottom, top = 500.0, 260.0, 16.0, 46.0, 40.0
    low, high = edges[0], edges[-1]
    peak = max([*mated, *nonmated, 1e-9])

    def x(value: float) -> float:
        return left + (width - left - 20) * (value - low) / (high - low)

    def y(share: float) -> float:
        return height - bottom - (height - bottom - top) * share / peak

    parts = []
    for tick in ticks(low, high, 7):
        parts.append(line(x(tick), top - 6, x(tick), height - bottom, "grid"))
        parts.append(label(x(tick), height - bottom + 18, f"{tick:g}", "t small muted", "middle"))
    for shares, kind in ((nonmated, "nonmated"), (mated, "mated")):
        path = f"M{x(low):.1f} {y(0):.1f}"
        for k, share in enumerate(shares):
            path += f"L{x(edges[k]):.1f} {y(share):.1f}L{x(edges[k + 1]):.1f} {y(share):.1f}"
        parts.append(element("path", {"d": path + f"L{x(high):.1f} {y(0):.1f}Z", "class": kind}))
    parts.append(line(left, y(0), width - 20, y(0), "axis"))
    if threshold is not None and low <= threshold <= high:
        parts.append(line(x(threshold), top - 6, x(threshold), y(0), "limit"))
        late = x(threshold) > 0.7 * width
        parts.append(label(x(threshold) + (-6 if late else 6), top + 4, f"threshold {threshold:.2f}", "t small", "end" if late else "start"))
    parts += [rect(left, 6, 14, 12, "mated", rx=3), label(left + 20, 16, "same person (mated)", "t small")]
    parts += [rect(left + 180, 6, 14, 12, "nonmated", rx=3), label(left + 200, 16, "other people (non-mated)", "t small")]
    parts.append(label((width + left) / 2, height - 8, "cosine similarity", "t small muted", "middle"))
    said = (
        f"Cosines from {number(low)} to {number(high)}; the peak is at {number(edges[_peak(mated)])} for mated, {number(edges[_peak(nonmated)])} for non-mated"
    )
    return drawing(width, height, title, said, parts, identifier=identifier, min_width=320)


def scatter_chart(points: Sequence[Sequence[float]], *, threshold: float | None, title: str, identifier: str) -> str:
    """Gate cosine across, audit cosine up; accepted filled, rejected as rings. points: (gate, audit, accepted 0/1)."""
    width, height, left, bottom, top = 420.0, 340.0, 54.0, 46.0, 14.0
    values = [value for point in points for value in point[:2]]
    low, high = min([*values, 0.0]) - 0.03, max([*values, 0.6]) + 0.03

    def x(value: float) -> float:
        return left + (width - left - 14) * (value - low) / (high - low)

    def y(value: float) -> float:
        return height - bottom - (height - bottom - top) * (value - low) / (high - low)

    parts = []
    for tick in ticks(low, high, 5):
        parts += [line(x(tick), top, x(tick), height - bottom, "grid"), line(left, y(tick), width - 14, y(tick), "grid")]
        parts.append(label(x(tick), height - bottom + 18, f"{tick:g}", "t small muted", "middle"))
        parts.append(label(left - 8, y(tick) + 4, f"{tick:g}", "t small muted", "end"))
    if threshold is not None and low <= threshold <= high:
        parts.append(line(x(threshold), top, x(threshold), height - bottom, "limit"))
    for gate, audit, accepted in sorted(points, key=lambda point: point[2]):
        parts.append(element("circle", {"cx": x(gate), "cy": y(audit), "r": 3.2, "class": "dot" if accepted else "ring"}))
    parts.append(label((width + left) / 2, height - 8, "gate (decides)", "t small muted", "middle"))
    parts.append(label(14, (height - bottom) / 2, "auditor (has no say)", "t small muted", "middle", transform=f"rotate(-90 14 {(height - bottom) / 2:.0f})"))
    return drawing(width, height, title, f"{len(points)} pictures", parts, identifier=identifier, min_width=300)


def bars_chart(edges: Sequence[float], counts: Sequence[int], *, limit: float | None, unit: str, title: str, identifier: str) -> str:
    """One histogram as columns; a dashed line marks the limit."""
    width, height, left, bottom, top = 420.0, 220.0, 12.0, 44.0, 18.0
    low, high, peak = edges[0], edges[-1], max([*counts, 1])
    scale = (width - left - 14) / max(high - low, 1e-9)
    parts = []
    for k, count in enumerate(counts):
        size = (height - bottom - top) * count / peak
        parts.append(rect(left + (edges[k] - low) * scale + 0.8, height - bottom - size, (edges[k + 1] - edges[k]) * scale - 1.6, size, "accent", rx=1.5))
    for tick in ticks(low, high, 5):
        parts.append(label(left + (tick - low) * scale, height - bottom + 18, f"{tick:g}", "t small muted", "middle"))
    parts.append(line(left, height - bottom, width - 14, height - bottom, "axis"))
    if limit is not None and low <= limit <= high:
        position = left + (limit - low) * scale
        parts += [line(position, top - 8, position, height - bottom, "limit"), label(position - 6, top, f"limit {number(limit, 2)}", "t small", "end")]
    parts.append(label((width + left) / 2, height - 8, unit, "t small muted", "middle"))
    return drawing(width, height, title, f"{sum(counts)} pictures, highest column {peak}", parts, identifier=identifier, min_width=280)


def share_text(count: int, asked: int) -> str:
    """ "3/4", or the percentage where the numbers are too long for a cell."""
    return f"{count}/{asked}" if asked < 1000 else percent(count / asked)


def _fit(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def _peak(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda k: values[k]) if values else 0
