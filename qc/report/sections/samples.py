"""Which pictures the report shows: random ones, the worst accepted and best rejected by the auditor, those nearest to a limit, one per cell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qc.report.inputs import SEED, ReportInputs, reason_names
from qc.report.sections.limits import limit_of
from qc.report.sections.outcome import reason_label

MAX_TILES = 400
NUM_SAMPLES, NUM_BORDERLINE = 12, 6
MAX_SHEET = 12
VALUES = ("sim_gate_ref", "sim_audit_ref", "expression_error", "pose_error")
# Check -> measurement and the field with its limit; the accepted pictures nearest to the limit are the borderline ones.
BORDERS = {
    "identity": ("sim_gate_ref", "min_cosine"),
    "expression": ("expression_error", "max_error"),
    "pose": ("pose_error", "max_angle_deg"),
    "sharpness": ("n_sharpness", "min_variance"),
    "alignment": ("landmark_offset", "max_offset"),
}


def samples_section(inputs: ReportInputs) -> dict[str, Any]:
    """Lists of samples; each picture's key is that of its tile."""
    kept, lost = np.flatnonzero(inputs.accepted), np.flatnonzero(~inputs.accepted)
    random = np.sort(np.random.default_rng(SEED).permutation(kept)[:NUM_SAMPLES])
    audit = inputs.measured("sim_audit_ref")
    borderline = {}
    for name, (column, field) in BORDERS.items():
        values, limit = inputs.measured(column), limit_of(inputs.checks, name, field)
        if values is not None and limit is not None and name in inputs.rejecting:
            away = np.abs(values[kept] - limit)
            order = kept[np.argsort(np.where(np.isfinite(away), away, np.inf), kind="stable")[:NUM_BORDERLINE]]
            borderline[name] = _samples(inputs, order[np.isfinite(values[order])])
    return {
        "random": _samples(inputs, random),
        "worst_accepted": _samples(inputs, _extreme(audit, kept, 1.0)),
        "best_rejected": _samples(inputs, _extreme(audit, lost, -1.0)),
        "borderline": borderline,
    }


def contact_sheet_section(inputs: ReportInputs) -> dict[str, Any]:
    """The first accepted picture of each identity and expression, in the order of the slots' axes."""
    people, words = inputs.identity_names[:MAX_SHEET], [str(word) for word in pd.unique(inputs.slots["expression"])[:MAX_SHEET]]
    word_codes, _ = pd.factorize(inputs.slots["expression"])
    shown = inputs.accepted & (inputs.identity < len(people)) & (word_codes[inputs.slot_row] < len(words))
    rows = np.flatnonzero(shown)
    cell = inputs.identity[rows] * len(words) + word_codes[inputs.slot_row[rows]]
    cells, first = np.unique(cell, return_index=True)
    keys: list[list[str | None]] = [[None] * len(words) for _ in people]
    for place, row in zip(cells.tolist(), rows[first].tolist(), strict=True):
        keys[place // len(words)][place % len(words)] = inputs.key(row)
    filled = [k for k, row in enumerate(keys) if any(row)]
    columns = [k for k in range(len(words)) if any(keys[row][k] for row in filled)]
    return {"rows": [people[k] for k in filled], "columns": [words[k] for k in columns], "keys": [[keys[row][k] for k in columns] for row in filled]}


def wanted_tiles(summary: dict[str, Any]) -> list[str]:
    """Keys of the pictures that a summary names, the most telling first, each once, at most MAX_TILES."""
    return list(dict.fromkeys(key for key in _named(summary) if key))[:MAX_TILES]


def _named(summary: dict[str, Any]) -> Iterator[str | None]:
    samples = summary["samples"]
    for name in ("worst_accepted", "best_rejected", "random"):
        yield from (sample["key"] for sample in samples[name])
    for section, lists in (("leakage", ("hash_matches", "pairs")), ("duplicates", ("pairs",)), ("expression", ("suspicious",))):
        for name in lists:
            for row in (summary[section] or {}).get(name, ()):
                yield from (row.get(field) for field in ("tile", "tile_a", "tile_b"))
    for row in summary["contact_sheet"]["keys"]:
        yield from row
    for rows in samples["borderline"].values():
        yield from (sample["key"] for sample in rows)
    for row in (summary["identity"]["uniqueness"] or {}).get("pairs", ()):
        yield from (row["tile_a"], row["tile_b"])
    for row in summary["identity"]["consistency"]:
        yield from row["outlier_keys"][:2]


def _extreme(audit: NDArray[np.float64] | None, rows: NDArray[np.int64], sign: float) -> NDArray[np.int64]:
    if audit is None:
        return rows[:NUM_SAMPLES]
    known = rows[np.isfinite(audit[rows])]
    return known[np.argsort(sign * audit[known], kind="stable")[:NUM_SAMPLES]]


def _samples(inputs: ReportInputs, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    measured = {name: inputs.measured(name) for name in VALUES}
    found = []
    for row in rows.tolist():
        slot = inputs.slots.iloc[int(inputs.slot_row[row])]
        values = {name: _plain(None if column is None else float(column[row])) for name, column in measured.items()}
        reasons = [reason_label(reason) for reason in reason_names(int(inputs.reasons[row]))]
        found.append({"key": inputs.key(row), "identity_id": str(slot["identity_id"]), "expression": str(slot["expression"]), "reasons": reasons, **values})
    return found


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 4)
