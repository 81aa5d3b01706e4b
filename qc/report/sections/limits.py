"""The limits of the checks: the threshold sheet with what the gate's threshold achieves on this run's people, and single limits for the charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from qc.checks import Check
from qc.report.inputs import SEED, ReportInputs
from qc.report.metrics import interval_json
from qc.report.sections.scores import Scored
from qc.statistics import plain, rates_at


def limit_of(checks: Sequence[Check], name: str, field: str) -> float | None:
    """A limit as a number; None where the check has none."""
    for check in checks:
        if check.name == name:
            value = getattr(check, field, None)
            return None if value is None else float(value)
    return None


def thresholds(inputs: ReportInputs, scored: Scored | None) -> list[dict[str, Any]]:
    """One row a check."""
    return [_row(check, inputs, scored) for check in inputs.checks]


def calibration(inputs: ReportInputs) -> dict[str, Any] | None:
    """Where the gate's threshold comes from."""
    return None if inputs.calibration is None else plain(asdict(inputs.calibration))  # type: ignore[no-any-return]


def _row(check: Check, inputs: ReportInputs, scored: Scored | None) -> dict[str, Any]:
    source, achieved = check.source, None
    if check.name == "identity" and inputs.calibration is not None:
        c = inputs.calibration
        source = f"false-match rate {c.achieved_fmr:.2g} (asked {c.target_fmr:g}) on {c.num_comparisons:,} comparisons of {c.num_identities} people: {c.source}"
        achieved = _achieved(c.threshold, scored)
    return {"check": check.name, "limit": check.limit(), "unit": check.unit, "rejects": check.name in inputs.rejecting, "source": source, "achieved": achieved}


def _achieved(threshold: float, scored: Scored | None) -> dict[str, Any] | None:
    """Rates of the gate at its threshold before filtering, on this run's own people; they were not what it was calibrated on."""
    scores = None if scored is None else scored.scores("gate", scored.unfiltered)
    found = None if scores is None else rates_at(scores, threshold, seed=SEED)
    if found is None:
        return None
    return {
        "fmr": plain(found.fmr),
        "lo": plain(found.fmr_ci.low),
        "hi": plain(found.fmr_ci.high),
        "method": found.fmr_ci.method,
        "n": found.num_nonmated,
        "fnmr": plain(found.fnmr),
        "fnmr_ci": interval_json(found.fnmr_ci),
        "num_mated": found.num_mated,
        "estimable": found.estimable,
    }
