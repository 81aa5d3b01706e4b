"""Every number of the report, computed from the attempts of a run; qc_report.json is this dictionary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from manifests.errors import InputError
from manifests.ledger import Weight
from manifests.verdicts import REJECT_REASONS
from manifests.vocabulary import AFFECTNET8
from qc.calibration import Calibration
from qc.checks import CHECKS, Check
from qc.report.metrics import contract_lines, identity_section, mean_metric, metric, not_measured
from qc.statistics import ScoreSet, wilson

SCHEMA_VERSION = "1.0"
MAX_ROWS, MAX_COLUMNS, MAX_POINTS = 40, 40, 600

REASON_LABELS = {
    "not_finite": "no picture",
    "blank": "blank",
    "no_face": "no face",
    "many_faces": "more than one face",
    "alignment": "face out of place",
    "identity": "other person",
    "expression": "other expression",
    "pose": "other pose",
    "exposure": "exposure",
    "sharpness": "not sharp",
    "duplicate": "duplicate",
    "error": "error",
}


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a report is made from.

    `attempts`  one row per attempt: slot, attempt, identity_id, expression, accepted, reasons (list), and a column per measurement
                (manifests.records.measurement_frame gives it)
    `cells`     one row per asked cell: identity_id, expression, requested (pictures)
    `audit_*`   scores by the auditor against the run's identities: of all attempts, and of the accepted
    """

    title: str
    command: str
    config_hash: str
    created: str  # date as text; the caller's, so that equal runs can give equal reports
    attempts: pd.DataFrame
    cells: pd.DataFrame
    classes: Mapping[str, str | None]  # expression word -> of AFFECTNET8
    checks: Sequence[Check] = CHECKS
    rejecting: Sequence[str] = tuple(check.name for check in CHECKS)
    calibration: Calibration | None  # of the gate
    models: Sequence[Weight]
    versions: Mapping[str, str]
    audit_accepted: ScoreSet | None
    audit_unfiltered: ScoreSet | None
    gate_accepted: ScoreSet | None
    seconds: float | None  # wall time of generating and judging
    tiles: Mapping[tuple[int, int], str]  # (slot, attempt) -> data URI

    def __post_init__(self) -> None:
        for name, frame, columns in (
            ("attempts", self.attempts, ("slot", "attempt", "identity_id", "expression", "accepted", "reasons")),
            ("cells", self.cells, ("identity_id", "expression", "requested")),
        ):
            missing = [column for column in columns if column not in frame.columns]
            if missing:
                raise InputError(f"report: the table of {name} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns[:12]))}.")


