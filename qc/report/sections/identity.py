"""Is it the asked person: the gate's scores, the auditor's beside them, before and after filtering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from manifests.verdicts import REJECT_REASONS
from qc.report.inputs import SEED, ReportInputs, spread
from qc.report.metrics import STAGES, interval_json, mean_metric, metric
from qc.report.sections.people import by_expression_section, consistency_section, uniqueness_section
from qc.report.sections.scores import Scored
from qc.statistics import ScoreSet, gate_audit, plain, proportion, verification
from qc.statistics.verification import Verification

BINS = 48
MANY = 50_000  # comparisons, from which replicates are costly
MAX_POINTS = 600
MAX_PAIRED = 10_000  # attempts whose two cosines are correlated


def identity_section(inputs: ReportInputs, scored: Scored | None, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """All of it; parts that can't be measured are null."""
    threshold = inputs.calibration.threshold if inputs.calibration else None
    for stage, rows in zip(STAGES, (np.ones(len(inputs.attempts), bool), inputs.accepted), strict=True):
        for role, column in (("gate", "sim_gate_ref"), ("auditor", "sim_audit_ref")):
            values = inputs.measured(column)
            kept = None if values is None else values[rows]
            label = f"Cosine to the asked person, {role}"
            metrics.append(mean_metric(f"sim_{role}", label, kept, inputs.identity[rows], "cosine", stage, direction="higher", role=role))
    section: dict[str, Any] = {
        "gate": _side(scored, "gate", "accepted", threshold, metrics),
        "auditor": _side(scored, "auditor", "accepted", None, metrics),
        "auditor_unfiltered": _side(scored, "auditor", "unfiltered", None, metrics),
    }
    if section["auditor_unfiltered"] is not None:
        del section["auditor_unfiltered"]["det"]
    _nearer(scored, metrics)
    section |= _gate_beside_auditor(inputs, threshold, metrics)
    section["by_expression"] = by_expression_section(inputs)
    section["consistency"], section["consistency_all"] = consistency_section(inputs, scored, metrics)
    section["uniqueness"] = uniqueness_section(inputs, scored, metrics)
    return section


