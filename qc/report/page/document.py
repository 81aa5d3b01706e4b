"""The whole page: head with its policy, contents, sections in order, footer; no request leaves it and it works with scripts off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

from manifests.errors import InputError
from qc.report.page.blocks import Section, Tiles, section
from qc.report.page.closing import figures, limits, reproduce, thresholds
from qc.report.page.copies import duplicates, leakage
from qc.report.page.dataset import balance, distribution, shortcuts
from qc.report.page.expression import affect, confusion, words
from qc.report.page.identity import separation, uniqueness, verification
from qc.report.page.quality import iso, pose
from qc.report.page.samples import samples
from qc.report.page.verdict import opening, pictures, run_card, strip
from qc.report.page.yields import coverage, waterfall
from qc.report.svg import escape

SCHEMA_VERSION = "2.0"
TILE_BUDGET = 1_900_000  # bytes of pictures; the page stays below 3 MB

# key, name in the contents, heading, what draws it, key of the JSON that must be there (or "" where the parts say themselves what is missing)
SECTIONS: tuple[tuple[str, str, str, Callable[[dict[str, Any], Tiles], str], str], ...] = (
    ("verdict", "Verdict", "Verdict", strip, ""),
    ("run", "The run", "The run", run_card, ""),
    ("pictures", "Pictures", "Pictures", pictures, "contact_sheet"),
    ("attempts", "Rejections", "From attempts to pictures", waterfall, "waterfall"),
    ("coverage", "Coverage", "Coverage of the cells", coverage, "coverage"),
    ("identity", "Identity", "Identity: is each picture the person it was made from?", verification, "identity"),
    ("separation", "Gate and auditor", "Gate beside auditor: what the filtering really gained", separation, "identity"),
    ("uniqueness", "Uniqueness", "Uniqueness: is each person a person of their own?", uniqueness, "identity"),
    ("leakage", "Leakage", "Leakage: does a picture show a person of the training set?", leakage, "leakage"),
    ("duplicates", "Duplicates", "Duplicates", duplicates, "duplicates"),
    ("expression", "Expression", "Expression: asked and seen", confusion, "expression"),
    ("affect", "Valence, arousal", "Valence and arousal", affect, "expression"),
    ("words", "Words", "Words", words, "expression"),
    ("pose", "Pose", "Pose", pose, "pose"),
    ("iso", "Image quality", "Image quality, component by component", iso, "iso"),
    ("balance", "Balance", "Balance and what filtering did to it", balance, "balance"),
    ("distribution", "Distribution", "Distance to a reference", distribution, "distribution"),
    ("shortcuts", "Shortcuts", "Shortcuts: can a label be guessed from what should not tell it?", shortcuts, "shortcuts"),
    ("samples", "Samples", "Samples", samples, "samples"),
    ("thresholds", "Thresholds", "Threshold sheet", thresholds, "thresholds"),
    ("figures", "All figures", "All figures", figures, ""),
    ("limits", "Limits", "Limits", limits, ""),
    ("reproduce", "Reproduce", "How to reproduce this", reproduce, ""),
)


def render_page(report: dict[str, Any]) -> str:
    """The page of a report made by qc.report.summary.build_summary, as text."""
    if report.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"report page: schema_version is {report.get('schema_version')}, expected {SCHEMA_VERSION}. Make qc_report.json again.")
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; img-src data:; style-src '{source_hash(style)}'; script-src '{source_hash(script)}'; base-uri 'none'; form-action 'none'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(report["title"])} – quality report</title><style>{style}</style>'
    )
    tiles = Tiles(report.get("tiles") or {}, budget=TILE_BUDGET)
    body = "".join(_drawn(report, tiles, *row) for row in SECTIONS)
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, name, *_ in SECTIONS)
    contents = f'<nav aria-label="Contents"><p class="navhead">Contents</p><ol>{links}</ol></nav>'
    left_out = f" {tiles.left_out:,} small pictures were left out to keep the page small; they are in the JSON." if tiles.left_out else ""
    footer = f"<footer>Made by facemint from qc_report.json alone, schema {SCHEMA_VERSION}.{left_out} The made faces are synthetic.</footer>"
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body><a class="skip" href="#main">Skip to the report</a>{opening(report)}'
        f'<div class="layout">{contents}<main id="main" tabindex="-1">{body}</main></div>{footer}<script>{script}</script></body></html>\n'
    )


def _drawn(report: dict[str, Any], tiles: Tiles, key: str, name: str, heading: str, draw: Callable[[dict[str, Any], Tiles], str], needs: str) -> str:
    if needs and not report.get(needs):
        why = (report.get("not_measured_sections") or {}).get(needs) or "The reason is among the sentences under Limits."
        return section(Section(key=key, heading=heading), f'<p><span class="badge none">– not measured</span></p><p class="note">{escape(why)}</p>')
    return section(Section(key=key, heading=heading), draw(report, tiles))


def _asset(name: str) -> str:
    return (resources.files("qc") / "report" / name).read_text(encoding="utf-8")


def source_hash(content: str) -> str:
    """How a policy names an inline style or script that it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
