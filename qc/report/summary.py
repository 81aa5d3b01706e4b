"""Every number of the report, computed from the tables and pictures of a run; qc_report.json is this dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qc.report.contract import contract_section, verdict
from qc.report.inputs import ReportInputs
from qc.report.sections.balance import balance_section
from qc.report.sections.coverage import coverage_section
from qc.report.sections.distribution import distribution_section
from qc.report.sections.duplicates import duplicates_section
from qc.report.sections.expression import expression_section
from qc.report.sections.identity import identity_section
from qc.report.sections.images import iso_section, one_face, pose_section
from qc.report.sections.leakage import NO_GALLERY, leakage_section
from qc.report.sections.limits import calibration, thresholds
from qc.report.sections.outcome import counts, reasons, waterfall
from qc.report.sections.samples import contact_sheet_section, samples_section, wanted_tiles
from qc.report.sections.scores import Scored
from qc.report.sections.shortcuts import shortcuts_section
from qc.statistics import plain

SCHEMA_VERSION = "2.0"
NEVER_MEASURED = (
    "What people see: no person has rated these pictures.",
    "Usefulness for training: no model was trained on these pictures.",
    "Skin tone, apparent age and gender: nothing here estimates them.",
)
INTENDED = (
    "Training and testing of face recognition and expression recognition where pictures of real people cannot be used.",
    "Study of how labels, poses and expressions affect such models.",
)
PROHIBITED = (
    "Passing the pictures off as photographs of real people.",
    "Deciding about people, or recognising emotions of people who did not agree.",
)
KNOWN = (
    "Labels say what was asked for and what networks measured, not what people see.",
    "The bundled networks were trained on rendered faces; on photographs their figures are less certain.",
    "Gate and auditor were trained on rendered people of one source, so their agreement is an upper bound of trust.",
    "Filtering by a gate lifts the gate's own scores most; read the auditor's figures.",
)


def build_summary(inputs: ReportInputs) -> dict[str, Any]:
    """The report as plain JSON values, without tiles; what could not be measured is null and listed, never 0."""
    metrics: list[dict[str, Any]] = []
    scored = None
    if inputs.embedded is not None and inputs.people is not None and len(inputs.embedded.row):
        scored = Scored(inputs=inputs, embedded=inputs.embedded, people=inputs.people)
    counted = counts(inputs, metrics)
    one_face(inputs, metrics)
    sections: dict[str, Any] = {
        "waterfall": waterfall(inputs),
        "reasons": reasons(inputs),
        "coverage": coverage_section(inputs, metrics),
        "balance": balance_section(inputs, metrics),
        "identity": identity_section(inputs, scored, metrics),
        "leakage": leakage_section(inputs, scored, metrics),
        "duplicates": duplicates_section(inputs, metrics),
        "expression": expression_section(inputs, metrics),
        "pose": pose_section(inputs, metrics),
        "iso": iso_section(inputs),
        "distribution": distribution_section(inputs, scored, metrics),
        "shortcuts": shortcuts_section(inputs),
        "samples": samples_section(inputs),
        "contact_sheet": contact_sheet_section(inputs),
    }
    contract = contract_section(metrics)
    whole = verdict(contract)
    attempts = counted["attempts"]
    summary = {
        "schema_version": SCHEMA_VERSION,
        "title": inputs.title,
        "created": inputs.created,
        "run": {
            "command": inputs.command,
            "config_sha256": inputs.config_sha256,
            "manifest_sha256": inputs.manifest_sha256,
            "bundle_id": inputs.bundle_id,
            "version": inputs.version,
            "seed": inputs.seed,
            "seconds": inputs.seconds,
            "attempts_per_accepted": attempts / counted["accepted"] if counted["accepted"] else None,
            "num_embedded": 0 if inputs.embedded is None else len(inputs.embedded.row),
        },
        "counts": counted,
        "verdict": whole["sentence"],
        "status": whole["status"],
        "contract": contract,
        **sections,
        "metrics": metrics,
        "thresholds": thresholds(inputs, scored),
        "calibration": calibration(inputs),
        "models": [{"name": w.name, "role": w.role, "sha256": w.sha256, "licence": w.licence, "source": w.source} for w in inputs.models],
        "licences": [{"component": w.name, "licence": w.licence, "source": w.source} for w in inputs.models],
        "versions": dict(sorted(inputs.versions.items())),
        "provenance": _provenance(inputs),
        "not_measured": _not_measured(inputs, sections, metrics),
        "limits": {"intended": list(INTENDED), "prohibited": list(PROHIBITED), "known": _known(inputs, counted, sections)},
        "tiles": {},
    }
    return plain(summary)  # type: ignore[no-any-return]


def with_tiles(summary: Mapping[str, Any], tiles: Mapping[str, str]) -> dict[str, Any]:
    """The summary with the pictures of `wanted_tiles`, as data URIs by key."""
    return {**summary, "tiles": dict(sorted(tiles.items()))}


def _not_measured(inputs: ReportInputs, sections: Mapping[str, Any], metrics: list[dict[str, Any]]) -> list[str]:
    missing = [f"{m['label']} ({m['stage']})." for m in metrics if m["value"] is None]
    if inputs.gallery is None:
        missing.append(NO_GALLERY)
    if (distances := sections["distribution"]) is not None and distances["reference"] is None:
        missing.append("Distance to a reference: no reference pictures were given.")
    missing += [f"Shortcut of {row['target']} by {row['features']}: {row['reason']}." for row in sections["shortcuts"] or () if row["accuracy"] is None]
    if sections["shortcuts"] is None:
        missing.append("Shortcuts: no pictures were looked at.")
    return list(dict.fromkeys([*NEVER_MEASURED, *missing]))


def _known(inputs: ReportInputs, counted: Mapping[str, Any], sections: Mapping[str, Any]) -> list[str]:
    known = list(KNOWN)
    if inputs.embedded is not None and len(inputs.embedded.row) < counted["attempts"]:
        known.append(f"Figures that need pixels are of a spread of {len(inputs.embedded.row):,} of {counted['attempts']:,} attempts.")
    if sections["leakage"] is not None:
        known.append("Leakage compares single pictures with centres of people, which lowers their cosines a little; the references are compared beside.")
    if inputs.chosen is not None:
        known.append(
            f"The auditor took the {inputs.chosen[0]:,} sampled people from {inputs.chosen[1]:,} candidates, by a few pictures that are not in this data set: "
            "those that it could not tell from an earlier or a training person were left out. It decided on no picture, but its figures of different people, "
            "false matches, uniqueness and leakage, are of people that it tells apart."
        )
    if inputs.uncommitted:
        known.append(f"{inputs.uncommitted:,} slots are of shards that are not finished; they are not in this report.")
    return known


def _provenance(inputs: ReportInputs) -> dict[str, Any]:
    marking = list(inputs.marking)
    text = f"Every picture carries {', '.join(marking)}." if marking else "The pictures carry no mark; their file names and labels say that they are synthetic."
    return {"marking": marking, "digital_source_type": "trainedAlgorithmicMedia", "sentence": text}


__all__ = ["SCHEMA_VERSION", "build_summary", "wanted_tiles", "with_tiles"]
