"""The data set as a whole: balance before and after filtering, distance to a reference, labels that backgrounds give away."""

from __future__ import annotations

from typing import Any

from qc.report.charts import before_after_chart, rates_chart
from qc.report.charts_scores import line_chart
from qc.report.page.blocks import (
    NOT_MEASURED,
    Markup,
    Tiles,
    badge,
    chart_panel,
    columns,
    count_text,
    figure,
    interval_text,
    metrics_in,
    metrics_table,
    note,
    scroll,
    table,
    value_text,
)
from qc.report.svg import number

MAX_BARS = 20


def balance(report: dict[str, Any], tiles: Tiles) -> str:
    """Each label and group: counts before and after, and how much of each stratum the checks kept."""
    found = report["balance"]
    labels = [*(found.get("labels") or []), *(found.get("groups") or [])]
    charts = [_label(row, index) for index, row in enumerate(labels) if row.get("classes")]
    retention = found.get("retention") or []
    if retention:
        charts.append(_retention(retention))
    size = found.get("effective_sample_size")
    words = f"Effective sample size: {figure(size)[1]} pictures, the number of equally weighted ones that would say as much." if size is not None else ""
    metrics = [row for row in metrics_in(found) if row is not size]
    return note(words) + (columns(*charts) or NOT_MEASURED) + (metrics_table(metrics, "Figures of balance") if metrics else "")


def _label(row: dict[str, Any], index: int) -> str:
    name = str(row["name"]).replace("_", " ")
    classes, before, after = row["classes"], row["counts_before"], row["counts_after"]
    order = sorted(range(len(classes)), key=lambda k: -after[k])
    shown = order[:MAX_BARS]
    chart = before_after_chart(
        [classes[k] for k in shown], [before[k] for k in shown], [after[k] for k in shown], title=f"Balance of {name}", identifier=f"balance-{index}"
    )
    listed = [[classes[k], count_text(before[k]), count_text(after[k])] for k in order]
    behind = table([name, "attempts", "kept"], listed, f"Counts by {name}", kind="sortable", numbers=(1, 2))
    hidden = f" The {MAX_BARS} largest of {len(order):,} classes are drawn, as shares of these." if len(order) > MAX_BARS else ""
    explained = (
        f"n = {sum(before):,} before, {sum(after):,} kept. Evenness (entropy over its maximum) {figure(row.get('entropy_ratio'))[1]}, "
        f"rarest over most frequent {figure(row.get('min_max_ratio'))[1]}.{hidden}"
    )
    return chart_panel(f"Balance of {name}", chart, behind, explained=explained)


def _retention(rows: list[dict[str, Any]]) -> str:
    ordered = rows if len(rows) <= 24 else sorted(rows, key=lambda row: row["rate"] if row.get("rate") is not None else 2.0)
    marks = [{"key": row["stratum"], "value": row.get("rate"), **{k: (row.get("ci") or {}).get(k) for k in ("lo", "hi")}} for row in ordered[:24]]
    chart = rates_chart(marks, name="kept share of attempts", title="Kept share of each stratum", identifier="retention")
    listed = [
        [row["stratum"], count_text(row.get("kept")), count_text(row.get("tried")), value_text(row.get("rate"), "share"), interval_text(row.get("ci"), "share")]
        for row in ordered
    ]
    behind = table(["stratum", "kept", "tried", "rate", "95 % interval"], listed, "Kept share of each stratum", kind="sortable", numbers=range(1, 5))
    hidden = f" The 24 lowest of {len(rows):,} are drawn." if len(rows) > 24 else ""
    return chart_panel("What filtering kept of each stratum", chart, behind, explained=f"Equal rates mean that filtering did not change the mixture.{hidden}")


def distribution(report: dict[str, Any], tiles: Tiles) -> str:
    """Distances on our own features, with their sample-size curve."""
    found = report["distribution"]
    words = (
        f"Features: {found.get('feature') or 'not named'}; n = {count_text(found.get('n'))} pictures against {count_text(found.get('n_reference'))} of "
        f"{found.get('reference') or 'the reference'}. These are distances on our own features: compare them with other runs of this tool, "
        f"not with published FID values. {found.get('sentence') or ''}"
    )
    metrics = list(metrics_in(found))
    body = note(words)
    if metrics:
        body += metrics_table(metrics, "Figures of distribution")
    else:
        rows = [[name, number(found[key])] for key, name in (("fd", "Fréchet distance"), ("mmd", "MMD"), ("precision", "precision"), ("recall", "recall"),
                ("density", "density"), ("coverage", "coverage"), ("vendi", "Vendi score")) if isinstance(found.get(key), int | float)]  # fmt: skip
        body += scroll(table(["figure", "value"], rows, "Figures of distribution", numbers=(1,)), "Figures of distribution") if rows else NOT_MEASURED
    curve = found.get("sample_size_curve") or []
    if len(curve) >= 2:
        chart = line_chart([row["n"] for row in curve], [row.get("fd") for row in curve], x_name="pictures", y_name="Fréchet distance",
                           title="Distance by sample size",
                           identifier="fd-curve")  # fmt: skip
        behind = table(["pictures", "Fréchet distance"], [[count_text(row["n"]), number(row.get("fd"))] for row in curve], "Sample-size curve", numbers=(1,))
        body += columns(
            chart_panel("Distance by sample size", chart, behind, explained="The distance falls with the sample size by its bias alone; compare at equal n.")
        )
    return body


def shortcuts(report: dict[str, Any], tiles: Tiles) -> str:
    """Probes that predict a label from features that should not tell it; at chance is right."""
    rows = []
    for row in report["shortcuts"]:
        p = row.get("p_value")
        rows.append([row.get("target"), row.get("features"), value_text(row.get("accuracy"), "share"), value_text(row.get("chance"), "share"),
                     interval_text(row.get("ci"), "share"), "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001",
                     Markup(badge(row.get("status"))), row.get("reason") or row.get("sentence")])  # fmt: skip
    heads = ["label", "guessed from", "accuracy", "chance", "95 % interval", "p", "status", "remark"]
    explained = "A label that is guessed well above chance from the background alone would let a network learn the background instead of the face."
    return note(explained) + scroll(table(heads, rows, "Shortcut probes", kind="wide", numbers=(2, 3, 4, 5)), "Shortcut probes")
