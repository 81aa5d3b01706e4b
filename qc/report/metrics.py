"""The figures of the report in one form, the lines that decide pass or fail, and the list of what was not measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from qc.statistics import RULE_OF, Interval, ScoreSet, bootstrap_eer, bootstrap_mean, bootstrap_tar, equal_error_rate, tar_at_fmr

TAR_RATES = (1e-1, 1e-2, 1e-3)
BOOTSTRAP_SEED = 20240501
MAX_COMPARISONS = 40_000  # beyond this the bootstrap takes a spread of the non-mated scores


@dataclass(frozen=True, kw_only=True)
class ContractLine:
    """One declared line: the figure passes at `good` or better, warns until `fair`, fails beyond."""

    metric: str
    stage: str
    label: str
    good: float
    fair: float
    higher_is_better: bool
    source: str


CONTRACT = (
    ContractLine(metric="filled", stage="accepted", label="Cells filled", good=1.0, fair=0.95, higher_is_better=True, source="every asked picture"),
    ContractLine(metric="acceptance", stage="unfiltered", label="Attempts accepted", good=0.5, fair=0.2, higher_is_better=True, source="our own: cost"),
    ContractLine(metric="audit_eer", stage="accepted", label="Identity, equal error rate", good=0.05, fair=0.15, higher_is_better=False, source="our own"),
    ContractLine(
        metric="expression_agreement",
        stage="accepted",
        label="Expression as asked",
        good=0.7,
        fair=0.5,
        higher_is_better=True,
        source="our own: classifiers agree with people's labels of AffectNet-8 in about 63 % of cases",
    ),
    ContractLine(metric="pose_error", stage="accepted", label="Pose kept", good=6.0, fair=12.0, higher_is_better=False, source="our own"),
    ContractLine(metric="leakage", stage="accepted", label="Likeness to training faces", good=0.0, fair=0.0, higher_is_better=False, source="none yet"),
)

NEVER_MEASURED = (
    "Likeness of the made people to faces of the training data (leakage).",
    "Near duplicates among the accepted pictures.",
    "Balance and error rates by age, gender and skin tone.",
    "Distance to the distribution of real photographs, and usefulness for training.",
    "What people see: no person has rated these pictures.",
)


def metric(identifier: str, label: str, value: float | None, *, unit: str, n: int, stage: str, role: str | None = None, ci: Interval | None = None,
           threshold: float | None = None, source: str = "measured in this run", status: str | None = None) -> dict[str, Any]:  # fmt: skip
    """One figure; null when it could not be measured, and its status says why."""
    known = value is not None and math.isfinite(value)
    interval = asdict(ci) if ci is not None and math.isfinite(ci.low) else None
    return {
        "id": identifier,
        "label": label,
        "value": float(value) if known and value is not None else None,
        "ci": interval,
        "n": n,
        "unit": unit,
        "role": role,
        "encoder": {"gate": "gate", "auditor": "auditor", "estimator": "expression estimator"}.get(role or ""),
        "stage": stage,
        "status": status or ("measured" if known else "not measured"),
        "threshold": threshold,
        "source": source,
    }


def mean_metric(identifier: str, label: str, frame: pd.DataFrame, column: str, unit: str, stage: str, *, role: str | None) -> dict[str, Any]:
    """Mean of a measurement with an interval that draws identities."""
    if column not in frame.columns or not frame[column].notna().any():
        return metric(identifier, label, None, unit=unit, n=0, stage=stage, role=role)
    known = frame[frame[column].notna()]
    values = known[column].to_numpy(dtype=np.float64)
    interval = bootstrap_mean(values, known["identity_id"].to_numpy(), seed=BOOTSTRAP_SEED)
    return metric(identifier, label, float(values.mean()), unit=unit, n=len(values), stage=stage, role=role, ci=interval)


def identity_section(
    audit: ScoreSet | None, unfiltered: ScoreSet | None, gate: ScoreSet | None, gate_threshold: float | None, metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """Histograms by auditor and gate; appends EER and TAR by the auditor to the figures."""
    for stage, scores in (("accepted", audit), ("unfiltered", unfiltered)):
        usable = scores is not None and len(scores.mated) > 0 and len(scores.nonmated) > 0
        if scores is None or not usable:
            metrics.append(metric("audit_eer", "Equal error rate by the auditor", None, unit="share", n=0, stage=stage, role="auditor"))
            continue
        spread = _spread(scores)
        eer = equal_error_rate(scores.mated, scores.nonmated)
        interval = bootstrap_eer(spread, seed=BOOTSTRAP_SEED, replicates=200)
        metrics.append(metric("audit_eer", "Equal error rate by the auditor", eer, unit="share", n=len(scores.mated), stage=stage, role="auditor", ci=interval))
        for rate in TAR_RATES:
            name, text = f"audit_tar_{rate:g}", f"True accepts at false-match rate {rate:g}, auditor"
            if rate * len(scores.nonmated) < RULE_OF:
                metrics.append(metric(name, text, None, unit="share", n=len(scores.nonmated), stage=stage, role="auditor", status="not estimable"))
                continue
            band = bootstrap_tar(spread, rate, seed=BOOTSTRAP_SEED, replicates=200)
            value = tar_at_fmr(scores.mated, scores.nonmated, rate)
            metrics.append(metric(name, text, value, unit="share", n=len(scores.mated), stage=stage, role="auditor", ci=band))
    return {"audit": score_histogram(audit, None), "gate": score_histogram(gate, gate_threshold)}


def score_histogram(scores: ScoreSet | None, threshold: float | None) -> dict[str, Any] | None:
    """Densities of mated and non-mated scores over common bins; None without scores."""
    if scores is None or not len(scores.mated) or not len(scores.nonmated):
        return None
    both = np.concatenate([scores.mated, scores.nonmated])
    low, high = math.floor(both.min() * 20) / 20, math.ceil(both.max() * 20 + 1e-9) / 20
    edges = np.linspace(low, max(high, low + 0.1), 49)
    mated, _ = np.histogram(scores.mated, edges)
    nonmated, _ = np.histogram(scores.nonmated, edges)
    return {
        "edges": [round(float(edge), 4) for edge in edges],
        "mated": (mated / mated.sum()).round(5).tolist(),
        "nonmated": (nonmated / nonmated.sum()).round(5).tolist(),
        "num_mated": len(scores.mated),
        "num_nonmated": len(scores.nonmated),
        "num_identities": scores.num_identities,
        "threshold": threshold,
    }


def contract_lines(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The declared lines with their status: pass, warn, fail, or not measured."""
    lines = []
    for row in CONTRACT:
        found = next((m for m in metrics if m["id"] == row.metric and m["stage"] == row.stage), None)
        value = found["value"] if found else None
        sign = 1 if row.higher_is_better else -1
        if value is None:
            status = "not measured"
        elif sign * value >= sign * row.good:
            status = "pass"
        else:
            status = "warn" if sign * value >= sign * row.fair else "fail"
        entry = {"id": row.metric, "label": row.label, "value": value, "ci": found["ci"] if found else None, "unit": found["unit"] if found else ""}
        lines.append({**entry, "good": row.good, "fair": row.fair, "higher_is_better": row.higher_is_better, "status": status, "source": row.source})
    return lines


def not_measured(metrics: list[dict[str, Any]]) -> list[str]:
    """What this report says nothing about."""
    missing = [f"{m['label']} ({m['stage']}): {m['status']}." for m in metrics if m["value"] is None]
    return [*NEVER_MEASURED, *missing]


def _spread(scores: ScoreSet) -> ScoreSet:
    if len(scores.nonmated) <= MAX_COMPARISONS:
        return scores
    chosen = np.linspace(0, len(scores.nonmated) - 1, MAX_COMPARISONS).astype(np.int64)
    return ScoreSet(
        mated=scores.mated,
        mated_identity=scores.mated_identity,
        nonmated=scores.nonmated[chosen],
        nonmated_identities=scores.nonmated_identities[chosen],
        num_identities=scores.num_identities,
    )
