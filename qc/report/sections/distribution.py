"""How far the accepted pictures lie from reference portraits on the auditor's features, and how diverse they are; never called FID."""

from __future__ import annotations

from typing import Any

import numpy as np

from qc.dataset.distribution import distribution, vendi_score
from qc.report.inputs import SEED, ReportInputs
from qc.report.metrics import Direction, metric
from qc.report.sections.scores import Scored
from qc.statistics import plain

FEATURE = "auditor_v1"
ROWS_PER_WIDTH = 2  # rows of each side that a Frechet distance needs for each number of a feature, or its bias is all one sees
FIGURES: tuple[tuple[str, str, str, Direction], ...] = (
    ("fd", "Frechet distance", "squared length", "lower"),
    ("mmd", "Squared maximum mean discrepancy, unbiased", "squared length", "lower"),
    ("precision", "Precision", "share", "higher"),
    ("recall", "Recall", "share", "higher"),
    ("density", "Density", "ratio", "higher"),
    ("coverage", "Coverage", "share", "higher"),
    ("vendi", "Vendi score", "effective pictures", "higher"),
)


def distribution_section(inputs: ReportInputs, scored: Scored | None, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Figures of at most as many rows as the smaller side has; null without accepted pictures that were embedded."""
    made = None if scored is None else scored.embedded.auditor[scored.accepted]
    reference = None if inputs.reference is None else inputs.reference.auditor
    if made is None or not len(made):
        for identifier, label, unit, direction in FIGURES:
            metrics.append(metric(f"{FEATURE}_{identifier}", label, None, unit=unit, n=0, stage="accepted", direction=direction))
        return None
    values: dict[str, float | None] = dict.fromkeys(name for name, *_ in FIGURES)
    values["vendi"] = vendi_score(made)
    section: dict[str, Any] = {
        "n": len(made),
        "feature": FEATURE,
        "width": made.shape[1],
        "n_reference": 0,
        "reference": None,
        "sample_size_curve": [],
        "metrics": [],
    }
    source = f"features {FEATURE}, {len(made):,} pictures"
    if inputs.reference is not None and reference is not None and reference.shape[1] == made.shape[1] and len(reference) > 1 and len(made) > 1:
        found = distribution(made, reference, features=FEATURE, seed=SEED, permutations=100)
        enough = min(len(made), len(reference)) >= ROWS_PER_WIDTH * made.shape[1]
        prdc = found.prdc
        values |= {"mmd": found.mmd, "precision": prdc.precision, "recall": prdc.recall, "density": prdc.density, "coverage": prdc.coverage}
        values["fd"] = found.fd if enough else None
        section |= {
            "n_reference": len(reference),
            "reference": inputs.reference.source,
            "fd_estimable": enough,
            "fd_same": plain(found.fd_same) if enough else None,
            "mmd_p_value": plain(found.mmd_p_value),
            "vendi_reference": plain(found.vendi_reference),
            "vendi_rows": min(len(made), len(reference)),
            "sample_size_curve": [{"n": p.n, "fd": plain(p.distance)} for p in found.curve] if enough else [],
            "sentence": _sentence(len(made), len(reference), made.shape[1], enough),
        }
        source += f" against {len(reference):,} of {inputs.reference.source}, seed {SEED}"
    for identifier, label, unit, direction in FIGURES:
        value = values[identifier]
        own = source if identifier != "vendi" else f"features {FEATURE}, {len(made):,} pictures"
        figure = metric(
            f"{FEATURE}_{identifier}",
            f"{label}, {FEATURE}",
            None if value is None else float(np.float64(value)),
            unit=unit,
            n=len(made),
            stage="accepted",
            direction=direction,
            source=own,
        )
        section["metrics"].append(figure)
        metrics.append(figure)
    return section


def _sentence(n: int, reference: int, width: int, enough: bool) -> str:
    least = ROWS_PER_WIDTH * width
    if enough:
        return "The Frechet distance depends on the number of pictures; compare it only at equal numbers."
    return f"{min(n, reference):,} pictures a side are too few for a Frechet distance of {width} features; it needs {least:,}. The other figures are rough too."
