"""Leakage and duplicates: distances to the nearest training person or picture, and the closest pairs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qc.report.charts_scores import densities_chart
from qc.report.page.blocks import Tiles, chart_panel, columns, count_text, figure, metrics_in, metrics_table, note, panel, scroll, table, value_text
from qc.report.svg import escape, number

ALONE = "The picture is shown; photographs of people of the gallery are not part of a report."
BESIDE = (
    "Left the made picture, right the small picture that the gallery has of the training person; the cosine is to the mean of all of the person's pictures."
)
MAX_PAIRS = 24
FEW_PAIRS = 8


def pairs_list(pairs: Sequence[dict[str, Any]], tiles: Tiles, wanted: int = MAX_PAIRS) -> str:
    """Two pictures beside each other with their names and figures. pairs: {left, right, tile_a, tile_b, words}."""
    items = ""
    shown = pairs[: min(MAX_PAIRS, max(FEW_PAIRS, wanted))]
    for pair in shown:
        left, right = str(pair.get("left")), str(pair.get("right"))
        words = "".join(f"<span>{escape(text)}</span>" for text in pair["words"])
        second = tiles.image(pair.get("tile_b"), right) if pair.get("tile_b") or not pair.get("single") else ""
        items += (
            f'<li><div class="duo">{tiles.image(pair.get("tile_a"), left)}{second}</div>'
            f'<b>{escape(left)}</b> <span class="and">and</span> <b>{escape(right)}</b>{words}</li>'
        )
    more = note(f"{len(pairs) - len(shown):,} more pairs are in the JSON.") if len(pairs) > len(shown) else ""
    return f'<ul class="pairs">{items}</ul>{more}'


def leakage(report: dict[str, Any], tiles: Tiles) -> str:
    """Nearest people of the training gallery, against a reference of people who were held out."""
    found = report["leakage"]
    gallery, above = found.get("gallery") or {}, found.get("above") or {}
    words = [f"Compared with {count_text(gallery.get('people'))} training people of {gallery.get('source') or 'the gallery'}"
             + (f"; the reference is {gallery['held_out']:,} people who were held out" if isinstance(gallery.get("held_out"), int) else "") + "."]  # fmt: skip
    if found.get("estimable") is False:
        words.append(f"A false match rate of {number(found.get('target_fmr'), 2)} is not estimable with this reference; the counts are shown, not judged.")
    words.append(
        f"At threshold {number(found.get('threshold'))} (false match rate {number(found.get('target_fmr'), 2)}, {found.get('role') or 'auditor'}), "
        f"{count_text(above.get('count'))} of {count_text(above.get('n'))} pictures are above; {number(above.get('expected'))} are expected by chance"
        + (f", and {above['reference']:,} of as many held-out people are" if isinstance(above.get("reference"), int) else "") + "."
    )  # fmt: skip
    gate = found.get("gate") or {}
    if gate.get("n"):
        words.append(
            f"By the gate, {count_text(gate.get('count'))} of {count_text(gate['n'])} are above {number(gate.get('threshold'))}; "
            f"{number(gate.get('expected'))} are expected."
        )
    if found.get("auth_pct") is not None:
        words.append(f"Authenticity (nearer to the training person than that person is to their own nearest): {_share_of_hundred(found['auth_pct'])}.")
    parts, shown = [], found.get("distribution")
    if shown and shown.get("edges"):
        edges = shown["edges"]
        chart = densities_chart(edges, shown["synthetic"], shown["reference"], names=("made pictures", "held-out people"), threshold=found.get("threshold"),
                                title="Cosine to the nearest person of the gallery", identifier="leakage-nearest",
                                axis="cosine to the nearest person", counted="pictures")  # fmt: skip
        rows = [[f"{number(edges[k])} to {number(edges[k + 1])}", value_text(s, "share"), value_text(r, "share")]
                for k, (s, r) in enumerate(zip(shown["synthetic"], shown["reference"], strict=True)) if s or r]  # fmt: skip
        behind = table(["cosine", "made pictures", "held-out people"], rows, "Share by cosine to the nearest person", numbers=(1, 2))
        parts.append(chart_panel("Nearest person of the gallery", chart, behind, explained=f"n = {count_text(above.get('n'))} pictures."))
    matches = found.get("hash_matches") or []
    if matches:
        rows = [[row.get("sample_key"), row.get("gallery_id"), row.get("evidence"), count_text(row.get("bits")), count_text(row.get("bits256")),
                 number(row.get("cosine")), "confirmed" if row.get("confirmed", True) else "not confirmed"] for row in matches[:50]]  # fmt: skip
        caption = f"{len(matches):,} pictures whose hash is that of a training picture"
        heads = ["picture", "gallery", "found by", "of 64 bits", "of 256 bits", "cosine", "copy"]
        beside = pairs_list(_beside(matches), tiles) if any(row.get("gallery_tile") for row in matches) else ""
        parts.append(panel("Matches by picture hash", scroll(table(heads, rows, caption), "Hash matches") + beside + note(_hash_search(found))))
    else:
        parts.append(panel("Matches by picture hash", note("No picture has the perceptual hash of a training picture. " + _hash_search(found))))
    pairs = _beside(found.get("pairs") or [])
    body = note(" ".join(words)) + columns(*parts)
    if pairs:
        explained = BESIDE if any(pair["tile_b"] for pair in pairs) else ALONE
        body += panel("The closest pictures", pairs_list(pairs, tiles, above.get("count") or 0), explained=explained)
    metrics = list(metrics_in(found))
    return body + (metrics_table(metrics, "Figures of leakage") if metrics else "")


def _beside(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Made pictures and the training people that they are like, for `pairs_list`."""
    return [{"left": row.get("sample_key"), "right": row.get("gallery_id"), "tile_a": row.get("tile"), "tile_b": row.get("gallery_tile"), "single": True,
             "words": [f"cosine {number(row.get('cosine'))}"]} for row in rows]  # fmt: skip


