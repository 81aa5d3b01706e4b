"""How evenly labels are filled before and after filtering, and who is kept less often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qc.dataset.balance import entropy_ratio, jensen_shannon_bits, max_to_geomean
from qc.report.inputs import SEED, ReportInputs
from qc.report.metrics import interval_json, metric, replicates
from qc.statistics import proportions

MAX_CLASSES = 60
LABELS = {"expression": "expression", "identity_group": "group", "pose_bin": "pose bin", "split": "split"}


def balance_section(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Entropy of each label over the asked-for slots and over the accepted pictures; retention by stratum; null without attempts.

    Before filtering are all attempts, because these are what the model gave; what was asked for is level by plan.
    """
    if not len(inputs.attempts):
        return None
    strata = {title: _codes(inputs, column) for column, title in LABELS.items()}
    affect = _affectnet(inputs)
    if affect is not None:
        strata["AffectNet class"] = affect
    known = {title: found for title, found in strata.items() if found is not None and len(found[1]) > 1}
    labels = [_label(title, codes, names, inputs.accepted) for title, (codes, names) in known.items()]
    retention: list[dict[str, Any]] = []
    sizes: list[dict[str, Any]] = []
    of_expression: float | None = None
    for title, (codes, names) in known.items():
        rows, size, differential = _retention(inputs, codes, names)
        retention += [{"label": title, **row} for row in rows]
        sizes.append({"label": title, "effective_sample_size": size, "max_to_geomean": differential})
        if title == "expression":
            of_expression = size
    kept = int(inputs.accepted.sum())
    metrics.append(
        metric(
            "effective_share",
            "Effective sample size of the accepted, weighted back to the expressions' shares of attempts",
            of_expression / kept if of_expression and kept else None,
            unit="share",
            n=kept,
            stage="accepted",
            direction="higher",
        )
    )
    return {
        "labels": [row for row in labels if row["name"] != "group"],
        "groups": [row for row in labels if row["name"] == "group"],
        "retention": retention,
        "effective_sample_size": of_expression,
        "sizes": sizes,
    }


def _codes(inputs: ReportInputs, column: str) -> tuple[NDArray[np.int64], list[str]] | None:
    codes, names = pd.factorize(inputs.slots[column])
    if not len(names) or (codes < 0).all():
        return None
    return codes.astype(np.int64)[inputs.slot_row], [str(name) for name in names]


def _affectnet(inputs: ReportInputs) -> tuple[NDArray[np.int64], list[str]] | None:
    codes, words = pd.factorize(inputs.slots["expression"])
    classes = [inputs.classes.get(str(word)) for word in words]
    names = list(dict.fromkeys(name for name in classes if name))
    if not names or len(names) == len(words):
        return None  # words are the classes
    place = np.array([names.index(name) if name else -1 for name in classes], np.int64)
    return np.where(codes >= 0, place[codes], -1)[inputs.slot_row], names


def _label(name: str, codes: NDArray[np.int64], names: list[str], accepted: NDArray[np.bool_]) -> dict[str, Any]:
    known = codes >= 0
    before = np.bincount(codes[known], minlength=len(names))
    after = np.bincount(codes[known & accepted], minlength=len(names))
    order = np.argsort(-before, kind="stable")[:MAX_CLASSES] if len(names) > MAX_CLASSES else np.arange(len(names))
    return {
        "name": name,
        "classes": [names[k] for k in order],
        "hidden_classes": len(names) - len(order),
        "counts_before": before[order].tolist(),
        "counts_after": after[order].tolist(),
        "entropy_ratio": _finite(entropy_ratio(after)),
        "entropy_ratio_before": _finite(entropy_ratio(before)),
        "min_max_ratio": float(after.min() / after.max()) if after.max() else None,
        "drift_bits": _finite(jensen_shannon_bits(before, after)),
    }


def _retention(inputs: ReportInputs, codes: NDArray[np.int64], names: list[str]) -> tuple[list[dict[str, Any]], float | None, float | None]:
    """Kept shares of each stratum, the effective sample size (Kish 1965), and max / geometric mean of the rejected shares."""
    known = codes >= 0
    found = proportions(inputs.accepted[known], codes[known], len(names), inputs.identity[known], seed=SEED, replicates=replicates(len(inputs.identity_names)))
    tried, kept = np.array([share.trials for share in found]), np.array([share.successes for share in found])
    size = None
    if (kept[tried > 0] > 0).all() and kept.sum():
        weight = (tried / tried.sum())[kept > 0] / (kept / kept.sum())[kept > 0]
        size = float((kept[kept > 0] * weight).sum() ** 2 / (kept[kept > 0] * weight**2).sum())
    order = np.argsort([share.share if share.trials else 2.0 for share in found], kind="stable")[:MAX_CLASSES]
    rows = [
        {"stratum": names[k], "kept": found[k].successes, "tried": found[k].trials, "rate": _finite(found[k].share), "ci": interval_json(found[k].ci)}
        for k in order.tolist()
    ]
    return rows, size, _finite(max_to_geomean(1 - np.array([share.share for share in found])))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
