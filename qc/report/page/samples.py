"""Pictures to look at: random ones, the worst accepted and best rejected by the auditor, and those nearest to each limit."""

from __future__ import annotations

from typing import Any

from qc.report.page.blocks import Tiles, note, panel
from qc.report.svg import escape, number

GROUPS = (
    ("random", "Random", "Accepted pictures, drawn by chance and the same whenever the report is made: what a picture of this data set looks like."),
    ("worst_accepted", "Worst accepted", "Accepted, and least like the asked person to the auditor."),
    ("best_rejected", "Best rejected", "Rejected, and most like the asked person to the auditor: what the checks may lose."),
)


def samples(report: dict[str, Any], tiles: Tiles) -> str:
    """Galleries; with scripts on they can be filtered by words."""
    found = report["samples"]
    parts = [
        note(
            "Each tile: person and expression as asked, cosine by the auditor (A) and the gate (G), errors of expression (E) "
            "and pose (P, degrees), why it was rejected."
        )
    ]
    for key, name, explained in GROUPS:
        parts.append(panel(name, _gallery(found.get(key) or [], tiles), explained=explained))
    borderline = found.get("borderline") or {}
    shown = {check: rows for check, rows in borderline.items() if rows}
    if shown:
        parts.append("<h3>Nearest to a limit</h3>" + note("For each check, the pictures on both sides of its limit: is the limit where it should be?"))
        parts += [f"<h4>{escape(str(check).replace('_', ' '))}</h4>{_gallery(rows, tiles)}" for check, rows in shown.items()]
    return f'<div class="filtered">{"".join(parts)}</div>'


def _gallery(rows: list[dict[str, Any]], tiles: Tiles) -> str:
    items = "".join(_item(row, tiles) for row in rows)
    return f'<ul class="gallery">{items}</ul>' if items else note("None.")


def _item(row: dict[str, Any], tiles: Tiles) -> str:
    who = f"{row.get('identity_id')}, {row.get('expression')}"
    scores = [f"{letter}\u00a0{number(row[key])}"
              for letter, key in (("A", "sim_audit_ref"), ("G", "sim_gate_ref"), ("E", "expression_error"), ("P", "pose_error"))
              if row.get(key) is not None]  # fmt: skip
    reasons = [str(reason).replace("_", " ") for reason in row.get("reasons") or []]
    why = f'<span class="why">✕ {escape(", ".join(reasons))}</span>' if reasons else ""
    near = f"<span>{escape(row['distance'])}</span>" if row.get("distance") else ""
    key = row.get("tile") or row.get("key")
    words = f'<b>{escape(who)}</b><span>{escape(" · ".join(scores))}</span>{near}{why}<span class="key">{escape(row.get("key"))}</span>'
    return f"<li>{tiles.image(key, who)}{words}</li>"
