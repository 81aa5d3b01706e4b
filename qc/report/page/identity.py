"""Identity: comparison scores and errors of gate and auditor, what selection gained, and whether people are told apart."""

from __future__ import annotations

from typing import Any

from qc.report.charts import rates_chart
from qc.report.charts_scores import densities_chart, det_chart, line_chart, scatter_chart
from qc.report.page.blocks import (
    NOT_MEASURED,
    Tiles,
    chart_panel,
    columns,
    count_text,
    figure,
    interval_text,
    metrics_in,
    metrics_table,
    note,
    panel,
    scroll,
    table,
    value_text,
)
from qc.report.page.copies import pairs_list
from qc.report.svg import number

SIDES = (
    ("auditor", "By the auditor, accepted pictures"),
    ("gate", "By the gate, accepted pictures"),
    ("auditor_unfiltered", "By the auditor, every attempt"),
)


def verification(report: dict[str, Any], tiles: Tiles) -> str:
    """Histograms, DET, the table of operating points, and the cosine by expression."""
    identity = report["identity"]
    parts = [
        note("The gate decided which pictures stay. The auditor is another model that decided on none: believe its figures. Mated comparisons are of a picture "
             "with its own person, non-mated ones with the other people of the run.")
    ]  # fmt: skip
    parts.append(columns(*[_scores(identity.get(key), key, name) for key, name in SIDES], _det(identity)))
    points = [panel(f"Operating points, {key}", _points(identity.get(key))) for key in ("auditor", "gate") if (identity.get(key) or {}).get("table")]
    parts.append(columns(*points))
    parts += [columns(_by_expression(identity.get("by_expression"))), _consistency(identity.get("consistency"))]
    found = list(metrics_in({key: identity.get(key) for key in ("auditor", "gate", "auditor_unfiltered", "metrics")}))
    if found:
        parts.append(metrics_table(found, "Figures of identity"))
    return "".join(parts)


def _scores(side: dict[str, Any] | None, key: str, name: str) -> str:
    shown = (side or {}).get("histogram")
    if not side or not shown:
        return panel(name, NOT_MEASURED)
    edges = shown["edges"]
    chart = densities_chart(edges, shown["mated"], shown["nonmated"], names=("same person", "other people"), threshold=side.get("threshold"),
                            title=f"Cosines: {name}", identifier=f"scores-{key.replace('_', '-')}")  # fmt: skip
    rows = [[f"{number(edges[k], 3)} to {number(edges[k + 1], 3)}", value_text(m, "share"), value_text(n, "share")]
            for k, (m, n) in enumerate(zip(shown["mated"], shown["nonmated"], strict=True)) if m or n]  # fmt: skip
    counts = {**side, **shown}
    counted = [f"{count_text(counts[field])} {words}" for field, words in (("num_mated", "mated"), ("num_nonmated", "non-mated")) if counts.get(field)]
    people = f" of {counts['num_identities']:,} people" if counts.get("num_identities") else ""
    explained = f"n = {' and '.join(counted)} comparisons{people}." if counted else ""
    behind = table(["cosine", "same person", "other people"], rows, f"Share of comparisons. {explained}", numbers=(1, 2))
    return chart_panel(name, chart, behind, explained=explained)


