"""Pose against the request, and the components of image quality as small multiples."""

from __future__ import annotations

from typing import Any

from qc.report.charts import bars_chart
from qc.report.charts_planes import pose_plot
from qc.report.page.blocks import (
    DEGREES,
    NOT_MEASURED,
    Tiles,
    bins_table,
    chart_panel,
    columns,
    count_text,
    interval_text,
    metrics_in,
    metrics_table,
    note,
    panel,
    scroll,
    table,
)
from qc.report.svg import escape, number

ROLES = (
    ("defect", "Defects", "A picture beyond the limit is rejected."),
    ("request", "Requests", "Compared with what was asked for, not with a limit of their own."),
    ("report", "For information", "Measured and shown; nothing is rejected."),
)


def pose(report: dict[str, Any], tiles: Tiles) -> str:
    """Asked and observed yaw and pitch, the error, and the error by bin."""
    found, parts = report["pose"], []
    points = [row for row in found.get("points") or [] if None not in row]
    if points:
        chart = pose_plot(points, title="Yaw and pitch, asked and observed", identifier="pose-plane")
        behind = table(
            ["asked yaw", "asked pitch", "observed yaw", "observed pitch"], [[number(value) for value in row] for row in points], "Degrees", numbers=range(4)
        )
        parts.append(
            chart_panel("Asked and observed", chart, behind, explained=f"n = {len(points)} accepted pictures. A line joins the two poses of a picture.")
        )
    shown = found.get("error")
    if shown and shown.get("counts"):
        unit = "°" if shown.get("unit") in (None, *DEGREES) else shown["unit"]
        chart = bars_chart(shown["edges"], shown["counts"], limit=shown.get("limit"), median=shown.get("median"), unit=f"error ({unit})",
                           title="Distance to the asked pose", identifier="pose-error")  # fmt: skip
        parts.append(
            chart_panel(
                "Error", chart, bins_table(shown, unit), explained=f"n = {sum(shown['counts']):,}, median {number(shown.get('median'))}{unit} (triangle)."
            )
        )
    bins = found.get("bins") or []
    if bins:
        rows = [[row.get("bin", row.get("key")), count_text(row.get("n")), number(row.get("error")), interval_text(row.get("ci"))] for row in bins]
        body = scroll(
            table(["pose", "n", "mean error (°)", "95 % interval"], rows, "Mean distance of observed from asked pose", kind="sortable", numbers=(1, 2, 3)),
            "Error by pose",
        )
        parts.append(panel("Error by asked pose", body))
    metrics = list(metrics_in(found))
    return (columns(*parts) or NOT_MEASURED) + (metrics_table(metrics, "Figures of pose") if metrics else "")


def iso(report: dict[str, Any], tiles: Tiles) -> str:
    """One small chart per component in its native unit, the 0..100 value as median below it."""
    found = report["iso"]
    parts = [
        note("Named after the components of ISO/IEC 29794-5. Columns are accepted pictures by native value; a dashed line is the limit, a triangle the median.")
    ]
    for role, heading, explained in ROLES:
        rows = [row for row in found if row.get("role") == role]
        if rows:
            charts = "".join(_component(row, f"iso-{role}-{index}") for index, row in enumerate(rows))
            parts.append(f'<h3>{escape(heading)}</h3>{note(explained)}<div class="three">{charts}</div>')
    others = [row for row in found if row.get("role") not in [role for role, *_ in ROLES]]
    if others:
        parts.append(f'<h3>Others</h3><div class="three">{"".join(_component(row, f"iso-other-{index}") for index, row in enumerate(others))}</div>')
    return "".join(parts)


def _component(row: dict[str, Any], identifier: str) -> str:
    name = str(row.get("label") or str(row["component"]).replace("_", " "))
    native = row.get("native")
    if not native or not native.get("counts"):
        return f'<div class="panel"><h4>{escape(name)}</h4>{NOT_MEASURED}</div>'
    unit = str(row.get("unit") or native.get("unit") or "value")
    alike = native["edges"][-1] - native["edges"][0] < 1e-5
    chart = (
        ""
        if alike
        else bars_chart(
            native["edges"], native["counts"], limit=row.get("limit"), median=native.get("median"), unit=unit, title=name, identifier=identifier, small=True
        )
    )
    same = f"All pictures have the same value, {number(native.get('median'))} {unit}."
    shown = scroll(chart, f"Chart: {name}") if chart else note(same)
    scalar = row.get("scalar") or {}
    facts = [f"n = {sum(native['counts']):,}", f"median {number(native.get('median'))}"]
    if scalar.get("median") is not None:
        facts.append(f"{number(scalar['median'])} of 100")
    if row.get("limit") is not None:
        facts.append(f"limit {number(row['limit'])}")
    source = note(f"Source: {row['source']}") if row.get("source") else ""
    behind = scroll(bins_table(native, unit), f"Table: {name}") + (
        scroll(bins_table(scalar, "value 0 to 100"), f"Table: {name}, 0 to 100") if scalar.get("counts") else ""
    )
    return (
        f'<div class="panel"><h4>{escape(name)}</h4><p class="note">{escape(" · ".join(facts))}</p>{shown}'
        f'<details><summary>As a table<span class="vh">: {escape(name)}</span></summary>{source}{behind}</details></div>'
    )
