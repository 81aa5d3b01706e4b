"""What a comparison needs of a qc_report.json of schema 2: its contract figures, its models, its limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from manifests.errors import InputError

MAJOR = "2."
MEASURED_BY = {"gate": ("gate", "detector"), "auditor": ("auditor", "detector"), "estimator": ("estimator", "detector")}  # role of a figure -> roles of models


def check_schema(report: Mapping[str, Any], name: str) -> None:
    """Raises InputError for another schema than 2.x."""
    version = report.get("schema_version")
    if not str(version).startswith(MAJOR):
        raise InputError(f'compare: {name} has schema_version {version}, expected {MAJOR}x. Run "facemint report" on its run folder.')


def metric_objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every metric object of a report, wherever it is; lines of the contract, which name one, are none."""
    if isinstance(value, Mapping):
        if {"id", "value", "unit", "stage", "role"} <= value.keys() and "metric" not in value:
            yield dict(value)
        for item in value.values():
            yield from metric_objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from metric_objects(item)


def contract_metrics(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Metric id -> the metric object of each contract line, under the line's label; the line itself where the report has no such object."""
    known: dict[str, list[dict[str, Any]]] = {}
    for found in metric_objects(report):
        known.setdefault(str(found["id"]), []).append(found)
    metrics = {}
    for line in report.get("contract") or []:
        name = str(line.get("metric") or line.get("id"))
        equal = [found for found in known.get(name, []) if found["value"] == line.get("value")]
        found = next(iter(equal or known.get(name, [])), {"unit": "", "n": 0, "role": None, "stage": None, "direction": None})
        said = {key: line[key] for key in ("label", "ci", "direction", "n", "unit", "status") if line.get(key) is not None}
        metrics[name] = {**found, "label": name, **said, "id": name, "value": line.get("value")}
    return metrics


def models_by_role(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Role -> name -> sha256. A gate of the user's own is known from the calibration."""
    roles: dict[str, dict[str, str]] = {}
    for model in report.get("models") or []:
        roles.setdefault(str(model["role"]), {})[str(model["name"])] = str(model["sha256"])
    calibrated = (report.get("calibration") or {}).get("model_sha256")
    if calibrated and calibrated not in roles.get("gate", {}).values():
        roles["gate"] = {"gate of the run": str(calibrated)}
    return roles


def changed_models(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, str]]:
    """Models that differ: role, name, a, b (sha256, or "none")."""
    before, after = models_by_role(a), models_by_role(b)
    rows = []
    for role in sorted({*before, *after}):
        old, new = before.get(role, {}), after.get(role, {})
        if role in ("gate", "auditor", "detector", "estimator") and len(old) == len(new) == 1:
            (old_name, old_hash), (new_name, new_hash) = *old.items(), *new.items()
            pairs = [(old_name if old_name == new_name else f"{old_name} / {new_name}", old_hash, new_hash)]
        else:
            pairs = [(name, old.get(name, "none"), new.get(name, "none")) for name in sorted({*old, *new})]
        rows += [{"role": role, "name": name, "a": was, "b": now} for name, was, now in pairs if was != now]
    return rows


def changed_limits(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, str]]:
    """Checks whose limit, or right to reject, differs: check, a, b."""
    before, after = ({row["check"]: _limit(row) for row in report.get("thresholds") or []} for report in (a, b))
    names = [*before, *(name for name in after if name not in before)]
    return [
        {"check": name, "a": before.get(name, "none"), "b": after.get(name, "none")} for name in names if before.get(name, "none") != after.get(name, "none")
    ]


def why_not_comparable(role: str | None, changed: list[dict[str, str]]) -> str:
    """Names the changed model that measured a figure with both hashes; empty when the figure can be compared."""
    for model in changed:
        if model["role"] in MEASURED_BY.get(role or "", ()):
            return f"{model['role']} changed: {model['name']} was {model['a'][:12]}, now {model['b'][:12]}"
    return ""


def _limit(row: Mapping[str, Any]) -> str:
    return f"{row.get('limit')}{'' if row.get('rejects', True) else ' (measures only)'}"