def _det(identity: dict[str, Any]) -> str:
    curves = [(key, side["det"]) for key in ("auditor", "gate") if (side := identity.get(key)) and side.get("det") and side["det"].get("fmr")]
    if not curves:
        return ""
    chart = det_chart(curves, title="Detection error trade-off", identifier="det")
    rows = []
    for name, det in curves:
        lo, hi = det.get("lo") or [None] * len(det["fmr"]), det.get("hi") or [None] * len(det["fmr"])
        step = max(1, len(det["fmr"]) // 24)
        for k in range(0, len(det["fmr"]), step):
            band = interval_text({"lo": lo[k], "hi": hi[k]}, "share")
            rows.append([name, number(det["fmr"][k], 2), value_text(det["fnmr"][k], "share"), band])
    behind = table(["curve", "false match rate", "false non-match rate", "95 % interval"], rows, "Points of the curves", numbers=(1, 2, 3))
    explained = "Both errors as the threshold moves, on probit axes; nearer to the lower left corner is better. Bands: 95 % intervals, drawing people."
    return chart_panel("DET: errors against each other", chart, behind, explained=explained)


def _points(side: dict[str, Any] | None) -> str:
    rows = []
    for row in (side or {}).get("table") or []:
        known = row.get("estimable", True)
        ci = row.get("ci")
        rows.append([number(row.get("target_fmr"), 2), number(row.get("threshold")) if known else "not estimable",
                     number(row.get("fmr"), 2) if known else "–", value_text(row["fnmr"], "share") if known and row.get("fnmr") is not None else "–",
                     interval_text(ci, "share") if known else "–"])  # fmt: skip
    heads = ["target FMR", "threshold", "FMR", "FNMR", "95 % interval"]
    most = max((row.get("num_nonmated") or 0 for row in (side or {}).get("table") or []), default=0)
    caption = f"Smallest threshold whose false match rate is at most the target; not estimable below 30 expected errors. n = {most:,} non-mated."
    return scroll(table(heads, rows, caption, numbers=range(1, 5)), "Operating points")


def _by_expression(rows: list[dict[str, Any]] | None) -> str:
    if not rows:
        return ""
    shown = sorted(rows, key=lambda row: row["mean"] if row.get("mean") is not None else 9.0)[:24]
    marks = [{"key": row["expression"], "value": row.get("mean"), **{k: (row.get("ci") or {}).get(k) for k in ("lo", "hi")}} for row in shown]
    chart = rates_chart(marks, name="mean mated cosine, auditor", title="Cosine to the own person by expression", identifier="by-expression", value_range=None)
    listed = [
        [row["expression"], number(row.get("mean")), interval_text(row.get("ci")), count_text(row.get("n")), number(row.get("drop_vs_neutral"))] for row in rows
    ]
    behind = table(
        ["expression", "mean cosine", "95 % interval", "n", "drop against neutral"], listed, "Cosine to the own person", kind="sortable", numbers=range(1, 5)
    )
    hidden = f" The 24 lowest of {len(rows):,} are drawn." if len(rows) > 24 else ""
    return chart_panel("Likeness by expression", chart, behind, explained=f"Strong expressions move a face away from its neutral one.{hidden}")


def _consistency(rows: list[dict[str, Any]] | None) -> str:
    if not rows:
        return ""
    listed = [[row["identity_id"], count_text(row.get("n")), number(row.get("mean_mated")), value_text(row.get("share_consistent"), "share"),
               number(row.get("diversity")), count_text(_outliers(row)), "yes" if row.get("too_easy") else "no"] for row in rows]  # fmt: skip
    heads = ["person", "n", "mean cosine", "consistent", "diversity", "outliers", "too easy"]
    body = scroll(table(heads, listed, "The least consistent people first", kind="sortable", numbers=range(1, 6)), "Consistency of people")
    return panel(
        "Consistency within a person",
        body,
        explained="Pictures of one person should agree (cosine) and yet differ (diversity); too easy: hardly any variation.",
    )


def _outliers(row: dict[str, Any]) -> object:
    found = row.get("num_outliers", row.get("outliers"))
    return len(found) if isinstance(found, list) else found


def separation(report: dict[str, Any], tiles: Tiles) -> str:
    """Gate and auditor on the same attempts, the gain of selection in both, and the sweep of the gate's threshold."""
    identity = report["identity"]
    parts = []
    limit = (identity.get("gate") or {}).get("threshold")
    rho = identity.get("rho") or {}
    if identity.get("scatter"):
        points = identity["scatter"]
        both = [figure(rho.get(stage))[1] for stage in ("unfiltered", "accepted")]
        words = f"Correlation of the two (rho): {both[0]} on every attempt, {both[1]} on accepted ones."
        rows = [[number(g), number(a), "yes" if ok else "no"] for g, a, ok in points]
        behind = table(["gate", "auditor", "accepted"], rows, f"{len(points)} attempts", numbers=(0, 1))
        chart = scatter_chart(points, threshold=limit, title="Gate and auditor on the same attempts", identifier="gate-audit")
        parts.append(chart_panel("Gate and auditor", chart, behind, explained=f"n = {len(points)} attempts. {words}"))
    gain = identity.get("gain") or {}
    if gain.get("gate_sd") is not None or gain.get("audit_sd") is not None:
        rows = [
            ["gate", number(gain.get("gate_sd")), interval_text(gain.get("gate_ci"))],
            ["auditor", number(gain.get("audit_sd")), interval_text(gain.get("audit_ci"))],
        ]
        if gain.get("expected_audit_sd") is not None:
            rows.append(["auditor, expected from rho", number(gain["expected_audit_sd"]), "–"])
        caption = "Mean of the accepted minus mean of every attempt, in standard deviations"
        body = scroll(table(["by", "gain", "95 % interval"], rows, caption, numbers=(1, 2)), "Gain by filtering")
        words = "Filtering by the gate raises the gate's own mean for certain. What the auditor gains is real; the difference is selection on the gate's noise."
        parts.append(panel("Gain by filtering", body, explained=words))
    sweep = identity.get("sensitivity") or []
    if sweep:
        xs = [row["threshold"] for row in sweep]
        rows = [[number(row["threshold"]), value_text(row.get("acceptance"), "share"), number(row.get("audit_mean"))] for row in sweep]
        heads = ["gate threshold", "acceptance", "auditor's mean"]
        behind = table(heads, rows, "Sweep of the gate's threshold", numbers=(1, 2))
        common: dict[str, Any] = {"x_name": "threshold of the gate (cosine)", "limit": limit}
        first = line_chart(xs, [row.get("acceptance") for row in sweep], y_name="accepted share", share=True, title="Acceptance by threshold",
                           identifier="sweep-acceptance", **common)  # fmt: skip
        second = line_chart(xs, [row.get("audit_mean") for row in sweep], y_name="auditor's mean cosine", title="Auditor by threshold",
                            identifier="sweep-audit", **common)  # fmt: skip
        parts.append(chart_panel("Sensitivity: what a stricter gate keeps", first, behind))
        parts.append(chart_panel("Sensitivity: what a stricter gate gains", second, behind))
    return columns(*parts) or NOT_MEASURED


def uniqueness(report: dict[str, Any], tiles: Tiles) -> str:
    """Pairs of people who look alike, against the number that is expected by chance."""
    found = report["identity"].get("uniqueness")
    if not found:
        return NOT_MEASURED
    words = (
        f"{count_text(found.get('num_identities'))} people. "
        f"At threshold {number(found.get('threshold'))} (false match rate {number(found.get('target_fmr'), 2)}), "
        f"{count_text(found.get('observed'))} pairs are alike; {number(found.get('expected'))} would be by chance."
    )
    rows = [{**pair, "left": pair.get("a"), "right": pair.get("b"), "words": [f"cosine {number(pair.get('cosine'))}"]} for pair in found.get("pairs") or []]
    return note(words) + (panel("The most alike pairs of people", pairs_list(rows, tiles, found.get("observed") or 0)) if rows else "")