def _hash_search(found: dict[str, Any]) -> str:
    """What was compared by hash, in words."""
    search = found.get("hash_search")
    if not search:
        return ""
    words = [
        f"{search['pictures']:,} accepted pictures were compared by the hash of their labels. Labels don't hold the hash of the mirror image: mirrored copies "
        f"were looked for among the {search['mirrored']:,} decoded pictures."
    ]
    if search["candidates"] > search["decoded"]:
        words.append(f"Of {search['candidates']:,} more candidates, the nearest {search['decoded']:,} were decoded; the others were not looked at.")
    if not search["complete"]:
        words.append("Too many hashes are alike to compare them all.")
    if not search["confirmable"]:
        words.append("The gallery has no hashes of 256 bits: matches within 4 bits of 64 are named and not confirmed, and some are chance.")
    return " ".join(words)


def duplicates(report: dict[str, Any], tiles: Tiles) -> str:
    """Equal files, equal perceptual hashes, near embeddings: clusters, and pairs side by side."""
    found = report["duplicates"]
    rows = []
    for key, name in (("exact", "exact (equal pixels)"), ("perceptual", "perceptual hash"), ("embedding", "embedding")):
        kind = found.get(key)
        if kind is None:
            rows.append([name, "not measured", "not measured", "–", "–"])
            continue
        limit = kind.get("limit")
        rows.append(
            [name, count_text(kind.get("clusters")), count_text(kind.get("pictures")), kind.get("feature") or "–", number(limit) if limit is not None else "–"]
        )
    body = scroll(
        table(["kind", "clusters", "pictures in them", "feature space", "limit"], rows, "Duplicates among accepted pictures", numbers=(1, 2)), "Duplicates"
    )
    across = found.get("across_splits")
    if across is not None:
        count = across.get("pairs", across.get("pictures", across.get("count"))) if isinstance(across, dict) else across
        body += note(
            f"Pairs that sit in different splits: {count_text(count)}."
            if not isinstance(count, list)
            else f"Pairs that sit in different splits: {len(count):,}."
        )
    pairs = [{"left": row.get("a"), "right": row.get("b"), "tile_a": row.get("tile_a"), "tile_b": row.get("tile_b"),
              "words": [f"{row.get('kind')}, distance {number(row.get('distance'))}{_unit(row.get('unit'))}"]} for row in found.get("pairs") or []]  # fmt: skip
    if pairs:
        body += panel("The closest pairs", pairs_list(pairs, tiles))
    metrics = list(metrics_in(found))
    return body + (metrics_table(metrics, "Figures of duplicates") if metrics else "")


def _share_of_hundred(found: object) -> str:
    value, words = figure(found)
    return words if isinstance(found, dict) or value is None else f"{number(value if value > 1 else 100 * value)}\u00a0%"


def _unit(unit: object) -> str:
    return f" ({unit})" if unit else ""
