"""Expression: confusion of asked and seen classes, reliability, valence and arousal, the table of words, suspicious labels."""

from __future__ import annotations

import math
from typing import Any

from qc.report.charts import bars_chart
from qc.report.charts_planes import affect_plane, heat_map
from qc.report.charts_scores import reliability_chart
from qc.report.page.blocks import (
    NOT_MEASURED,
    Tiles,
    bins_table,
    chart_panel,
    columns,
    count_text,
    metrics_in,
    metrics_table,
    note,
    panel,
    scroll,
    table,
    value_text,
)
from qc.report.svg import escape, number

MAX_WORDS = 200


def confusion(report: dict[str, Any], tiles: Tiles) -> str:
    """Asked class in rows, seen class in columns; how far the estimator's confidence can be believed."""
    found = report["expression"]
    parts = [note("Read by an estimator that is not the one that conditioned the pictures. Classes overlap; the most probable one need not be the asked one.")]
    if found.get("classes") and found.get("matrix"):
        parts.append(_matrix(found))
    else:
        parts.append(panel("Asked and seen", NOT_MEASURED))
    bins = found.get("reliability") or []
    halves = []
    if bins:
        rows = [[f"{value_text(row.get('lo'), 'share')} to {value_text(row.get('hi'), 'share')}", value_text(row.get("confidence"), "share"),
                 value_text(row.get("accuracy"), "share"), count_text(row.get("n"))] for row in bins]  # fmt: skip
        behind = table(["bin", "mean confidence", "agrees", "n"], rows, "Reliability of the estimator on this run", numbers=(1, 2, 3))
        total = sum(row.get("n") or 0 for row in bins)
        explained = f"n = {total:,}. The larger the dot, the more pictures; on the dashed line, confidence is worth what it says."
        halves.append(chart_panel("Reliability", reliability_chart(bins, title="Reliability", identifier="reliability"), behind, explained=explained))
    shown = found.get("error")
    if isinstance(shown, dict) and shown.get("counts"):
        unit = str(shown.get("unit") or "")
        chart = bars_chart(shown["edges"], shown["counts"], limit=shown.get("limit"), median=shown.get("median"), unit=f"error ({unit})",
                           title="Distance to the asked expression",
                           identifier="expression-error")  # fmt: skip
        explained = f"n = {sum(shown['counts']):,}, median {number(shown.get('median'))} (triangle)."
        halves.append(chart_panel("Distance to the asked expression", chart, bins_table(shown, unit), explained=explained))
    faults = found.get("label_faults") or {}
    if faults.get("swapped"):
        halves.append(panel("Labels that look swapped", note("; ".join(str(pair) for pair in faults["swapped"]))))
    suspicious = found.get("suspicious") or []
    if suspicious:
        halves.append(_suspicious(suspicious, tiles))
    parts.append(columns(*halves))
    metrics = list(metrics_in({key: value for key, value in found.items() if key != "va"}))
    if metrics:
        parts.append(metrics_table(metrics, "Figures of expression"))
    return "".join(parts)


def _matrix(found: dict[str, Any]) -> str:
    rows, names = found["classes"], found["columns"]
    order = [*[name for name in rows if name in names], *[name for name in names if name not in rows]]
    place = [names.index(name) for name in order]
    totals = [sum(row) for row in found["matrix"]]
    values: list[list[float | None]] = [[row[k] / total if total else None for k in place] for row, total in zip(found["matrix"], totals, strict=True)]
    texts = [[f"{row[k]:,}" for k in place] for row in found["matrix"]]
    chart = heat_map(rows, order, values, texts, title="Confusion matrix", description="Asked class in rows, seen class in columns; outlined cells agree",
                     identifier="confusion", diagonal=True, axes=("asked", "seen (most probable class)"))  # fmt: skip
    listed = [[name, *cells, f"{total:,}"] for name, cells, total in zip(rows, texts, totals, strict=True)]
    behind = table(["asked", *order, "n"], listed, "Pictures by asked and seen class", numbers=range(1, len(order) + 2))
    explained = f"Numbers: pictures; colour: share of the row; frame: agreement. n = {sum(totals):,} accepted pictures."
    return chart_panel("Asked and seen", chart, behind, explained=explained)


