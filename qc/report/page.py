"""One self-contained HTML page rendered from qc_report.json alone: no script, no request, a table behind every chart."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from manifests.errors import InputError
from qc.report.charts import bars_chart, heat_map, histogram_chart, scatter_chart, share_text, waterfall_chart
from qc.report.summary import SCHEMA_VERSION
from qc.report.svg import escape, number, percent

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
IMAGE_START = "data:image/"
WORDS = {"pass": "pass", "warn": "warn", "fail": "fail", "not measured": "not measured"}
SECTIONS = (
    ("pictures", "Pictures"),
    ("attempts", "Attempts"),
    ("coverage", "Coverage"),
    ("identity", "Identity"),
    ("expression", "Expression"),
    ("samples", "Border cases"),
    ("thresholds", "Thresholds"),
    ("figures", "All figures"),
    ("limits", "Limits"),
    ("reproduce", "Reproduce"),
)


def render_page(report: dict[str, Any]) -> str:
    """The page of a report made by qc.report.summary.build_summary, as text."""
    if report.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"report page: schema_version is {report.get('schema_version')}, expected {SCHEMA_VERSION}. Make qc_report.json again.")
    style = (resources.files("qc") / "report" / "page.css").read_text(encoding="utf-8")
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(report['title'])} – quality report</title><style>{style}</style>"
    )
    parts = (_verdicts, _pictures, _attempts, _coverage, _identity, _expression, _samples, _thresholds, _figures, _limits, _reproduce)
    body = "".join(part(report) for part in parts)
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in SECTIONS)
    footer = f"<footer>Made by facemint from qc_report.json, schema {SCHEMA_VERSION}. The faces are synthetic; a recipe may start from photographs.</footer>"
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body>{_top(report)}'
        f'<main><nav aria-label="Sections">{links}</nav>{body}</main>{footer}</body></html>\n'
    )


def _top(report: dict[str, Any]) -> str:
    counts = report["counts"]
    share = percent(counts["accepted"] / counts["attempts"]) if counts["attempts"] else "none"
    state = "Every asked picture was made" if not counts["unfilled"] else f"{counts['unfilled']:,} of the asked pictures are missing"
    failing = [row["label"].lower() for row in report["contract"] if row["status"] == "fail"]
    verdict = f" Outside the declared limits: <strong>{escape(', '.join(failing))}</strong>." if failing else " No declared line fails."
    made = f"<strong>{counts['accepted']:,} accepted</strong> of {counts['requested']:,} asked"
    sentence = f"{state}: {made}, from {counts['attempts']:,} attempts ({share} kept).{verdict}"
    heading = f'<p class="eyebrow">Quality report · {escape(report["created"])}</p><h1>{escape(report["title"])}</h1>'
    return f'<header class="top">{heading}<p class="lead">{sentence}</p></header>'


def _verdicts(report: dict[str, Any]) -> str:
    tiles = []
    for row in report["contract"]:
        kind = row["status"] if row["status"] in ("pass", "warn", "fail") else "none"
        limit = f"{'at least' if row['higher_is_better'] else 'at most'} {_value(row['good'], row['unit'])}"
        spread = f"{_value(row['ci']['low'], row['unit'])} to {_value(row['ci']['high'], row['unit'])}" if row["ci"] else ""
        more = "no figure in this report" if row["value"] is None else f"{spread + '<br>' if spread else ''}wanted: {limit}"
        tiles.append(
            f'<div class="tile"><span class="badge {kind}">{WORDS[row["status"]]}</span><span class="what">{escape(row["label"])}</span>'
            f'<span class="value">{_value(row["value"], row["unit"])}</span><span class="more">{more}</span></div>'
        )
    return f'<section class="bare" aria-label="Verdict"><div class="strip">{"".join(tiles)}</div></section>'


def _pictures(report: dict[str, Any]) -> str:
    sheet, tiles = report["contact_sheet"], report["tiles"]
    if not sheet["rows"]:
        return _section("pictures", "Pictures", '<p class="note">No picture was accepted.</p>')
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in sheet["columns"])
    body = ""
    for name, keys in zip(sheet["rows"], sheet["keys"], strict=True):
        cells = "".join(f"<td>{_image(tiles, key, f'{name}, {word}')}</td>" for key, word in zip(keys, sheet["columns"], strict=True))
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    table = f'<table class="sheet"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
    note = "One accepted picture of each cell: a person in each row, an asked expression in each column."
    return _section("pictures", "Pictures", f'<p class="note">{note}</p>{_scroll(table, "Pictures by person and expression")}')


def _attempts(report: dict[str, Any]) -> str:
    rows = [[row["label"], f"{row['first']:,}", f"{row['any']:,}", f"{row['only']:,}"] for row in report["reasons"]]
    table = _table(["reason", "first reason", "among the reasons", "only reason"], rows, "A picture can fail several checks; the bars count the first one.")
    note = "Where the attempts went. Each bar is what one check took away; the checks run in this order."
    return _section("attempts", "Attempts", f'<p class="note">{note}</p>{_scroll(waterfall_chart(report["waterfall"]), "Attempts chart")}{_behind(table)}')


def _coverage(report: dict[str, Any]) -> str:
    cover = report["coverage"]
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    for asked_row, got_row in zip(cover["requested"], cover["accepted"], strict=True):
        values.append([min(1.0, got / asked) if asked else None for asked, got in zip(asked_row, got_row, strict=True)])
        texts.append([share_text(got, asked) for asked, got in zip(asked_row, got_row, strict=True)])
    chart = heat_map(cover["rows"], cover["columns"], values, texts, title="Accepted of asked, by person and expression",
                     description=f"{len(cover['rows'])} people, {len(cover['columns'])} expressions", identifier="coverage-map")  # fmt: skip
    rows = [[name, *cells] for name, cells in zip(cover["rows"], texts, strict=True)]
    hidden = f" {cover['hidden_rows']:,} more people and {cover['hidden_columns']:,} more expressions are in the JSON's figures only." if (
        cover["hidden_rows"] or cover["hidden_columns"]
    ) else ""  # fmt: skip
    marginal = [
        [row["expression"], f"{row['accepted']:,}", f"{row['attempts']:,}", percent(row["accepted"] / row["attempts"]) if row["attempts"] else "–",
         f"{percent(row['ci']['low'])} to {percent(row['ci']['high'])}" if row["ci"] else "–"]
        for row in cover["by_expression"]
    ]  # fmt: skip
    margins = _table(["expression", "accepted", "attempts", "kept", "95 % interval (Wilson)"], marginal, "How hard each expression was")
    body = f'<p class="note">Accepted pictures of those asked for.{hidden}</p>{_scroll(chart, "Coverage chart")}'
    return _section("coverage", "Coverage", body + _behind(_table(["person", *cover["columns"]], rows, "Accepted of asked") + margins))


def _identity(report: dict[str, Any]) -> str:
    identity = report["identity"]
    note = (
        "Is each picture the person it was made from, and nobody else? The <em>gate</em> decided which pictures stay. The <em>auditor</em> is another "
        "model that decided nothing; believe its figures."
    )
    parts = [f'<p class="note">{note}</p>']
    for key, name in (("audit", "By the auditor"), ("gate", "By the gate")):
        scores = identity[key]
        if scores is None:
            parts.append(f'<h3>{name}</h3><p class="note"><span class="badge none">not measured</span></p>')
            continue
        title, edges, limit = f"Cosines {name.lower()}", scores["edges"], scores["threshold"]
        chart = histogram_chart(edges, scores["mated"], scores["nonmated"], threshold=limit, title=title, identifier=f"scores-{key}")
        rows = [
            [f"{number(scores['edges'][k], 2)} to {number(scores['edges'][k + 1], 2)}", percent(m, 1), percent(n, 1)]
            for k, (m, n) in enumerate(zip(scores["mated"], scores["nonmated"], strict=True)) if m or n
        ]  # fmt: skip
        caption = f"{scores['num_mated']:,} mated and {scores['num_nonmated']:,} non-mated comparisons of {scores['num_identities']:,} people"
        parts.append(f"<div><h3>{name}</h3>{_scroll(chart, name)}{_behind(_table(['cosine', 'mated', 'non-mated'], rows, caption))}</div>")
    if identity["scatter"]:
        limit = identity["gate"]["threshold"] if identity["gate"] else None
        chart = scatter_chart(identity["scatter"], threshold=limit, title="Gate and auditor on every attempt", identifier="gate-audit")
        rho = identity["correlation"]
        text = "Each point is an attempt: filled if accepted, a ring if rejected." + (
            f" Their correlation is {number(rho, 2)}: about that share of what selection by the gate gains is real." if rho is not None else ""
        )
        rows = [[number(g), number(a), "yes" if ok else "no"] for g, a, ok in identity["scatter"]]
        parts.append(f'<div><h3>Gate beside auditor</h3>{_scroll(chart, "Gate and auditor")}<p class="note">{escape(text)}</p>'
                     f"{_behind(_table(['gate', 'auditor', 'accepted'], rows, 'Points'))}</div>")  # fmt: skip
    return _section("identity", "Identity", f'{parts[0]}<div class="two">{"".join(parts[1:])}</div>')


def _expression(report: dict[str, Any]) -> str:
    expression, parts = report["expression"], []
    if expression["classes"]:
        rows, columns = expression["classes"], expression["columns"]
        shares = [[count / max(1, sum(row)) for count in row] for row in expression["matrix"]]
        texts = [[str(count) for count in row] for row in expression["matrix"]]
        order = [*rows, *[name for name in columns if name not in rows]]
        place = [columns.index(name) for name in order]
        values: list[list[float | None]] = [[row[k] for k in place] for row in shares]
        chart = heat_map(rows, order, values, [[row[k] for k in place] for row in texts], title="Asked class in rows, seen class in columns",
                         description="Outlined cells are agreement", identifier="confusion", diagonal=True)  # fmt: skip
        table = _table(["asked", *columns], [[name, *row] for name, row in zip(rows, texts, strict=True)], "Pictures by asked and seen class")
        parts.append(f"<div><h3>Asked and seen</h3>{_scroll(chart, 'Confusion matrix')}{_behind(table)}</div>")
    charts = []
    for key, name in (("expression_error", "Distance to the asked expression"), ("pose", "Distance to the background's pose")):
        shown = report[key]
        if shown:
            chart = bars_chart(shown["edges"], shown["counts"], limit=shown["limit"], unit=shown["unit"], title=name, identifier=f"bars-{key}")
            rows = [[f"{number(shown['edges'][k])} to {number(shown['edges'][k + 1])}", str(count)] for k, count in enumerate(shown["counts"]) if count]
            table = _table([shown["unit"], "pictures"], rows, f"Median {number(shown['median'])}")
            charts.append(f"<div><h3>{name}</h3>{_scroll(chart, name)}{_behind(table)}</div>")
    note = "Read by an estimator that is not the one that conditioned the pictures. Classes overlap; the most probable one need not be the asked one."
    body = "".join(parts) + (f'<div class="two">{"".join(charts)}</div>' if charts else "")
    return _section("expression", "Expression and pose", f'<p class="note">{note}</p>{body or "<p class=note>Not measured.</p>"}')


def _samples(report: dict[str, Any]) -> str:
    parts = []
    for key, name, note in (
        ("worst_accepted", "Worst accepted", "Accepted, and least like the asked person to the auditor."),
        ("best_rejected", "Best rejected", "Rejected, and most like the asked person to the auditor."),
    ):
        tiles = ""
        for row in report["samples"][key]:
            alt = f"{row['identity_id']}, {row['expression']}"
            why = f"<br>{escape(', '.join(row['reasons']))}" if row["reasons"] else ""
            text = f"auditor {number(row['sim_audit_ref'])}<br>gate {number(row['sim_gate_ref'])}{why}"
            tiles += f"<li>{_image(report['tiles'], row['key'], alt)}<b>{escape(alt)}</b>{text}</li>"
        shown = f'<ul class="gallery">{tiles}</ul>' if tiles else '<p class="note">None.</p>'
        parts.append(f'<h3>{name}</h3><p class="note">{note}</p>{shown}')
    return _section("samples", "Border cases", "".join(parts))


def _thresholds(report: dict[str, Any]) -> str:
    rows = []
    for row in report["thresholds"]:
        rows.append([row["check"].replace("_", " "), row["limit"], row["unit"], "yes" if row["rejects"] else "no, measures only", row["source"]])
    return _section("thresholds", "Thresholds", _scroll(_table(["check", "limit", "unit", "may reject", "source"], rows, "", "wide"), "Thresholds"))


def _figures(report: dict[str, Any]) -> str:
    rows = []
    for m in report["metrics"]:
        interval = f"{_value(m['ci']['low'], m['unit'])} to {_value(m['ci']['high'], m['unit'])}" if m["ci"] else "–"
        value = _value(m["value"], m["unit"]) if m["value"] is not None else m["status"]
        rows.append([m["label"], m["stage"], value, interval, f"{m['n']:,}", m["unit"]])
    note = "Unfiltered is every attempt, accepted is what was kept. Intervals are 95 %; those of means and verification figures draw people, not pictures."
    table = _table(["figure", "stage", "value", "95 % interval", "n", "unit"], rows, "", "wide")
    return _section("figures", "All figures", f'<p class="note">{note}</p>{_scroll(table, "All figures")}')


def _limits(report: dict[str, Any]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in report["not_measured"])
    return _section("limits", "Limits", f'<p class="note">This report says nothing about:</p><ul class="plain">{items}</ul>')


def _reproduce(report: dict[str, Any]) -> str:
    run = report["run"]
    seconds = f"{run['seconds']:,.0f} s" if run["seconds"] is not None else "not measured"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    facts = (("configuration", f"<code>{escape(run['config_sha256'])}</code>"), ("wall time", seconds), ("versions", escape(versions)))
    rows = [[m["name"], m["role"], m["sha256"][:16], m["licence"], m["source"]] for m in report["models"]]
    table = _scroll(
        _table(["model", "role", "sha256", "licence", "source"], rows, "No file holds two of the roles conditioner, gate and auditor.", "wide"), "Models"
    )
    listing = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return _section("reproduce", "Reproduce", f'<pre><code>{escape(run["command"])}</code></pre><dl>{listing}</dl><h3 class="apart">Models</h3>{table}')


def _section(key: str, name: str, body: str) -> str:
    return f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{name}</h2>{body}</section>'


def _scroll(content: str, name: str) -> str:
    return f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(name)}">{content}</div>'


def _behind(table: str) -> str:
    return f"<details><summary>As a table</summary>{_scroll(table, 'Table')}</details>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]], caption: str, kind: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join(f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>' for row in rows)
    named = f' class="{kind}"' if kind else ""
    described = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table{named}>{described}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _image(tiles: dict[str, str], key: str | None, alt: str) -> str:
    uri = tiles.get(key, "") if key else ""
    if not uri.startswith(IMAGE_START):
        return f'<span class="gap" role="img" aria-label="{escape(alt)}: none"></span>'
    return f'<img src="{escape(uri)}" alt="{escape(alt)}" width="96" height="96">'


def _value(value: float | None, unit: str) -> str:
    if unit == "share":
        fine = value is not None and 0 < value < 0.1 and abs(value * 100 - round(value * 100)) > 0.05
        return percent(value, 1 if fine else 0)
    return number(value) + ("\u00a0°" if unit == "deg" and value is not None else "")