def build_summary(inputs: ReportInputs) -> dict[str, Any]:
    """The report as plain JSON values; what could not be measured is null and listed, never 0."""
    attempts = inputs.attempts
    accepted, rejected = attempts[attempts["accepted"].astype(bool)], attempts[~attempts["accepted"].astype(bool)]
    requested, tried, kept = int(inputs.cells["requested"].sum()), len(attempts), len(accepted)
    threshold = inputs.calibration.threshold if inputs.calibration else None
    filled = int(accepted["slot"].nunique())
    spread = wilson(kept, tried) if tried else None
    metrics = [
        metric("acceptance", "Accepted attempts", kept / tried if tried else None, unit="share", n=tried, stage="unfiltered", ci=spread),
        metric("filled", "Slots filled", filled / requested if requested else None, unit="share", n=requested, stage="accepted"),
    ]
    for stage, frame in (("unfiltered", attempts), ("accepted", accepted)):
        metrics.append(mean_metric("sim_gate", "Cosine to the asked person, gate", frame, "sim_gate_ref", "cosine", stage, role="gate"))
        metrics.append(mean_metric("sim_audit", "Cosine to the asked person, auditor", frame, "sim_audit_ref", "cosine", stage, role="auditor"))
        metrics.append(mean_metric("expression_error", "Expression error", frame, "expression_error", "RMS of 35 units", stage, role="estimator"))
        metrics.append(mean_metric("pose_error", "Pose error to the background", frame, "pose_error", "deg", stage, role="estimator"))
        metrics.append(mean_metric("sharpness_ratio", "Sharpness beside the background", frame, "sharpness_ratio", "ratio", stage, role=None))
    identity = identity_section(inputs.audit_accepted, inputs.audit_unfiltered, inputs.gate_accepted, threshold, metrics)
    identity["scatter"] = _scatter(attempts)
    identity["correlation"] = _correlation(attempts, metrics)
    expression = _expression(accepted, inputs.classes, metrics)
    return {
        "schema_version": SCHEMA_VERSION,
        "title": inputs.title,
        "created": inputs.created,
        "run": {"command": inputs.command, "config_sha256": inputs.config_hash, "seconds": inputs.seconds},
        "counts": {"requested": requested, "attempts": tried, "accepted": kept, "rejected": tried - kept, "unfilled": requested - filled},
        "contract": contract_lines(metrics),
        "waterfall": _waterfall(attempts),
        "reasons": _reasons(attempts),
        "coverage": _coverage(attempts, inputs.cells),
        "identity": identity,
        "expression": expression,
        "pose": _histogram(accepted, "pose_error", "deg", _limit(inputs.checks, "pose", "max_angle_deg")),
        "expression_error": _histogram(accepted, "expression_error", "RMS of 35 units", _limit(inputs.checks, "expression", "max_error")),
        "metrics": metrics,
        "thresholds": [_threshold_row(check, inputs) for check in inputs.checks],
        "calibration": asdict(inputs.calibration) if inputs.calibration else None,
        "models": [{"name": w.name, "role": w.role, "sha256": w.sha256, "licence": w.licence, "source": w.source} for w in inputs.models],
        "versions": dict(sorted(inputs.versions.items())),
        "not_measured": not_measured(metrics),
        "contact_sheet": _contact_sheet(accepted, inputs),
        "samples": {"worst_accepted": _samples(accepted, inputs, worst=True), "best_rejected": _samples(rejected, inputs, worst=False)},
        "tiles": {_key(slot, attempt): uri for (slot, attempt), uri in sorted(inputs.tiles.items())},
    }


def wanted_tiles(attempts: pd.DataFrame, samples: int = 12, rows: int = 16, columns: int = 16) -> list[tuple[int, int]]:
    """(slot, attempt) of the pictures that the report shows: one per cell of the sheet, the worst accepted and the best rejected."""
    accepted = attempts[attempts["accepted"].astype(bool)]
    first = accepted.sort_values(["slot", "attempt"]).drop_duplicates(["identity_id", "expression"])
    people, words = list(dict.fromkeys(first["identity_id"]))[:rows], list(dict.fromkeys(first["expression"]))[:columns]
    chosen = first[first["identity_id"].isin(people) & first["expression"].isin(words)]
    frames = [chosen, _extreme(accepted, samples, worst=True), _extreme(attempts[~attempts["accepted"].astype(bool)], samples, worst=False)]
    pairs = [(int(slot), int(attempt)) for frame in frames for slot, attempt in zip(frame["slot"], frame["attempt"], strict=True)]
    return sorted(set(pairs))


def _waterfall(attempts: pd.DataFrame) -> list[dict[str, Any]]:
    left = len(attempts)
    rows: list[dict[str, Any]] = [{"id": "attempts", "label": "attempts", "kind": "start", "count": left, "left": left}]
    first = attempts["reasons"].map(lambda reasons: reasons[0] if len(reasons) else None).value_counts()
    for reason in REJECT_REASONS:
        count = int(first.get(reason, 0))
        if count:
            left -= count
            rows.append({"id": reason, "label": REASON_LABELS[reason], "kind": "lost", "count": count, "left": left})
    rows.append({"id": "accepted", "label": "accepted", "kind": "kept", "count": left, "left": left})
    return rows


