"""Charts of comparison scores: two densities, DET on probit axes, gate beside auditor, lines and reliability."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from qc.report.charts_frame import HALF, Frame, legend, outline
from qc.report.svg import drawing, element, number, percent, ticks

ERROR_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5)


def densities_chart(edges: Sequence[float], first: Sequence[float], second: Sequence[float], *, names: tuple[str, str], threshold: float | None,
                    title: str, identifier: str, axis: str = "cosine similarity", counted: str = "comparisons") -> str:  # fmt: skip
    """Two densities over the same bins, as outlines with a tint; a dashed line marks the threshold."""
    edges, first, second = _trimmed(edges, first, second)
    peak = max([*first, *second, 1e-9])
    frame = Frame(width=HALF, height=262.0, x_range=(edges[0], edges[-1]), y_range=(0, peak * 1.04), left=60.0, top=42.0)
    parts = legend([("mated", names[0]), ("nonmated", names[1])], 8, 16)
    parts += frame.axes(axis, f"share of {counted}", y_ticks=ticks(0, peak, 4), y_text=lambda v: percent(v, 0 if peak >= 0.04 else 1))
    parts += [
        element("path", {"d": outline(edges, second, frame), "class": "nonmated"}),
        element("path", {"d": outline(edges, first, frame), "class": "mated"}),
    ]
    parts += frame.limit(threshold, f"threshold {number(threshold)}")
    said = f"{names[0]}: peak at {number(edges[_peak(first)])}; {names[1]}: peak at {number(edges[_peak(second)])}"
    return drawing(frame.width, frame.height, title, said, parts, identifier=identifier)


def det_chart(curves: Sequence[tuple[str, dict[str, Any]]], *, title: str, identifier: str) -> str:
    """Detection error trade-off: false matches across, false non-matches up, both on probit axes, with the band of the latter."""
    rates = [value for _, det in curves for name in ("fmr", "fnmr") for value in det[name] if value and 0 < value < 1]
    low, high = min([0.01, *rates]), min(0.6, max([0.2, *rates]))
    span = (_probit(max(low, 1e-6) * 0.8), _probit(high * 1.1 if high < 0.5 else high))
    frame = Frame(width=HALF, height=300.0, x_range=span, y_range=span, left=66.0, top=34.0)
    inside = (NormalDist().cdf(span[0]), NormalDist().cdf(span[1]))
    places = [_probit(rate) for rate in ERROR_TICKS if span[0] <= _probit(rate) <= span[1]]
    rate_text = _rate_text
    parts = legend([(f"swatch{k + 1}", name) for k, (name, _) in enumerate(curves)], 66, 16, step=150)
    parts += frame.axes("false match rate", "false non-match rate", x_ticks=places, y_ticks=places, x_text=rate_text, y_text=rate_text)
    said = []
    for index, (name, det) in enumerate(curves):
        points = [(x, y) for x, y in zip(det["fmr"], det["fnmr"], strict=True) if x is not None and y is not None and inside[0] <= x <= inside[1]]
        if det.get("lo") and det.get("hi"):
            band = [(x, lo, hi) for x, lo, hi in zip(det["fmr"], det["lo"], det["hi"], strict=True) if None not in (x, lo, hi) and inside[0] <= x <= inside[1]]
            corners = [f"{frame.x(_probit(x)):.1f} {frame.y(_probit(hi)):.1f}" for x, _, hi in band]
            corners += [f"{frame.x(_probit(x)):.1f} {frame.y(_probit(lo)):.1f}" for x, lo, _ in reversed(band)]
            if corners:
                parts.append(element("path", {"d": "M" + "L".join(corners) + "Z", "class": f"band{index + 1}"}))
        if points:
            path = "L".join(f"{frame.x(_probit(x)):.1f} {frame.y(_probit(y)):.1f}" for x, y in points)
            parts.append(element("path", {"d": f"M{path}", "class": f"curve{index + 1}"}))
            said.append(f"{name}: false non-match rate {percent(points[0][1], 1)} at false match rate {number(points[0][0])}")
    return drawing(frame.width, frame.height, title, "; ".join(said) or "no points", parts, identifier=identifier)


def scatter_chart(points: Sequence[Sequence[float]], *, threshold: float | None, title: str, identifier: str) -> str:
    """Gate cosine across, audit cosine up; accepted filled, rejected as rings. points: (gate, audit, accepted 0/1)."""
    values = [value for point in points for value in point[:2]]
    span = (min([*values, 0.0]) - 0.03, max([*values, 0.6]) + 0.03)
    frame = Frame(width=HALF, height=350.0, x_range=span, y_range=span, top=34.0)
    parts = legend([("c1", "accepted"), ("swatchring", "rejected")], 52, 16, step=110)
    parts += frame.axes("cosine by the gate (decides)", "cosine by the auditor (has no say)")
    for gate, audit, accepted in sorted(points, key=lambda point: point[2]):
        parts.append(element("circle", {"cx": frame.x(gate), "cy": frame.y(audit), "r": 3.0, "class": "dot" if accepted else "ring"}))
    parts += frame.limit(threshold, f"gate {number(threshold)}")
    return drawing(frame.width, frame.height, title, f"{len(points)} attempts, one point each", parts, identifier=identifier)


def line_chart(xs: Sequence[float], ys: Sequence[float | None], *, x_name: str, y_name: str, title: str, identifier: str, share: bool = False,
               limit: float | None = None, limit_name: str = "in use") -> str:  # fmt: skip
    """A line through points that are marked."""
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None]
    values = [y for _, y in points] or [0.0, 1.0]
    low, high = (0.0, 1.0) if share else (min(values), max(values))
    margin = 0.0 if share else (0.1 * (high - low) or 0.1)
    across = (min(xs), max(xs)) if len(set(xs)) > 1 else (min(xs, default=0) - 0.5, max(xs, default=0) + 0.5)
    frame = Frame(width=HALF, height=232.0, x_range=across, y_range=(low - margin, high + margin), left=62.0, top=26.0)
    text = (lambda v: percent(v)) if share else _tick_text
    parts = frame.axes(x_name, y_name, y_text=text, x_text=_tick_text, x_ticks=ticks(*across, 4), y_ticks=ticks(*frame.y_range, 4))
    if points:
        parts.append(element("path", {"d": "M" + "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points), "class": "curve1"}))
    parts += [element("circle", {"cx": frame.x(x), "cy": frame.y(y), "r": 3.0, "class": "c1"}) for x, y in points]
    parts += frame.limit(limit, limit_name)
    said = "; ".join(f"{number(x)}: {number(y)}" for x, y in points[:12])
    return drawing(frame.width, frame.height, title, said or "no points", parts, identifier=identifier)


def reliability_chart(bins: Sequence[dict[str, Any]], *, title: str, identifier: str) -> str:
    """Confidence across, share correct up; on the diagonal a confidence can be believed. The area of a dot is its number of pictures."""
    shown = [row for row in bins if row.get("n") and row.get("accuracy") is not None and row.get("confidence") is not None]
    most = max([row["n"] for row in shown], default=1)
    frame = Frame(width=HALF, height=300.0, x_range=(0, 1), y_range=(0, 1), left=62.0, right=22.0)
    parts = frame.axes("confidence of the estimator", "share that agrees with the request", x_text=lambda v: percent(v), y_text=lambda v: percent(v))
    parts.append(element("line", {"x1": frame.x(0), "y1": frame.y(0), "x2": frame.x(1), "y2": frame.y(1), "class": "limit"}))
    for row in shown:
        radius = 3.0 + 7.0 * (row["n"] / most) ** 0.5
        parts.append(element("circle", {"cx": frame.x(row["confidence"]), "cy": frame.y(row["accuracy"]), "r": radius, "class": "dot"}))
    said = "; ".join(f"confidence {percent(row['confidence'])}: {percent(row['accuracy'])} agree" for row in shown)
    return drawing(frame.width, frame.height, title, said or "no pictures", parts, identifier=identifier)


def _trimmed(edges: Sequence[float], first: Sequence[float], second: Sequence[float]) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Without the empty bins at both ends, but for one."""
    used = [k for k, pair in enumerate(zip(first, second, strict=True)) if any(pair)] or [0, len(first) - 1]
    start, stop = max(0, used[0] - 1), min(len(first), used[-1] + 2)
    return edges[start : stop + 1], first[start:stop], second[start:stop]


def _tick_text(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"


def _rate_text(place: float) -> str:
    rate = NormalDist().cdf(place)
    return f"{round(rate * 100, 2):g}\u00a0%" if rate > 5e-4 else f"{rate:.0e}".replace("e-0", "e-")


def _probit(rate: float) -> float:
    return NormalDist().inv_cdf(min(max(rate, 1e-7), 1 - 1e-7))


def _peak(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda k: values[k]) if values else 0