def _side(scored: Scored | None, role: str, stage: Any, threshold: float | None, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Verification figures by one recogniser at one stage."""
    places = None if scored is None else scored.accepted if stage == "accepted" else scored.unfiltered
    scores = None if scored is None or places is None else scored.scores(role, places)
    found = None if scores is None else verification(scores, seed=SEED, replicates=300 if len(scores.nonmated) < MANY else 200)
    label = f"Equal error rate, {role}"
    if scores is None or found is None:
        metrics.append(metric(f"{role}_eer", label, None, unit="share", n=0, stage=stage, direction="lower", role=role))
        return None
    eer = metric(
        f"{role}_eer",
        label,
        found.eer,
        unit="share",
        n=found.num_mated,
        n_clusters=found.num_identities,
        ci=found.eer_ci,
        stage=stage,
        direction="lower",
        role=role,
        source=f"{found.num_mated:,} mated and {found.num_nonmated:,} non-mated comparisons with references of the run's people",
    )
    metrics.append(eer)
    return {
        "histogram": score_histogram(scores),
        "threshold": threshold,
        "det": _det(found),
        "table": _table(found),
        "eer": eer,
        "d_prime": plain(found.d_prime),
        "num_mated": found.num_mated,
        "num_nonmated": found.num_nonmated,
        "num_identities": found.num_identities,
    }


def score_histogram(scores: ScoreSet) -> dict[str, Any]:
    """Shares of mated and non-mated scores over common bins."""
    both = np.concatenate([scores.mated, scores.nonmated])
    low, high = math.floor(both.min() * 20) / 20, math.ceil(both.max() * 20 + 1e-9) / 20
    edges = np.linspace(low, max(high, low + 0.1), BINS + 1)
    shares = [np.histogram(kind, edges)[0] / len(kind) for kind in (scores.mated, scores.nonmated)]
    counts = {"num_mated": len(scores.mated), "num_nonmated": len(scores.nonmated), "num_identities": scores.num_identities}
    return {"edges": edges.round(4).tolist(), "mated": shares[0].round(5).tolist(), "nonmated": shares[1].round(5).tolist(), **counts}


def _det(found: Verification) -> dict[str, Any]:
    det = found.det
    rows = {"fmr": det.fmr, "fnmr": det.fnmr, "lo": det.low, "hi": det.high, "threshold": det.threshold}
    kept = (det.fmr > 0) | (det.fnmr > 0)
    rounded = {name: plain(np.round(values[kept], 6)) for name, values in rows.items()}
    return {**rounded, "estimable": det.estimable[kept].tolist(), "method": det.method, "level": det.level}


def _table(found: Verification) -> list[dict[str, Any]]:
    rows = []
    for point in found.points:
        row = {"target_fmr": point.target_fmr, "threshold": point.threshold, "fmr": point.fmr, "fnmr": point.fnmr}
        rows.append({**plain(row), "ci": interval_json(point.fnmr_ci), "estimable": point.estimable, "num_nonmated": point.num_nonmated})
    return rows


def _nearer(scored: Scored | None, metrics: list[dict[str, Any]]) -> None:
    """Whether the asked person is the nearest of all of the run's people, by the auditor."""
    for stage in STAGES:
        label = "Nearest of the run's people is the asked one, auditor"
        places = np.zeros(0, np.int64) if scored is None else scored.accepted if stage == "accepted" else scored.unfiltered
        if scored is None or not len(places) or len(scored.people.auditor) < 2:
            metrics.append(metric("rank_one", label, None, unit="share", n=0, stage=stage, direction="higher", role="auditor"))
            continue
        nearest = np.concatenate([(scored.embedded.auditor[places[k : k + 512]] @ scored.people.auditor.T).argmax(axis=1) for k in range(0, len(places), 512)])
        found = proportion(nearest == scored.person[places], scored.person[places], seed=SEED)
        metrics.append(
            metric(
                "rank_one",
                label,
                found.share,
                unit="share",
                n=found.trials,
                n_clusters=found.num_identities,
                ci=found.ci,
                stage=stage,
                direction="higher",
                role="auditor",
                source=f"among {len(scored.people.auditor):,} people",
            )
        )


def _gate_beside_auditor(inputs: ReportInputs, threshold: float | None, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    gate, audit = inputs.measured("sim_gate_ref"), inputs.measured("sim_audit_ref")
    label = "Correlation of gate and auditor"
    rows = np.flatnonzero(np.isfinite(gate) & np.isfinite(audit)) if gate is not None and audit is not None else np.zeros(0, np.int64)
    if gate is None or audit is None or len(rows) < 3:
        rho = {stage: metric("rho", label, None, unit="correlation", n=0, stage=stage, role="auditor") for stage in STAGES}
        metrics.extend(rho.values())
        return {"scatter": [], "rho": rho, "gain": {"gate_sd": None, "audit_sd": None}, "sensitivity": [], "n_paired": 0}
    chosen = rows[spread(len(rows), MAX_PAIRED)]
    others = (inputs.reasons[chosen] & ~_bit("identity")) == 0
    found = gate_audit(
        gate[chosen], audit[chosen], inputs.identity[chosen], inputs.accepted[chosen], threshold=threshold, other_checks=others, seed=SEED, replicates=300
    )
    rho = {}
    for stage, correlation in zip(STAGES, (found.unfiltered, found.accepted), strict=True):
        rho[stage] = metric(
            "rho",
            label,
            correlation.pearson,
            unit="correlation",
            n=correlation.n,
            n_clusters=correlation.num_identities,
            ci=correlation.pearson_ci,
            stage=stage,
            role="auditor",
            source="Pearson's, a spread of the attempts",
        )
    metrics.extend(rho.values())
    gains = {
        name: metric(
            f"gain_{name}",
            f"Gain by filtering, {name}",
            gain.gain_sd,
            unit="standard deviations",
            n=found.unfiltered.n,
            ci=gain.gain_ci,
            n_clusters=found.unfiltered.num_identities,
            stage="accepted",
            direction="higher",
            role=role,
        )
        for name, gain, role in (("gate", found.gate, "gate"), ("audit", found.audit, "auditor"))
    }
    metrics.extend(gains.values())
    shown = chosen[spread(len(chosen), MAX_POINTS)]
    return {
        "scatter": [[round(float(gate[k]), 3), round(float(audit[k]), 3), int(inputs.accepted[k])] for k in shown],
        "rho": rho,
        "gain": {
            "gate_sd": plain(found.gate.gain_sd),
            "audit_sd": plain(found.audit.gain_sd),
            "expected_audit_sd": plain(found.expected_audit_gain_sd),
            "gate_ci": interval_json(found.gate.gain_ci),
            "audit_ci": interval_json(found.audit.gain_ci),
        },
        "sensitivity": [plain({"threshold": p.threshold, "acceptance": p.acceptance, "audit_mean": p.audit_mean, "n": p.n}) for p in found.sweep],
        "at_threshold": [plain({"threshold": p.threshold, "acceptance": p.acceptance, "audit_mean": p.audit_mean, "n": p.n}) for p in found.at],
        "n_paired": len(chosen),
    }


def _bit(reason: str) -> int:
    return 1 << REJECT_REASONS.index(reason)