def _reasons(attempts: pd.DataFrame) -> list[dict[str, Any]]:
    lists = attempts["reasons"].map(list)
    rows = []
    for reason in REJECT_REASONS:
        any_of = lists.map(lambda found, reason=reason: reason in found)
        first = lists.map(lambda found, reason=reason: bool(found) and found[0] == reason)
        only = lists.map(lambda found, reason=reason: found == [reason])
        if any_of.any():
            rows.append({"id": reason, "label": REASON_LABELS[reason], "first": int(first.sum()), "any": int(any_of.sum()), "only": int(only.sum())})
    return rows


def _coverage(attempts: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    rows, columns = list(dict.fromkeys(cells["identity_id"])), list(dict.fromkeys(cells["expression"]))
    asked = cells.pivot_table(index="identity_id", columns="expression", values="requested", aggfunc="sum", fill_value=0)
    accepted = attempts["accepted"].astype(bool)
    filled = attempts[accepted].groupby(["identity_id", "expression"])["slot"].nunique()
    tried = attempts.groupby(["identity_id", "expression"]).size()
    shown_rows, shown_columns = rows[:MAX_ROWS], columns[:MAX_COLUMNS]

    def grid(series: Any) -> list[list[int]]:
        return [[int(series.get((row, column), 0)) for column in shown_columns] for row in shown_rows]

    by_expression = []
    for column in columns:
        of_word = attempts[attempts["expression"] == column]
        count = int(of_word["accepted"].astype(bool).sum())
        interval = wilson(count, len(of_word)) if len(of_word) else None
        by_expression.append({"expression": column, "accepted": count, "attempts": len(of_word), "ci": asdict(interval) if interval else None})
    return {
        "rows": shown_rows,
        "columns": shown_columns,
        "hidden_rows": len(rows) - len(shown_rows),
        "hidden_columns": len(columns) - len(shown_columns),
        "requested": [[int(asked.loc[row, column]) if row in asked.index and column in asked.columns else 0 for column in shown_columns] for row in shown_rows],
        "accepted": grid(filled),
        "attempts": grid(tried),
        "by_expression": by_expression,
    }


def _expression(accepted: pd.DataFrame, classes: Mapping[str, str | None], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    names = [f"obs_prob_{name}" for name in AFFECTNET8]
    empty = {"classes": [], "columns": list(AFFECTNET8), "matrix": []}
    if not len(accepted) or any(name not in accepted.columns for name in names):
        metrics.append(metric("expression_agreement", "Most probable class is the asked one", None, unit="share", n=0, stage="accepted", role="estimator"))
        return empty
    asked = accepted["expression"].map(lambda word: classes.get(word))
    known = asked.notna() & accepted[names].notna().all(axis=1)
    seen = accepted.loc[known, names].to_numpy().argmax(axis=1)
    wanted = np.array([AFFECTNET8.index(name) for name in asked[known]], dtype=np.int64)
    matrix = np.zeros((len(AFFECTNET8), len(AFFECTNET8)), dtype=np.int64)
    np.add.at(matrix, (wanted, seen), 1)
    right, count = int(np.trace(matrix)), int(matrix.sum())
    interval = wilson(right, count) if count else None
    share = right / count if count else None
    text = "Most probable class is the asked one"
    metrics.append(metric("expression_agreement", text, share, unit="share", n=count, stage="accepted", role="estimator", ci=interval))
    rows = [k for k in range(len(AFFECTNET8)) if matrix[k].sum()]
    return {"classes": [AFFECTNET8[k] for k in rows], "columns": list(AFFECTNET8), "matrix": matrix[rows].tolist()}


def _histogram(frame: pd.DataFrame, name: str, unit: str, limit: float | None) -> dict[str, Any] | None:
    values = frame[name].dropna().to_numpy(dtype=np.float64) if name in frame.columns else np.zeros(0)
    if not len(values):
        return None
    top = max(float(values.max()), limit or 0.0) * 1.02 + 1e-6
    counts, edges = np.histogram(values, bins=24, range=(0.0, top))
    return {"edges": [round(float(edge), 5) for edge in edges], "counts": counts.tolist(), "unit": unit, "limit": limit, "median": float(np.median(values))}


def _scatter(attempts: pd.DataFrame) -> list[list[float]]:
    if "sim_gate_ref" not in attempts.columns or "sim_audit_ref" not in attempts.columns:
        return []
    frame = attempts[["sim_gate_ref", "sim_audit_ref", "accepted"]].dropna()
    if len(frame) > MAX_POINTS:
        frame = frame.iloc[np.linspace(0, len(frame) - 1, MAX_POINTS).astype(int)]
    return [[round(float(gate), 3), round(float(audit), 3), int(accepted)] for gate, audit, accepted in frame.itertuples(index=False)]


def _correlation(attempts: pd.DataFrame, metrics: list[dict[str, Any]]) -> float | None:
    value, count = None, 0
    if "sim_gate_ref" in attempts.columns and "sim_audit_ref" in attempts.columns:
        frame = attempts[["sim_gate_ref", "sim_audit_ref"]].dropna().astype(np.float64)
        count = len(frame)
        if count >= 3 and frame.std().min() > 1e-9:
            value = float(np.corrcoef(frame.to_numpy().T)[0, 1])
    metrics.append(metric("gate_audit_correlation", "Correlation of gate and auditor", value, unit="correlation", n=count, stage="unfiltered", role="auditor"))
    return value


def _threshold_row(check: Check, inputs: ReportInputs) -> dict[str, Any]:
    source = check.source
    if check.name == "identity" and inputs.calibration:
        c = inputs.calibration
        source = f"false-match rate {c.achieved_fmr:.2g} (asked {c.target_fmr:g}) on {c.num_comparisons:,} comparisons of {c.num_identities} people: {c.source}"
    return {"check": check.name, "limit": check.limit(), "unit": check.unit, "rejects": check.name in inputs.rejecting, "source": source}


def _limit(checks: Sequence[Check], name: str, field: str) -> float | None:
    for check in checks:
        if check.name == name:
            return float(getattr(check, field))
    return None


def _extreme(frame: pd.DataFrame, count: int, *, worst: bool) -> pd.DataFrame:
    if "sim_audit_ref" not in frame.columns:
        return frame.head(count)
    return frame.dropna(subset=["sim_audit_ref"]).sort_values(["sim_audit_ref", "slot", "attempt"], ascending=worst, kind="stable").head(count)


def _samples(frame: pd.DataFrame, inputs: ReportInputs, *, worst: bool) -> list[dict[str, Any]]:
    samples = []
    for row in _records(_extreme(frame, 12, worst=worst)):
        pair = (int(row["slot"]), int(row["attempt"]))
        if pair in inputs.tiles:
            values = {name: _plain(row.get(name)) for name in ("sim_gate_ref", "sim_audit_ref", "expression_error", "pose_error")}
            reasons = [REASON_LABELS.get(reason, reason) for reason in row["reasons"]]
            samples.append({"key": _key(*pair), "identity_id": row["identity_id"], "expression": row["expression"], "reasons": reasons, **values})
    return samples


def _contact_sheet(accepted: pd.DataFrame, inputs: ReportInputs) -> dict[str, Any]:
    keys: dict[tuple[str, str], str] = {}
    for row in _records(accepted.sort_values(["slot", "attempt"])):
        pair = (int(row["slot"]), int(row["attempt"]))
        if pair in inputs.tiles:
            keys.setdefault((row["identity_id"], row["expression"]), _key(*pair))
    people, words = {identity for identity, _ in keys}, {word for _, word in keys}
    rows = [identity for identity in dict.fromkeys(inputs.cells["identity_id"]) if identity in people]  # the plan's order, as in the coverage
    columns = [word for word in dict.fromkeys(inputs.cells["expression"]) if word in words]
    return {"rows": rows, "columns": columns, "keys": [[keys.get((row, column)) for column in columns] for row in rows]}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _key(slot: int, attempt: int) -> str:
    return f"{slot:012d}.{attempt}"


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(float(value)) else round(float(value), 4)
