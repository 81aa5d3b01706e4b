"""What became of the slots and attempts: counts, the rejection waterfall, and which reasons come alone or together."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.verdicts import REJECT_REASONS
from qc.report.inputs import SEED, ReportInputs, reason_names
from qc.report.metrics import metric, share_metric
from qc.statistics import proportion, wilson

COMBINATIONS = 12
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
    "integrity": "holes or wrong size",
    "crop": "face cut off",
    "colour": "colour cast",
    "compression": "blocks",
    "seam": "visible seam",
    "eyes": "eyes not as asked",
    "mouth": "mouth not as asked",
    "illumination": "uneven light",
    "background": "busy background",
    "affect": "other valence or arousal",
    "identity_rank": "nearer to somebody else",
}


def reason_label(reason: str) -> str:
    """A reason in words."""
    return REASON_LABELS.get(reason, reason.replace("_", " "))


def counts(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Slots and attempts; every slot is filled, unfilled or quarantined."""
    status = inputs.slots["status"].astype(str).to_numpy()
    requested, tried, kept = len(status), len(inputs.attempts), int(inputs.accepted.sum())
    filled = int((status == "filled").sum())
    share = proportion(inputs.accepted, inputs.identity, seed=SEED) if tried else None
    metrics.append(share_metric("acceptance", "Attempts accepted", share, stage="unfiltered", direction="higher"))
    spread = wilson(filled, requested) if requested else None
    metrics.append(
        metric("filled", "Slots filled", filled / requested if requested else None, unit="share", n=requested, ci=spread, stage="accepted", direction="higher")
    )
    return {
        "requested": requested,
        "attempts": tried,
        "accepted": kept,
        "rejected": tried - kept,
        "unfilled": int((status == "unfilled").sum()),
        "quarantined": int((status == "quarantined").sum()),
        "uncommitted": inputs.uncommitted,
    }


def waterfall(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Attempts less those that each reason took first, in the order of precedence."""
    left = len(inputs.attempts)
    rows: list[dict[str, Any]] = [{"id": "attempts", "label": "attempts", "kind": "start", "count": left, "left": left}]
    for reason, count in zip(REJECT_REASONS, _first(inputs.reasons), strict=True):
        if count:
            left -= int(count)
            rows.append({"id": reason, "label": reason_label(reason), "kind": "lost", "count": int(count), "left": left})
    rows.append({"id": "accepted", "label": "accepted", "kind": "kept", "count": left, "left": left})
    return rows


def reasons(inputs: ReportInputs) -> dict[str, Any]:
    """How often each reason was the first, one of several, the only one; and the commonest sets of reasons."""
    bits = inputs.reasons
    first, rows = _first(bits), []
    for place, reason in enumerate(REJECT_REASONS):
        count = int((bits >> place & 1).sum())
        if count:
            only = int((bits == 1 << place).sum())
            rows.append({"id": reason, "label": reason_label(reason), "first": int(first[place]), "any": count, "only": only})
    sets, size = np.unique(bits[bits > 0], return_counts=True)
    order = np.lexsort((sets, -size))[:COMBINATIONS]
    return {"rows": rows, "combinations": [{"reasons": reason_names(int(sets[k])), "count": int(size[k])} for k in order]}


def _first(bits: np.ndarray) -> np.ndarray:
    """Attempts by their first reason."""
    lowest = bits & -bits
    return np.array([int((lowest == 1 << place).sum()) for place in range(len(REJECT_REASONS))])
