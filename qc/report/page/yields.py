"""Where the attempts went: the waterfall of rejections, their combinations, and the coverage of the asked cells."""

from __future__ import annotations

from typing import Any

from qc.report.charts import rates_chart, waterfall_chart
from qc.report.charts_planes import heat_map, share_text
from qc.report.page.blocks import Markup, Tiles, chart_panel, columns, count_text, interval_text, note, panel, scroll, table, value_text

MAX_RATES = 24
MIN_TRIED = 4
MARGINS = (
    ("by_expression", "expression"),
    ("by_identity", "person"),
    ("by_scene", "scene"),
    ("by_group", "group"),
    ("by_pose_bin", "pose"),
    ("by_split", "split"),
)


def waterfall(report: dict[str, Any], tiles: Tiles) -> str:
    """First failing check as bars; all failing checks as a table of combinations, since order hides overlap."""
    rows = report["waterfall"]
    steps = [[row["label"], count_text(row["count"]), count_text(row["left"])] for row in rows]
    behind = table(["step", "pictures", "left after it"], steps, "Attempts, what each check took first, and what was accepted", numbers=(1, 2))
    parts = [chart_panel("Where the attempts went", waterfall_chart(rows), behind,
                         explained="Each bar is what one check took away. A picture can fail several checks; the bars count the first one.")]  # fmt: skip
    reasons = report.get("reasons") or {}
    listed = [[row["label"], count_text(row["first"]), count_text(row["any"]), count_text(row["only"])] for row in reasons.get("rows") or []]
    if listed:
        body = table(["reason", "first reason", "among the reasons", "only reason"], listed, "Rejected attempts by reason", kind="sortable", numbers=(1, 2, 3))
        parts.append(panel("Reasons", scroll(body, "Reasons")))
    combinations = reasons.get("combinations") or []
    if combinations:
        parts.append(panel("Checks that fail together", scroll(_combinations(combinations, reasons), "Checks that fail together")))
    return parts[0] + columns(*parts[1:])


def _combinations(combinations: list[dict[str, Any]], reasons: dict[str, Any]) -> str:
    labels = {row["id"]: row["label"] for row in reasons.get("rows") or []}
    used = list(dict.fromkeys(reason for row in combinations for reason in row["reasons"]))
    used.sort(key=lambda reason: list(labels).index(reason) if reason in labels else len(labels))
    mark, absent = Markup('<span class="mark">●<span class="vh">failed</span></span>'), Markup('<span class="nomark">·<span class="vh">passed</span></span>')
    rows = [[count_text(row["count"]), *[mark if reason in row["reasons"] else absent for reason in used]] for row in combinations]
    return table(["attempts", *[labels.get(reason, reason) for reason in used]], rows, "● failed, · passed; the most frequent combinations", kind="dots")


def coverage(report: dict[str, Any], tiles: Tiles) -> str:
    """The heat map of the cells, rates along each axis, and the cells that stayed empty."""
    cover = report["coverage"]
    parts = [_grid(cover)] if cover.get("rows") and cover.get("columns") else []
    margins = []
    for key, name in MARGINS:
        rows = cover.get(key) or []
        if len(rows) >= 2:
            margins.append(_margin(rows, name, key))
    parts.append(columns(*margins))
    empty = cover.get("empty_cells") or []
    if cover.get("num_empty"):
        shown = [" · ".join(str(value) for value in row.values()) if isinstance(row, dict) else str(row) for row in empty]
        more = f" The first {len(shown)} are listed." if cover["num_empty"] > len(shown) else ""
        listed = table(["cell"], [[text] for text in shown], "Cells without an accepted picture")
        behind = f"<details><summary>List of empty cells</summary>{scroll(listed, 'Empty cells')}</details>"
        parts.append(panel("Empty cells", note(f"{cover['num_empty']:,} asked cells have no accepted picture.{more}") + behind))
    return "".join(parts)


