"""The lines that decide about a run, declared before it: each a figure, the value that passes, and the value below which it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qc.report.metrics import Direction, Stage

COUNTS = ("pictures", "clusters")  # units that are whole numbers
NOT_MEASURED = "not_measured"


@dataclass(frozen=True, kw_only=True)
class ContractLine:
    """The figure passes at `good` or better, warns until `fair`, fails beyond."""

    metric: str
    stage: Stage
    label: str
    good: float
    fair: float
    direction: Direction
    source: str


CONTRACT = (
    ContractLine(
        metric="acceptance", stage="unfiltered", label="Attempts accepted", good=0.5, fair=0.2, direction="higher", source="our own: what a picture costs"
    ),
    ContractLine(metric="filled", stage="accepted", label="Slots filled", good=1.0, fair=0.95, direction="higher", source="every picture that was asked for"),
    ContractLine(
        metric="cells", stage="accepted", label="Cells covered", good=1.0, fair=0.98, direction="higher", source="every identity with every expression"
    ),
    ContractLine(
        metric="auditor_eer", stage="accepted", label="Identity by the auditor", good=0.05, fair=0.15, direction="lower", source="our own: equal error rate"
    ),
    ContractLine(
        metric="rank_one", stage="accepted", label="Nearer to the asked person than to others", good=0.9, fair=0.7, direction="higher", source="our own"
    ),
    ContractLine(
        metric="expression_agreement",
        stage="accepted",
        label="Expression as asked",
        good=0.7,
        fair=0.5,
        direction="higher",
        source="our own: classifiers agree with people's labels of AffectNet-8 in about 63 % of cases",
    ),
    ContractLine(
        metric="pose_error", stage="accepted", label="Pose kept", good=6.0, fair=12.0, direction="lower", source="our own: 5 degrees and the estimator's error"
    ),
    ContractLine(
        metric="one_face", stage="accepted", label="Exactly one face", good=1.0, fair=0.999, direction="higher", source="ISO/IEC 29794-5:2025, single face"
    ),
    ContractLine(metric="duplicates", stage="accepted", label="No picture twice", good=0, fair=0, direction="lower", source="a picture counts once"),
    ContractLine(
        metric="across_splits",
        stage="accepted",
        label="No copy across splits",
        good=0,
        fair=0,
        direction="lower",
        source="what is tested must not be trained on",
    ),
    ContractLine(
        metric="leakage",
        stage="accepted",
        label="Likeness to training people",
        good=1.5,
        fair=3.0,
        direction="lower",
        source="our own: 1 is what people give that nothing was trained on",
    ),
    ContractLine(
        metric="rho",
        stage="unfiltered",
        label="Gate and auditor agree",
        good=0.3,
        fair=0.1,
        direction="higher",
        source="our own: below, the gate selects what only it sees",
    ),
)


def contract_section(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines in their order; the figures of `metrics` that they are about get their status and threshold."""
    lines = []
    for line in CONTRACT:
        found = next((metric for metric in metrics if metric["id"] == line.metric and metric["stage"] == line.stage), None)
        value, unit = (found["value"], found["unit"]) if found else (None, "")
        status = _status(line, value)
        if found is not None:
            found["status"], found["threshold"] = status, line.good if found["threshold"] is None else found["threshold"]
        lines.append(
            {
                "id": line.metric,
                "metric": line.metric,
                "stage": line.stage,
                "label": line.label,
                "status": status,
                "value": value,
                "ci": found["ci"] if found else None,
                "n": found["n"] if found else 0,
                "unit": unit,
                "direction": line.direction,
                "limit": line.good,
                "fair": line.fair,
                "source": line.source,
                "sentence": _sentence(line, found, status),
            }
        )
    return lines


def told_apart(value: float, limit: float, text: Callable[[float, int], str]) -> tuple[str, str]:
    """Value and limit with as many further digits, at most six, as a reader needs to see on which side of the limit the value is."""
    texts = [(text(value, digits), text(limit, digits)) for digits in range(7)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


def verdict(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """One status and one plain sentence for all lines: the worst of them."""
    of = {status: [line["label"] for line in lines if line["status"] == status] for status in ("pass", "warn", "fail", NOT_MEASURED)}
    status = next((name for name in ("fail", "warn", "pass") if of[name]), NOT_MEASURED)
    parts = [f"{len(of['pass'])} of {len(lines)} lines pass"]
    parts += [
        f"{len(of[name])} {word}: {', '.join(of[name]).lower()}"
        for name, word in (("fail", "fail"), ("warn", "warn"), (NOT_MEASURED, "not measured"))
        if of[name]
    ]
    return {"status": status, "sentence": "; ".join(parts) + "."}


def _status(line: ContractLine, value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    sign = 1 if line.direction == "higher" else -1
    if sign * value >= sign * line.good:
        return "pass"
    return "warn" if sign * value >= sign * line.fair else "fail"


def _sentence(line: ContractLine, found: dict[str, Any] | None, status: str) -> str:
    if found is None or found["value"] is None:
        why = found["source"] if found and found["source"] else "nothing to measure it on"
        return f"{line.label}: not measured ({why})."
    bound = "at least" if line.direction == "higher" else "at most"
    value, limit = told_apart(found["value"], line.good, lambda number, digits: _text(number, found["unit"], digits))
    word = {"pass": "passes", "warn": "warns", "fail": "fails"}[status]
    return (
        f"{found['label']}: {value} of {found['n']:,}, expected {bound} {limit}; {word}."
        if found["unit"] in COUNTS
        else (f"{found['label']}: {value} (n = {found['n']:,}), expected {bound} {limit}; {word}.")
    )


def _text(value: float, unit: str, digits: int) -> str:
    if unit == "share":
        return f"{100 * value:.{digits + 1}f} %"
    if unit in COUNTS:
        return f"{value:.0f}"
    return f"{value:.{digits + 3}g}" if unit in ("ratio", "correlation") else f"{value:.{digits + 3}g} {unit}"
