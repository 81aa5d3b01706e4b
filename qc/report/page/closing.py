"""The end of the page: the sheet of thresholds, every figure, limits, and how to make the run again."""

from __future__ import annotations

from typing import Any

from qc.report.page.blocks import Tiles, columns, interval_text, metrics_in, metrics_table, note, panel, scroll, table, value_text
from qc.report.svg import escape, number


def thresholds(report: dict[str, Any], tiles: Tiles) -> str:
    """Each check with its limit, where the limit comes from, and what it achieves on this run."""
    rows = []
    for row in report["thresholds"]:
        limit = row.get("limit")
        limit_text = number(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else limit
        rows.append([str(row["check"]).replace("_", " "), limit_text, row.get("unit"), "yes" if row.get("rejects") else "no, measures only",
                     _achieved(row.get("achieved")), row.get("source")])  # fmt: skip
    body = scroll(table(["check", "limit", "unit", "may reject", "achieved here", "source"], rows, "Every check with its limit", kind="wide"), "Thresholds")
    calibration = report.get("calibration")
    if isinstance(calibration, dict) and calibration:
        facts = [[str(name).replace("_", " "), value_text(value) if not isinstance(value, dict | list) else "in the JSON"]
                 for name, value in calibration.items()]  # fmt: skip
        body += panel("Calibration of the gate", scroll(table(["figure", "value"], facts, "How the gate's threshold was chosen"), "Calibration"))
    return body


def _achieved(found: object) -> str:
    if isinstance(found, dict):
        if found.get("fmr") is not None:
            spread = interval_text({"lo": found.get("lo"), "hi": found.get("hi")}, "share")
            return f"FMR {value_text(found['fmr'], 'share')} ({spread}), n = {found.get('n') or 0:,} before filtering"
        if found.get("value") is not None:
            spread = interval_text(found.get("ci"), found.get("unit"))
            return value_text(found["value"], found.get("unit")) + (f" ({spread})" if spread != "–" else "")
        return "not estimable"
    if isinstance(found, int | float) and not isinstance(found, bool):
        return number(found)
    return str(found) if found else "–"


def figures(report: dict[str, Any], tiles: Tiles) -> str:
    """Every figure of the report with its interval."""
    found = list(metrics_in(report.get("metrics") or {key: value for key, value in report.items() if key not in ("contract", "tiles")}))
    if not found:
        return note("No figure was computed.")
    methods = sorted({str(m["ci"]["method"]) for m in found if isinstance(m.get("ci"), dict) and m["ci"].get("method")})
    words = f" Methods: {'; '.join(methods)}." if methods else ""
    explained = f"Every attempt: before filtering. Accepted: what was kept. Intervals are at the level 95 %.{words}"
    return note(explained) + f'<div class="tall">{metrics_table(found, "All figures")}</div>'


def limits(report: dict[str, Any], tiles: Tiles) -> str:
    """What was not measured, what is known to be wrong, what the data may and may not be used for."""
    found = report.get("limits") or {}
    parts = []
    for heading, items, empty in (
        ("Not measured", report.get("not_measured") or [], "Nothing was left out."),
        ("Known limits", found.get("known") or [], ""),
        ("Intended uses", found.get("intended") or [], ""),
        ("Prohibited uses", found.get("prohibited") or [], ""),
    ):
        listed = "".join(f"<li>{escape(text)}</li>" for text in items)
        if listed or empty:
            parts.append(panel(heading, f'<ul class="plain">{listed}</ul>' if listed else note(empty)))
    return f'<div class="two">{"".join(parts)}</div>'


def reproduce(report: dict[str, Any], tiles: Tiles) -> str:
    """The command, the models by hash, licences, versions and how the pictures are marked."""
    run = report.get("run") or {}
    parts = [f"<pre><code>{escape(run.get('command') or 'not recorded')}</code></pre>"]
    parts.append(note("With the same recipe, bundle, versions and seed the run gives equal files. The figures of this page are in qc_report.json beside it."))
    models = [[m.get("name"), m.get("role") or "–", _hash(m.get("sha256")), m.get("licence"), m.get("source")] for m in report.get("models") or []]
    caption = "No file holds two of the roles conditioner, gate and auditor"
    parts.append(
        panel(
            "Models",
            scroll(table(["model", "role", "sha256", "licence", "source"], models, caption, kind="wide"), "Models") if models else note("None recorded."),
        )
    )
    named = {m.get("name") for m in report.get("models") or []}
    extra = [row for row in report.get("licences") or [] if row.get("component") not in named]
    licences = [[row.get("component"), row.get("licence"), row.get("source")] for row in extra]
    if licences:
        parts.append(
            panel(
                "Other licences",
                scroll(table(["component", "licence", "source"], licences, "Licence of each component that is no model", kind="wide"), "Licences"),
            )
        )
    last = []
    versions = [[name, version] for name, version in (report.get("versions") or {}).items()]
    if versions:
        last.append(panel("Versions", scroll(table(["software", "version"], versions, "Versions that made the run"), "Versions")))
    marks = report.get("provenance") or {}
    if marks:
        listed = "".join(f"<li>{escape(text)}</li>" for text in marks.get("marking") or [])
        source = note(f"Digital source type: {marks['digital_source_type']}") if marks.get("digital_source_type") else ""
        last.append(panel("Provenance", note(marks.get("sentence") or "") + source + (f'<ul class="plain">{listed}</ul>' if listed else "")))
    return "".join(parts) + columns(*last)


def _hash(found: object) -> str:
    return str(found)[:16] if found else "–"
