"""facemint compare: two run folders or reports; reads what the comparison needs and writes its page and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.files import open_read, write_json, write_whole
from jobs.locations import Location
from jobs.pictures import read_labels
from jobs.shards import read_markers
from manifests.errors import InputError
from manifests.vocabulary import AFFECTNET8
from qc.compare import Comparison, Samples, compare, render_comparison
from qc.compare.comparison import Figure

LABELS = ["sample_id", "identity_id", "expression_affectnet8", "obs_expression_probs", "sim_audit_ref", "expression_error"]
@dataclass(frozen=True, kw_only=True)
class Measured:
    """A figure that both runs' tables have, picture by picture."""

    label: str
    unit: str
    direction: str
    role: str | None
    ids: tuple[str, ...]  # of a report's contract lines that say the same


MEASURED = {
    "acceptance": Measured(label="Attempts accepted", unit="share", direction="higher", role=None, ids=("acceptance",)),
    "filled": Measured(label="Slots filled", unit="share", direction="higher", role=None, ids=("filled",)),
    "sim_audit": Measured(label="Cosine to the asked person, auditor", unit="cosine", direction="higher", role="auditor", ids=("sim_audit",)),
    "expression_agreement": Measured(label="Expression as asked", unit="share", direction="higher", role="estimator", ids=("expression_agreement",)),
    "expression_error": Measured(label="Expression error", unit="RMS of 35 units", direction="lower", role="estimator", ids=("expression_error",)),
    "pose_error": Measured(label="Pose error", unit="deg", direction="lower", role="estimator", ids=("pose_error",)),
}


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One of the two: a report and, of a run folder, its samples by figure."""

    name: str
    report: dict[str, Any]
    samples: Mapping[str, Samples]
    manifest: str


def compare_runs(a: Location, b: Location, margins: Mapping[str, float]) -> Comparison:
    """Compares run folders, or qc_report.json files of schema 2; where both are run folders, picture by picture."""
    first, second = _side(a), _side(b)
    common = [name for name in first.samples if name in second.samples]
    known = {str(line.get("metric") or line.get("id")) for side in (first, second) for line in side.report.get("contract") or []}
    figures = tuple(
        Figure(id=_id(name, known), label=its.label, unit=its.unit, direction=its.direction, role=its.role, a=first.samples[name], b=second.samples[name])
        for name, its in MEASURED.items()
        if name in common
    )
    same = first.manifest and first.manifest == second.manifest
    paired = ""
    if common:
        paired = (
            "Both runs fill the same slots, so that what a slot asks for cancels; identities are drawn, the same for both."
            if same
            else "The runs fill different slots; identities that both have are drawn together, others on their own."
        )
    return compare(first.report, second.report, names=(first.name, second.name), figures=figures, margins=margins, paired=paired)


def write_comparison(found: Comparison, out: Location) -> list[Location]:
    """Writes compare.json and compare.html."""
    write_json(out / "compare.json", found.to_json())
    write_whole(out / "compare.html", render_comparison(found))
    return [out / "compare.json", out / "compare.html"]


def _id(name: str, known: set[str]) -> str:
    return next((each for each in MEASURED[name].ids if each in known), name)


def _side(place: Location) -> _Side:
    if place.is_file():
        return _Side(name=str(place), report=_report(place), samples={}, manifest="")
    path = place / "qc_report.json"
    if not path.is_file():
        raise InputError(f'compare: {place} has no qc_report.json. Run "facemint report {place}" first, or name a qc_report.json.')
    report = _report(path)
    samples = run_samples(place) if (place / "data").is_dir() and read_markers(place) else {}
    return _Side(name=str(place), report=report, samples=samples, manifest=str((report.get("run") or {}).get("manifest_sha256") or ""))


def _report(path: Location) -> dict[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"compare: {path} can't be read as JSON ({error}). Name a run folder or its qc_report.json.") from error
    if not isinstance(report, dict):
        raise InputError(f"compare: {path} is no report. Name a run folder or its qc_report.json.")
    return report


def run_samples(folder: Location) -> dict[str, Samples]:
    """Figures of a run picture by picture; one that no picture has is left out."""
    attempts = _attempts(folder)
    slots = pd.concat([_table(folder / "slots" / f"{name}.parquet", ["slot", "identity_id", "status"]) for name in read_markers(folder)], ignore_index=True)
    labels = read_labels(folder, "data", LABELS)
    frames: dict[str, tuple[NDArray[np.float64], pd.Series[Any]]] = {
        "acceptance": (attempts["accepted"].to_numpy(np.float64), attempts["identity_id"]),
        "filled": (np.asarray(slots["status"] == "filled", np.float64), slots["identity_id"]),
        "sim_audit": (labels["sim_audit_ref"].to_numpy(np.float64), labels["identity_id"]),
        "expression_agreement": (_agreement(labels), labels["identity_id"]),
        "expression_error": (labels["expression_error"].to_numpy(np.float64), labels["identity_id"]),
        "pose_error": (attempts["pose_error"].where(attempts["accepted"]).to_numpy(np.float64), attempts["identity_id"]),
    }
    samples = {}
    for name, (values, identities) in frames.items():
        known = np.isfinite(values)
        if known.any():
            samples[name] = Samples(values=values[known], identities=identities.to_numpy(str)[known])
    return samples


def _agreement(labels: pd.DataFrame) -> NDArray[np.float64]:
    """1 where the most probable class is the asked one, nan where no class was asked or no face seen."""
    probabilities, asked = labels["obs_expression_probs"], labels["expression_affectnet8"].to_numpy(np.float64)
    values = np.full(len(labels), np.nan)
    known = (probabilities.notna() & labels["expression_affectnet8"].notna()).to_numpy()
    if known.any():
        seen = np.stack(probabilities[known].to_list()).reshape(-1, len(AFFECTNET8)).argmax(axis=1)
        values[known] = seen == asked[known]
    return values


def _attempts(folder: Location) -> pd.DataFrame:
    """identity_id, accepted and pose_error of all attempts."""
    parts = []
    for name in read_markers(folder):
        table = _table(folder / "attempts" / f"{name}.parquet", ["identity_id", "accepted", "measurements"])
        errors = [next((item["value"] for item in items if item["name"] == "pose_error"), np.nan) for items in table["measurements"]]
        parts.append(table[["identity_id", "accepted"]].assign(pose_error=np.array(errors, np.float64)))
    return pd.concat(parts, ignore_index=True)


def _table(path: Location, columns: list[str]) -> pd.DataFrame:
    with open_read(path) as stream:
        return pq.read_table(stream, columns=columns).to_pandas()
