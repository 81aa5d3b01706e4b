"""Pose against the request, and every quality component that was measured, native and as a scalar."""

from __future__ import annotations

from typing import Any

import numpy as np

from qc.checks import Check
from qc.dataset.coverage import pose_bins
from qc.iso.mapping import MAPPINGS
from qc.report.inputs import ReportInputs, spread
from qc.report.metrics import STAGES, histogram, mean_metric, share_metric
from qc.report.sections.limits import limit_of
from qc.statistics import proportion

MAX_POINTS = 600
TAIL = 0.005  # of a native value's range is cut off at each end, so that one outlier doesn't flatten a histogram
UNITS = {
    "luminance_mean": "linear light, 0 to 1",
    "luminance_variance": "linear light squared",
    "under_exposure": "share of the face",
    "over_exposure": "share of the face",
    "dynamic_range": "bits",
    "sharpness": "variance of the Laplacian",
    "natural_colour": "CIELAB units",
    "colour_cast": "CIELAB units",
    "single_face": "area ratio",
    "inter_eye_distance": "px",
    "eyes_open": "eye-to-chin distances",
    "mouth_closed": "eye-to-chin distances",
    "blockiness": "ratio",
    "seam": "grey levels a px",
    "head_yaw": "degrees",
    "head_pitch": "degrees",
    "head_roll": "degrees",
}
NATIVE = {"head_yaw": "obs_yaw", "head_pitch": "obs_pitch", "head_roll": "obs_roll"}
# Component -> the check that judges it and the field that holds the limit of the native value.
LIMITS = {
    "under_exposure": ("exposure", "max_under"),
    "over_exposure": ("exposure", "max_over"),
    "dynamic_range": ("exposure", "min_range_bits"),
    "sharpness": ("sharpness", "min_variance"),
    "single_face": ("single_face", "min_second_area"),
    "illumination_uniformity": ("illumination", "min_overlap"),
    "background_uniformity": ("background", "max_gradient"),
    "natural_colour": ("colour", "max_unnatural"),
    "colour_cast": ("colour", "max_cast"),
    "blockiness": ("compression", "max_blockiness"),
    "seam": ("seam", "max_excess"),
    "inter_eye_distance": ("crop", "min_inter_eye_px"),
    "leftward_crop": ("crop", "min_side"),
    "rightward_crop": ("crop", "min_side"),
    "margin_above": ("crop", "min_above"),
    "margin_below": ("crop", "min_below"),
}
REQUESTS = ("eyes_open", "mouth_closed", "head_yaw", "head_pitch", "head_roll")  # compared with the request, never a defect by themselves


def pose_section(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Asked-for and observed yaw and pitch of the accepted pictures; null where poses were not measured."""
    error = inputs.measured("pose_error")
    for stage, of in zip(STAGES, (np.ones(len(inputs.attempts), bool), inputs.accepted), strict=True):
        kept = None if error is None else error[of]
        metrics.append(
            mean_metric("pose_error", "Angle to the asked head pose", kept, inputs.identity[of], "degrees", stage, direction="lower", role="estimator")
        )
    rows = np.flatnonzero(inputs.accepted)
    if error is None or not len(rows):
        return None
    limit = limit_of(inputs.checks, "pose", "max_angle_deg")
    found = histogram(error[rows], low=0.0, high=max(float(np.nanmax(error[rows], initial=0.0)), limit or 0.0) * 1.02)
    yaw, pitch = inputs.measured("obs_yaw"), inputs.measured("obs_pitch")
    points, bins = [], []
    if inputs.labels is not None and yaw is not None and pitch is not None:
        table = np.stack([inputs.labels["req_yaw"].to_numpy(np.float64), inputs.labels["req_pitch"].to_numpy(np.float64), yaw[rows], pitch[rows]], axis=1)
        known = np.flatnonzero(np.isfinite(table).all(axis=1))
        points = table[known[spread(len(known), MAX_POINTS)]].round(2).tolist()
        named = pose_bins(table[:, 0])
        for name in sorted(set(named.tolist()), key=_low_edge):
            of = named == name
            errors = error[rows][of]
            found_bin = mean_metric("", "", errors, inputs.identity[rows][of], "degrees", "accepted")
            if found_bin["n"]:
                bins.append({"bin": name, "n": found_bin["n"], "error": found_bin["value"], "ci": found_bin["ci"]})
    return {"points": points, "error": None if found is None else {**found, "unit": "degrees", "limit": limit}, "bins": bins, "n": len(rows)}


def one_face(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> None:
    """Accepted pictures with exactly one face that counts."""
    faces, second = inputs.measured("face_count"), inputs.measured("second_face_area")
    found = None
    if faces is not None and inputs.accepted.any():
        limit = limit_of(inputs.checks, "single_face", "min_second_area") or 0.0
        rows = inputs.accepted & np.isfinite(faces)
        single = (faces[rows] == 1) | ((faces[rows] > 1) & (second is not None) & (np.nan_to_num(second[rows] if second is not None else faces[rows]) < limit))
        found = proportion(single, inputs.identity[rows], seed=0) if rows.any() else None
    metrics.append(
        share_metric("one_face", "Exactly one face", found, stage="accepted", direction="higher", source="a second face counts from a tenth of the first")
    )


def iso_section(inputs: ReportInputs) -> list[dict[str, Any]]:
    """Every component with a native value (n_) or a scalar (q_), by name, of the accepted pictures."""
    names = {str(column)[2:] for column in inputs.attempts.columns if str(column)[:2] in ("n_", "q_")}
    sections = []
    for name in sorted(names):
        native, scalar = inputs.measured(NATIVE.get(name, f"n_{name}")), inputs.measured(f"q_{name}")
        kept = [None if values is None else values[inputs.accepted] for values in (native, scalar)]
        check, field = LIMITS.get(name, ("", ""))
        limit = limit_of(inputs.checks, check, field) if check else None
        row = {
            "component": name,
            "native": None if kept[0] is None else histogram(kept[0], 20, *_middle(kept[0])),
            "scalar": None if kept[1] is None else histogram(kept[1], 20, 0.0, 100.0),
            "unit": UNITS.get(
                name, "inter-eye or eye-to-chin distances" if "crop" in name or "margin" in name or "size" in name else "as ISO/IEC 29794-5:2025"
            ),
            "limit": limit,
            "role": _role(name, check, limit, inputs),
            "source": "measure of ISO/IEC 29794-5:2025" if name in MAPPINGS else _source(inputs.checks, check),
        }
        if row["native"] is not None or row["scalar"] is not None:
            sections.append(row)
    return sections


def _role(name: str, check: str, limit: float | None, inputs: ReportInputs) -> str:
    if name in REQUESTS:
        return "request"
    return "defect" if limit is not None and check in inputs.rejecting else "report"


def _source(checks: tuple[Check, ...] | Any, name: str) -> str:
    return next((check.source for check in checks if check.name == name), "our own measure")


def _middle(values: np.ndarray) -> tuple[float | None, float | None]:
    known = values[np.isfinite(values)]
    return tuple(np.quantile(known, [TAIL, 1 - TAIL]).tolist()) if len(known) else (None, None)  # type: ignore[return-value]


def _low_edge(name: str) -> float:
    return float(name.split(" to ")[0]) if " to " in name else 1e9
