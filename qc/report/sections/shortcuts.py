"""Can identity or expression be told without the face: from the background, the size of the file, the bits of the seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from qc.dataset.shortcuts import BACKGROUND, parity_features, probe
from qc.report.inputs import SEED, ReportInputs, spread
from qc.report.metrics import interval_json
from qc.statistics import plain

MAX_PICTURES = 600
PERMUTATIONS = 100
SEED_GROUPS = 10


def shortcuts_section(inputs: ReportInputs) -> list[dict[str, Any]] | None:
    """One row a target and kind of features, of the accepted pictures that were looked at; null without any."""
    embedded = inputs.embedded
    if embedded is None:
        return None
    places = np.flatnonzero(inputs.accepted[embedded.row])
    places = places[spread(len(places), MAX_PICTURES)]
    if not len(places):
        return None
    rows = embedded.row[places]
    slots = inputs.slots.iloc[inputs.slot_row[rows]]
    scenes = slots["scene_id"].astype(str).to_numpy()
    seeds = inputs.attempts["seed"].to_numpy()[rows].astype(np.uint64)
    # Seeds have nothing to do with scenes: any groups serve for folds and permutations.
    features = {
        BACKGROUND: (embedded.background[places], scenes, True),
        "bytes of the file": (np.log(np.maximum(embedded.file_bytes[places], 1)).reshape(-1, 1), scenes, True),
        "lowest 8 bits of the seed": (parity_features(seeds), np.arange(len(places)) % SEED_GROUPS, False),
    }
    targets = {"identity": inputs.identity[rows], "expression": slots["expression"].astype(str).to_numpy()}
    found = []
    for target, labels in targets.items():
        for name, (values, groups, within) in features.items():
            row = probe(values, labels, groups, target=target, name=name, seed=SEED, permutations=PERMUTATIONS, within_scene=within)
            found.append(
                {
                    "target": target,
                    "features": name,
                    "accuracy": plain(row.accuracy),
                    "chance": plain(row.chance),
                    "ci": interval_json(row.ci),
                    "p_value": plain(row.p_value),
                    "n": row.n,
                    "num_classes": row.num_classes,
                    "status": {"chance": "pass", "shortcut": "warn"}.get(row.status, "not_measured"),
                    "reason": row.reason,
                }
            )
    return found