def _grid(cover: dict[str, Any]) -> str:
    rates, flags = cover.get("rate"), cover.get("flagged")
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    for j, (asked_row, got_row) in enumerate(zip(cover["requested"], cover["filled"], strict=True)):
        shares = [min(1.0, got / asked) if asked else None for asked, got in zip(asked_row, got_row, strict=True)]
        values.append(list(rates[j]) if rates else shares)
        texts.append([share_text(got, asked) if asked else "" for asked, got in zip(asked_row, got_row, strict=True)])
    said = f"{len(cover['rows'])} people by {len(cover['columns'])} expressions"
    chart = heat_map(cover["rows"], cover["columns"], values, texts, title="Acceptance by person and expression", description=said, flags=flags,
                     identifier="coverage-map", axes=("person", "asked expression"))  # fmt: skip
    rows = []
    for j, name in enumerate(cover["rows"]):
        cells = []
        for i, text in enumerate(texts[j]):
            rate = values[j][i]
            said_rate = "" if rate is None else f", {value_text(rate, 'share')}"
            cells.append(f"{text or 'not asked'}{said_rate}{' (flagged)' if flags and flags[j][i] else ''}")
        rows.append([name, *cells])
    hidden = ""
    if cover.get("hidden_rows") or cover.get("hidden_columns"):
        hidden = (
            f" {cover.get('hidden_rows') or 0:,} more people and {cover.get('hidden_columns') or 0:,} more expressions are not drawn; they are in the totals."
        )
    explained = (
        "Colour: share of attempts that were accepted, drawn towards the average where there were few. Numbers: filled of asked. A dark frame with a corner "
        "marks cells that differ from the average (Benjamini-Hochberg, q = 0.05); a dashed frame has no attempt." + hidden
    )
    behind = table(["person", *cover["columns"]], rows, "Filled of asked, accepted share of attempts")
    return chart_panel("Person by expression", chart, behind, explained=explained)


def _margin(rows: list[dict[str, Any]], name: str, key: str) -> str:
    ordered = (
        rows if len(rows) <= MAX_RATES else sorted(rows, key=lambda row: (not row.get("flagged"), row.get("rate") if row.get("rate") is not None else 2.0))
    )
    shown = [{"key": str(row["key"]), "value": row.get("rate"), "flagged": row.get("flagged"), **{k: (row.get("ci") or {}).get(k) for k in ("lo", "hi")}}
             for row in ordered[:MAX_RATES]]  # fmt: skip
    typical = sorted(row.get("attempts") or 0 for row in rows)[len(rows) // 2]
    chart = rates_chart(shown, name="accepted share of attempts", title=f"Acceptance by {name}", identifier=f"rates-{key.replace('_', '-')}")
    listed = [
        [row["key"], *[count_text(row.get(k)) for k in ("requested", "filled", "unfilled", "quarantined", "attempts", "accepted")],
         value_text(row.get("rate"), "share"), interval_text(row.get("ci"), "share"), "yes" if row.get("flagged") else "no"]
        for row in ordered
    ]  # fmt: skip
    heads = [name, "asked", "filled", "unfilled", "quarantined", "attempts", "accepted", "rate", "95 % interval", "flagged"]
    behind = table(heads, listed, f"Acceptance by {name}", kind="wide sortable", numbers=range(1, 9))
    if typical < MIN_TRIED:
        words = f"{len(rows):,} kinds with {typical:,} attempts each, typically: too few for a chart of rates."
        return panel(
            f"By {name}",
            f'<details><summary>As a table<span class="vh">: by {name}</span></summary>{scroll(behind, f"Table: by {name}")}</details>',
            explained=words,
        )
    hidden = f" {MAX_RATES} of {len(rows):,} are drawn: flagged ones first, then the lowest." if len(rows) > MAX_RATES else ""
    flagged = sum(bool(row.get("flagged")) for row in rows)
    noted = f" {flagged:,} flagged (triangle)." if flagged else ""
    tried = sum(row.get("attempts") or 0 for row in rows)
    return chart_panel(f"By {name}", chart, behind, explained=f"Accepted share with 95 % interval, n = {tried:,} attempts.{hidden}{noted}")
