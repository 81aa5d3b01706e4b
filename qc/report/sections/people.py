"""Each identity for itself: what expressions cost it, whether it is one person and not one picture, and whether it is like another one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qc.dataset.consistency import Consistency, consistency, expression_drops
from qc.dataset.uniqueness import uniqueness
from qc.report.inputs import SEED, ReportInputs, spread
from qc.report.metrics import interval_json, mean_metric, metric
from qc.report.sections.scores import Scored
from qc.statistics import plain

MAX_DROPS = 30_000  # pictures whose cosines are compared by expression
MAX_IDENTITIES = 40
TOP_PAIRS = 24
MAX_UNIQUE = 4000  # identities whose pairs are all compared
UNIQUE_FMR = 1e-3  # false-match rate of the threshold at which two identities count as one
SPREADS = ("obs_valence", "obs_arousal", "obs_yaw", "obs_pitch")


def by_expression_section(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Mean cosine of the accepted pictures to their person by expression, by the auditor, and the drop against neutral."""
    audit = inputs.measured("sim_audit_ref")
    rows = np.flatnonzero(inputs.accepted & np.isfinite(audit)) if audit is not None else np.zeros(0, np.int64)
    if audit is None or not len(rows):
        return []
    rows = rows[spread(len(rows), MAX_DROPS)]
    words = inputs.of_attempts("expression")[rows] if len(rows) == len(inputs.attempts) else np.asarray(inputs.slots["expression"])[inputs.slot_row[rows]]
    found = expression_drops(audit[rows], np.asarray(words, object), inputs.identity[rows], seed=SEED, replicates=300)
    section = []
    names = np.asarray(words).astype(str)
    for drop in found:
        of = names == drop.expression
        ci = mean_metric("", "", audit[rows][of], inputs.identity[rows][of], "", "accepted")["ci"]
        row = {"expression": drop.expression, "mean": drop.mean, "n": drop.n, "drop_vs_neutral": drop.drop}
        section.append({**plain(row), "ci": ci, "drop_ci": interval_json(drop.drop_ci)})
    return section


def consistency_section(inputs: ReportInputs, scored: Scored | None, metrics: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The identities with the lowest mean cosine of their pairs, and figures of all."""
    found = None
    if scored is not None and len(scored.accepted) > 1:
        rows = scored.embedded.row[scored.accepted]
        present = [name for name in SPREADS if name in inputs.attempts.columns]
        found = consistency(
            scored.embedded.auditor[scored.accepted],
            np.asarray(scored.people.identity_ids, object)[scored.person[scored.accepted]],
            threshold=_mated_threshold(scored),
            too_easy_cosine=0.97,
            measurements=inputs.attempts[present].iloc[rows].reset_index(drop=True) if present else None,
            pixel_features=scored.embedded.pixels[scored.accepted],
            seed=SEED,
        )
    _consistency_metrics(found, metrics)
    if found is None or scored is None:
        return [], None
    keys = [inputs.key(int(row)) for row in scored.embedded.row[scored.accepted]]
    rows_json = []
    for identity in found.identities[:MAX_IDENTITIES]:
        row = {
            "identity_id": identity.identity_id,
            "n": identity.n,
            "mean_mated": identity.mean_mated,
            "share_consistent": identity.share_consistent,
            "diversity": identity.pixel_diversity,
            "measurement_sd": identity.measurement_sd,
            "outliers": len(identity.outliers),
            "outlier_keys": [keys[place] for place in identity.outliers[:8]],
            "too_easy": identity.too_easy,
        }
        rows_json.append(plain(row))
    return rows_json, {
        "threshold": found.threshold,
        "n": found.n,
        "num_identities": found.num_identities,
        "num_outliers": found.num_outliers,
        "num_too_easy": found.num_too_easy,
        "rank_one": plain(found.rank_one),
    }


def _consistency_metrics(found: Consistency | None, metrics: list[dict[str, Any]]) -> None:
    n, people = (found.n, found.num_identities) if found else (0, None)
    for identifier, label, value, ci, unit in (
        (
            "consistent",
            "Pictures near the centre of their person's others, auditor",
            found.share_consistent if found else None,
            found.share_consistent_ci if found else None,
            "share",
        ),
        ("mean_mated", "Mean cosine of an identity's pairs, auditor", found.mean_mated if found else None, found.mean_mated_ci if found else None, "cosine"),
    ):
        metrics.append(metric(identifier, label, value, unit=unit, n=n, n_clusters=people, ci=ci, stage="accepted", direction="higher", role="auditor"))


def uniqueness_section(inputs: ReportInputs, scored: Scored | None, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Pairs of the run's references that match, against what chance gives; the threshold is the gallery's, of people that nothing was trained on."""
    gallery = inputs.gallery
    if scored is None or len(scored.people.auditor) < 2 or gallery is None:
        metrics.append(metric("unique", "Pairs of identities that match, observed / expected", None, unit="ratio", n=0, stage="accepted", role="auditor"))
        return None
    held, real = gallery.auditor[gallery.held_out], gallery.auditor[~gallery.held_out]
    cosines = np.sort((held @ real.T).ravel())
    allowed = math.floor(UNIQUE_FMR * len(cosines))
    threshold = float(np.nextafter(cosines[len(cosines) - 1 - allowed], np.float32(2)))
    chosen = spread(len(scored.people.auditor), MAX_UNIQUE)
    found = uniqueness(scored.people.auditor[chosen], threshold=threshold, fmr=float((cosines >= threshold).mean()), top=TOP_PAIRS)
    names = [scored.people.identity_ids[k] for k in chosen]
    keys = _first_pictures(inputs, {names[place] for pair in found.pairs for place in (pair.a, pair.b)})
    label = "Pairs of identities that match, observed / expected by chance"
    metrics.append(
        metric(
            "unique",
            label,
            found.ratio,
            unit="ratio",
            n=found.num_pairs,
            n_clusters=found.num_identities,
            stage="accepted",
            direction="lower",
            role="auditor",
            threshold=threshold,
        )
    )
    return {
        "num_identities": found.num_identities,
        "num_pairs": found.num_pairs,
        "threshold": threshold,
        "target_fmr": UNIQUE_FMR,
        "observed": found.observed,
        "expected": found.expected,
        "num_unique": found.num_unique,
        "max_cosine": plain(found.max_cosine),
        "pairs": [{"a": names[p.a], "b": names[p.b], "cosine": p.cosine, "tile_a": keys.get(names[p.a]), "tile_b": keys.get(names[p.b])} for p in found.pairs],
    }


def _first_pictures(inputs: ReportInputs, wanted: set[str]) -> dict[str, str]:
    """Key of the first accepted picture of each of the wanted identities."""
    rows = np.flatnonzero(inputs.accepted)
    people, first = np.unique(inputs.identity[rows], return_index=True)
    names = inputs.identity_names
    return {names[person]: inputs.key(int(rows[place])) for person, place in zip(people.tolist(), first.tolist(), strict=True) if names[person] in wanted}


def _mated_threshold(scored: Scored) -> float:
    """Cosine of the auditor at a false-match rate of 0.01 on this run's own non-mated comparisons."""
    scores = scored.scores("auditor", scored.accepted)
    return 0.3 if scores is None else float(np.quantile(scores.nonmated, 0.99))
