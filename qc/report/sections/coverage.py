"""What became of every cell and of every value of an axis, with exact accounting of the slots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from qc.dataset.coverage import AxisRow, Coverage, coverage
from qc.report.inputs import SEED, ReportInputs
from qc.report.metrics import interval_json, metric, replicates
from qc.statistics import wilson

MAX_ROWS, MAX_COLUMNS = 40, 40
MAX_VALUES = 150  # of an axis that are listed
AXES = {
    "expression": "by_expression",
    "identity_id": "by_identity",
    "scene_id": "by_scene",
    "identity_group": "by_group",
    "pose_bin": "by_pose_bin",
    "split": "by_split",
}


def coverage_section(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The heat map of identities and expressions, its margins, and the cells without a picture; null without slots."""
    if not len(inputs.slots):
        return None
    used = [axis for axis in AXES if _says_something(inputs.slots[axis])]
    attempts = inputs.attempts[["slot", "accepted"]]
    found = coverage(inputs.slots, attempts, axes=used, seed=SEED, replicates=replicates(len(inputs.identity_names)))
    cells = found.cells
    asked, filled = int((cells.requested > 0).sum()), int(((cells.requested > 0) & (cells.filled > 0)).sum())
    share, spread = (filled / asked, wilson(filled, asked)) if asked else (None, None)
    metrics.append(metric("cells", "Cells with a picture", share, unit="share", n=asked, ci=spread, stage="accepted", direction="higher"))
    heat = (slice(0, MAX_ROWS), slice(0, MAX_COLUMNS))
    section: dict[str, Any] = {
        "rows": list(cells.rows[:MAX_ROWS]),
        "columns": list(cells.columns[:MAX_COLUMNS]),
        "hidden_rows": max(0, len(cells.rows) - MAX_ROWS),
        "hidden_columns": max(0, len(cells.columns) - MAX_COLUMNS),
        "requested": cells.requested[heat].tolist(),
        "filled": cells.filled[heat].tolist(),
        "attempts": cells.attempts[heat].tolist(),
        "rate": [[None if np.isnan(rate) else round(float(rate), 4) for rate in row] for row in cells.rate[heat]],
        "flagged": cells.flagged[heat].tolist(),
        "prior": {"mean": cells.prior.mean, "strength": cells.prior.strength},
        "num_cells": asked,
        "num_flagged": int(cells.flagged.sum()),
        "num_empty": cells.num_empty,
        "empty_cells": [{"identity_id": row, "expression": column} for row, column in cells.empty],
        "accounting": found.accounting.to_json(),
    }
    return section | _margins(found)


def _margins(found: Coverage) -> dict[str, Any]:
    section: dict[str, Any] = {}
    hidden: dict[str, int] = {}
    for axis, name in AXES.items():
        rows = found.axes.get(axis, ())
        shown = _worth_showing(rows)
        section[name] = [_row(row) for row in shown]
        if len(rows) > len(shown):
            hidden[name] = len(rows) - len(shown)
    return section | {"hidden_values": hidden}


def _worth_showing(rows: tuple[AxisRow, ...]) -> list[AxisRow]:
    """All values in their order; of very many, the flagged ones and those with the lowest rates."""
    if len(rows) <= MAX_VALUES:
        return list(rows)
    return sorted(rows, key=lambda row: (not row.flagged, row.rate.share if row.attempts else 2.0, row.key))[:MAX_VALUES]


def _row(row: AxisRow) -> dict[str, Any]:
    return {
        "key": row.key,
        "requested": row.requested,
        "filled": row.filled,
        "unfilled": row.unfilled,
        "quarantined": row.quarantined,
        "attempts": row.attempts,
        "accepted": row.accepted,
        "rate": row.rate.share if row.attempts else None,
        "ci": interval_json(row.rate.ci),
        "flagged": row.flagged,
    }


def _says_something(column: pd.Series) -> bool:
    values = column.dropna()
    return bool(len(values)) and bool((values.astype(object) != "").any())
