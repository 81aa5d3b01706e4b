"""The top of the page: the verdict in a sentence, a tile per declared line, the identity card of the run, its contact sheet."""

from __future__ import annotations

from typing import Any

from qc.report.page.blocks import Tiles, badge, count_text, interval_text, note, scroll, value_and_limit
from qc.report.svg import escape, number, percent

ORDER = ("fail", "warn", "not_measured", "pass", "info")


def opening(report: dict[str, Any]) -> str:
    """Title and verdict."""
    counts = report.get("counts") or {}
    asked, kept, tried = (counts.get(name) or 0 for name in ("requested", "accepted", "attempts"))
    share = percent(kept / tried) if tried else "none"
    sentence = report.get("verdict") or "No verdict was computed."
    facts = f"{kept:,} pictures of {asked:,} asked for, from {tried:,} attempts ({share} kept)."
    created = report.get("created")
    eyebrow = " · ".join(["Quality report", *([str(created)] if created else [])])
    return (
        f'<header class="top"><p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(report["title"])}</h1>'
        f'<p class="lead">{escape(sentence)}</p><p class="note">{escape(facts)}</p></header>'
    )


def strip(report: dict[str, Any], tiles: Tiles) -> str:
    """A tile per declared line, the worst first."""
    lines = [line for line in report.get("contract") or [] if isinstance(line, dict)]
    if not lines:
        return note("No line was declared for this run.")
    counted = ", ".join(f"{sum(line['status'] == status for line in lines)} {words}" for status, words in
                        (("pass", "pass"), ("warn", "warn"), ("fail", "fail"), ("not_measured", "not measured"), ("info", "for information"))
                        if any(line["status"] == status for line in lines))  # fmt: skip
    shown = sorted(lines, key=lambda line: ORDER.index(line["status"]) if line["status"] in ORDER else 2)
    listed = "".join(_tile(line) for line in shown)
    return note(f"Lines that were declared before the run: {counted}.") + f'<ul class="strip">{listed}</ul>'


def _tile(line: dict[str, Any]) -> str:
    unit = line.get("unit")
    more = []
    if line.get("value") is not None and interval_text(line.get("ci"), unit) != "–":
        more.append(f"95 % interval {interval_text(line['ci'], unit)}")
    value, limit = value_and_limit(line.get("value"), line.get("limit"), unit)
    if line.get("limit") is not None:
        bound = {"higher": "at least ", "lower": "at most "}.get(str(line.get("direction")), "")
        more.append(f"wanted: {bound}{limit}")
    number_part = f'<span class="value">{escape(value)}</span>' if line.get("value") is not None else '<span class="value absent">–</span>'
    if isinstance(line.get("n"), int) and line.get("value") is not None:
        more.append(f"n = {line['n']:,}")
    listed = "".join(f"<span>{escape(text)}</span>" for text in more)
    said = f'<span class="said">{escape(line["sentence"])}</span>' if line.get("sentence") and line.get("value") is None else ""
    return (
        f'<li class="tile">{badge(line["status"])}<span class="what">{escape(line["label"])}</span>{number_part}<span class="more">{listed}</span>{said}</li>'
    )


def run_card(report: dict[str, Any], tiles: Tiles) -> str:
    """What was run, with what, and what came of it."""
    run, counts = report.get("run") or {}, report.get("counts") or {}
    seconds = run.get("seconds")
    facts: list[tuple[str, str]] = [
        ("Asked for", f"{count_text(counts.get('requested'))} pictures"),
        ("Accepted", f"{count_text(counts.get('accepted'))} of {count_text(counts.get('attempts'))} attempts"),
        ("Rejected", count_text(counts.get("rejected"))),
        ("Unfilled", f"{count_text(counts.get('unfilled'))} (every attempt failed)"),
        ("Quarantined", f"{count_text(counts.get('quarantined'))} (the attempt broke its process)"),
        ("Cost", f"{number(run.get('attempts_per_accepted'))} attempts per accepted picture"),
        ("Wall time", f"{seconds:,.0f} s" if isinstance(seconds, int | float) else "not part of the report: equal runs have equal ones"),
    ]
    if run.get("hardware"):
        facts.append(("Hardware", str(run["hardware"])))
    ids = [("Bundle", "bundle_id"), ("Version", "version"), ("Seed", "seed"), ("Configuration", "config_sha256"), ("Manifest", "manifest_sha256")]
    written = [(name, str(run[key]) if run.get(key) is not None else "not recorded") for name, key in ids]
    left = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    right = "".join(f'<div><dt>{name}</dt><dd class="mono">{escape(text)}</dd></div>' for name, text in written)
    return f'<div class="two"><dl class="facts">{left}</dl><dl class="facts">{right}</dl></div>'


def pictures(report: dict[str, Any], tiles: Tiles) -> str:
    """One accepted picture of each cell."""
    sheet = report["contact_sheet"]
    if not sheet["rows"]:
        return note("No picture was accepted.")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in sheet["columns"])
    body = ""
    for name, keys in zip(sheet["rows"], sheet["keys"], strict=True):
        cells = "".join(f"<td>{tiles.image(key, f'{name}, {word}')}</td>" for key, word in zip(keys, sheet["columns"], strict=True))
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    caption = '<caption class="vh">Pictures by person and expression</caption>'
    table = f'<table class="sheet">{caption}<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'
    people = len((report.get("coverage") or {}).get("rows") or sheet["rows"]) + ((report.get("coverage") or {}).get("hidden_rows") or 0)
    more = f" {people - len(sheet['rows']):,} more people are not on this sheet." if people > len(sheet["rows"]) else ""
    return note(f"One accepted picture of each cell: a person in each row, an asked expression in each column.{more}") + scroll(table, "Pictures by person")