def _suspicious(rows: list[dict[str, Any]], tiles: Tiles) -> str:
    items = "".join(
        f"<li>{tiles.image(row.get('tile') or row.get('key'), 'asked ' + str(row.get('asked')) + ', seen ' + str(row.get('seen')))}"
        f"<b>asked {escape(row.get('asked'))}</b><span>seen {escape(row.get('seen'))}</span>"
        f"<span>probability {escape(value_text(row.get('probability'), 'share'))}</span></li>"
        for row in rows[:12]
    )
    more = f" {len(rows) - 12:,} more are in the JSON." if len(rows) > 12 else ""
    explained = f"Accepted, and the estimator sees another class than the asked one.{more}"
    return panel("Labels to look at", f'<ul class="gallery four">{items}</ul>', explained=explained)


def affect(report: dict[str, Any], tiles: Tiles) -> str:
    """From the asked to the observed place of each word."""
    found = report["expression"].get("va")
    if not found or not found.get("points"):
        return NOT_MEASURED
    points = [row for row in found["points"] if row.get("asked") and row.get("observed") and None not in (*row["asked"], *row["observed"])]
    shown = sorted(points, key=lambda row: -(row.get("n") or 0))[:60]
    chart = affect_plane(shown, title="Valence and arousal, asked and observed", identifier="affect")
    rows = [[row["word"], *[number(value, 2) for value in (*row["asked"], *row["observed"])], count_text(row.get("n"))] for row in points]
    heads = ["word", "asked valence", "asked arousal", "observed valence", "observed arousal", "n"]
    behind = table(heads, rows, "Means of each word", kind="sortable", numbers=range(1, 6))
    hidden = f" {len(points) - len(shown):,} words are in the table only." if len(points) > len(shown) else ""
    pictures = sum(row.get("n") or 0 for row in points)
    explained = f"An arrow leads from what was asked to the mean of what was observed: {len(points):,} words, n = {pictures:,} pictures.{hidden}"
    metrics = list(metrics_in(found))
    figures = panel("Agreement", metrics_table(metrics, "Figures of valence and arousal")) if metrics else ""
    return columns(chart_panel("From asked to observed", chart, behind, explained=explained), _furthest(points)) + figures


def _furthest(points: list[dict[str, Any]]) -> str:
    far = sorted(points, key=lambda row: -math.dist(row["asked"], row["observed"]))[:10]
    rows = [[row["word"], number(math.dist(row["asked"], row["observed"])), _toward(row), count_text(row.get("n"))] for row in far]
    body = scroll(table(["word", "distance", "observed as", "n"], rows, "The plane is two units wide", numbers=(1, 3)), "Words furthest from the request")
    return panel("Furthest from the request", body)


def _toward(row: dict[str, Any]) -> str:
    valence, arousal = (seen - asked for asked, seen in zip(row["asked"], row["observed"], strict=True))
    found = [
        words for change, words in ((valence, "more pleasant"), (-valence, "less pleasant"), (arousal, "more excited"), (-arousal, "calmer")) if change > 0.1
    ]
    return ", ".join(found) or "nearly as asked"


def words(report: dict[str, Any], tiles: Tiles) -> str:
    """A row per word, the least accepted first."""
    rows = report["expression"].get("words") or []
    if not rows:
        return NOT_MEASURED
    ordered = sorted(rows, key=lambda row: row["acceptance"] if row.get("acceptance") is not None else 2.0)
    listed = [[row["word"], row.get("class") or "none", count_text(row.get("n")), number(row.get("error")), value_text(row.get("agreement"), "share"),
               value_text(row.get("acceptance"), "share")] for row in ordered[:MAX_WORDS]]  # fmt: skip
    hidden = f" {len(rows) - MAX_WORDS:,} more words are in the JSON." if len(rows) > MAX_WORDS else ""
    body = table(["word", "class", "n", "error (RMS of 35 units)", "agreement", "acceptance"], listed, f"Words, the least accepted first.{hidden}",
                 kind="wide sortable",
                 numbers=(2, 3, 4, 5))  # fmt: skip
    return f'<div class="tall">{scroll(body, "Words")}</div>'
