"""Is it the asked expression: confusion of classes, valence and arousal, words, and labels in doubt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manifests.vocabulary import AFFECTNET8
from qc.dataset.expression_agreement import ExpressionAgreement, expression_agreement, scale_agreement
from qc.dataset.label_faults import coherence, label_faults
from qc.report.inputs import SEED, ReportInputs
from qc.report.metrics import STAGES, histogram, mean_metric, metric, replicates, share_metric
from qc.report.sections.limits import limit_of
from qc.statistics import plain

MAX_SUSPECTS = 16
PROBABILITIES = [f"obs_prob_{name}" for name in AFFECTNET8]
ERROR_UNIT = "RMS of 35 units"


def expression_section(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """All of it, of the accepted pictures; the errors also before filtering."""
    for stage, of in zip(STAGES, (np.ones(len(inputs.attempts), bool), inputs.accepted), strict=True):
        for identifier, label, column, unit in (
            ("expression_error", "Expression error", "expression_error", ERROR_UNIT),
            ("expression_error_share", "Expression error / that of a neutral face", "expression_error_share", "ratio"),
        ):
            values = inputs.measured(column)
            kept = None if values is None else values[of]
            metrics.append(mean_metric(identifier, label, kept, inputs.identity[of], unit, stage, direction="lower", role="estimator"))
    rows = np.flatnonzero(inputs.accepted)
    word_codes, words = pd.factorize(inputs.slots["expression"])
    word = word_codes[inputs.slot_row].astype(np.int64)
    classes = [inputs.classes.get(str(name)) for name in words]
    class_of = np.array([AFFECTNET8.index(name) if name else -1 for name in classes] or [-1], np.int64)
    asked = class_of[word[rows]] if len(rows) else np.zeros(0, np.int64)
    present = all(name in inputs.attempts.columns for name in PROBABILITIES)
    section: dict[str, Any] = {"classes": [], "columns": list(AFFECTNET8), "matrix": [], "reliability": [], "suspicious": [], "label_faults": None}
    found = None
    if present and len(rows):
        probabilities = inputs.attempts[PROBABILITIES].to_numpy(dtype=np.float32)[rows]
        people = inputs.identity[rows]
        found = expression_agreement(asked, probabilities, people, classes=AFFECTNET8, seed=SEED, replicates=replicates(len(inputs.identity_names)))
        section |= _faults(inputs, rows, asked, probabilities, people)
    section |= _agreement(found, metrics)
    section["error"] = _error_histogram(inputs)
    section["va"] = _affect(inputs, rows, word[rows] if len(rows) else word[:0], [str(name) for name in words], classes, metrics)
    section["words"] = _words(inputs, word, [str(name) for name in words], classes, present)
    return section


def _agreement(found: ExpressionAgreement | None, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    n = found.n if found else 0
    common: dict[str, Any] = {"stage": "accepted", "role": "estimator"}
    label = "Most probable class is the asked one"
    metrics.append(share_metric("expression_agreement", label, found.agreement if found else None, direction="higher", **common))
    metrics += [
        metric(
            "macro_f1",
            "Macro F1 of classes",
            found.macro_f1 if found else None,
            unit="share",
            n=n,
            ci=found.macro_f1_ci if found else None,
            direction="higher",
            **common,
        ),
        metric(
            "balanced_accuracy",
            "Balanced accuracy of classes",
            found.balanced_accuracy if found else None,
            unit="share",
            n=n,
            ci=found.balanced_accuracy_ci if found else None,
            direction="higher",
            **common,
        ),
        metric("ece", "Expected calibration error of the estimator", found.ece if found else None, unit="share", n=n, direction="lower", **common),
    ]
    headline = {"metrics": metrics[-4:]}
    if found is None:
        return headline
    rows = [k for k in range(len(AFFECTNET8)) if found.counts[k].sum()]
    return {
        **headline,
        "classes": [AFFECTNET8[k] for k in rows],
        "matrix": found.counts[rows].tolist(),
        "reliability": [plain({"lo": b.low, "hi": b.high, "confidence": b.confidence, "accuracy": b.accuracy, "n": b.n}) for b in found.reliability],
    }


def _faults(
    inputs: ReportInputs, rows: NDArray[np.int64], asked: NDArray[np.int64], probabilities: NDArray[np.float32], people: NDArray[np.int64]
) -> dict[str, Any]:
    found = label_faults(asked, probabilities, people, classes=AFFECTNET8, top=MAX_SUSPECTS)
    suspects = []
    for s in found.suspects:
        key = inputs.key(int(rows[s.picture]))
        suspects.append({"key": key, "asked": s.asked, "seen": s.seen, "probability": round(s.probability, 4), "tile": key})
    pairs = [{"first": p.first, "second": p.second, "exchanged": p.exchanged, "agree": p.agree} for p in found.pairs if p.flagged]
    return {
        "suspicious": suspects,
        "label_faults": {
            "n": found.n,
            "num_suspects": found.num_suspects,
            "swapped": pairs,
            "best_order": list(found.best_order),
            "order_is_right": found.order_is_right,
        },
    }


def _error_histogram(inputs: ReportInputs) -> dict[str, Any] | None:
    values = inputs.measured("expression_error")
    limit = limit_of(inputs.checks, "expression", "max_error")
    if values is None or not inputs.accepted.any():
        return None
    found = histogram(values[inputs.accepted], low=0.0, high=max(float(np.nanmax(values[inputs.accepted], initial=0.0)), limit or 0.0) * 1.02)
    return None if found is None else {**found, "unit": ERROR_UNIT, "limit": limit}


def _affect(
    inputs: ReportInputs, rows: NDArray[np.int64], word: NDArray[np.int64], words: list[str], classes: list[str | None], metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """Asked-for and observed valence and arousal by word, and their agreement."""
    labels = inputs.labels
    observed = [inputs.measured(name) for name in ("obs_valence", "obs_arousal")]
    section: dict[str, Any] = {"points": [], "coherence": [], "metrics": []}
    usable = labels is not None and len(rows) and observed[0] is not None and observed[1] is not None
    asked = [labels[name].to_numpy(dtype=np.float64) for name in ("req_valence", "req_arousal")] if usable and labels is not None else []
    seen = [values[rows] for values in observed if values is not None] if usable else []
    for axis, name in enumerate(("valence", "arousal")):
        found = None
        if usable:
            found = scale_agreement(name, asked[axis], seen[axis], inputs.identity[rows], seed=SEED, replicates=replicates(len(inputs.identity_names)))
        n = found.n if found else 0
        fields: dict[str, Any] = {"n": n, "stage": "accepted", "role": "estimator"}
        section["metrics"] += [
            metric(
                f"{name}_ccc",
                f"Concordance of {name}",
                found.ccc if found else None,
                unit="correlation",
                ci=found.ccc_ci if found else None,
                direction="higher",
                **fields,
            ),
            metric(f"{name}_pcc", f"Correlation of {name}", found.pcc if found else None, unit="correlation", direction="higher", **fields),
            metric(f"{name}_rmse", f"Error of {name}", found.rmse if found else None, unit="of -1 .. 1", direction="lower", **fields),
            metric(f"{name}_sagr", f"Same sign of {name}", found.sagr if found else None, unit="share", direction="higher", **fields),
        ]
    metrics.extend(section["metrics"])
    if usable:
        count = len(words)
        known = np.isfinite(asked[0]) & np.isfinite(asked[1]) & np.isfinite(seen[0]) & np.isfinite(seen[1])
        shown = np.bincount(word[known], minlength=count)
        means = [np.bincount(word[known], values[known], count) / np.maximum(shown, 1) for values in (*asked, *seen)]
        section["points"] = [
            {
                "word": words[k],
                "class": classes[k],
                "asked": [round(float(means[0][k]), 4), round(float(means[1][k]), 4)],
                "observed": [round(float(means[2][k]), 4), round(float(means[3][k]), 4)],
                "n": int(shown[k]),
            }
            for k in range(count)
            if shown[k]
        ]
        of = [classes[k] for k in word]
        section["coherence"] = [plain(row) for row in coherence(of, *seen) if row.n]
    return section


def _words(inputs: ReportInputs, word: NDArray[np.int64], words: list[str], classes: list[str | None], present: bool) -> list[dict[str, Any]]:
    """Each word of the recipe: how often it was accepted, and how well the accepted pictures show it."""
    count = len(words)
    kept = inputs.accepted
    tried, n = np.bincount(word, minlength=count), np.bincount(word[kept], minlength=count)
    error = _mean_by(inputs.measured("expression_error"), kept, word, count)
    agreement = np.full(count, np.nan)
    if present and kept.any():
        probabilities = inputs.attempts[PROBABILITIES].to_numpy(dtype=np.float32)[kept]
        seen = np.where(np.isfinite(probabilities).all(axis=1), probabilities.argmax(axis=1), -1)
        wanted = np.array([AFFECTNET8.index(name) if name else -2 for name in classes], np.int64)
        with np.errstate(invalid="ignore"):
            right = np.bincount(word[kept], seen == wanted[word[kept]], count) / np.bincount(word[kept], minlength=count)
        agreement = np.where(wanted >= 0, right, np.nan)
    return [
        plain(
            {
                "word": words[k],
                "class": classes[k],
                "n": int(n[k]),
                "attempts": int(tried[k]),
                "error": error[k],
                "agreement": agreement[k],
                "acceptance": n[k] / tried[k] if tried[k] else np.nan,
            }
        )
        for k in range(count)
    ]


def _mean_by(values: NDArray[np.float64] | None, kept: NDArray[np.bool_], group: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    if values is None:
        return np.full(count, np.nan)
    known = kept & np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(group[known], values[known], count) / np.bincount(group[known], minlength=count))
