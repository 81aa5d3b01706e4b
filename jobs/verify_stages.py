"""The done markers of the stages: what they promise is there with its hash, and they agree with each other, with config.yaml and with run.json."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jobs.bundle import bundle_id
from jobs.config import RunConfig, load_config
from jobs.files import open_read
from jobs.locations import Location
from jobs.marking.marker import marker_of
from jobs.run_hash import run_hash_of
from jobs.verify_files import promise_problems
from jobs.verify_json import JsonDamage, parse_object, read_object
from manifests.errors import FacemintError
from manifests.records import RunRecord

MAX_CONFIG_BYTES = 1 << 20
AGAIN = "Run the same command again."
STAGES = ("plan", "prepare", "make", "summarize")
REPORT = ("qc_report.json", "report.html", "contact_sheet.png")  # that a run has only when summarize is done


@dataclass(kw_only=True)
class RunFiles:
    """What the files beside the shards say; filled by `stage_problems`."""

    config: RunConfig | None = None
    record: RunRecord | None = None
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)  # stage -> name -> hash
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)  # stage -> file -> sha256

    @property
    def promised(self) -> set[str]:
        """Files that a stage's marker promises, and the markers."""
        return {file for outputs in self.outputs.values() for file in outputs} | {f"stages/{stage}.json" for stage in STAGES}

    @property
    def run_hash(self) -> str | None:
        """Of the run that stage make finished."""
        return self.inputs.get("make", {}).get("run")


def stage_problems(folder: Location, files: RunFiles, *, finished: bool) -> Iterator[str]:
    """What is wrong with stages/, config.yaml, run.json and the files that the stages promise. `finished`: all shards are committed."""
    for stage in STAGES:
        place = folder / "stages" / f"{stage}.json"
        if place.is_file():
            yield from _read_stage(place, stage, files)
        elif stage in ("plan", "prepare") or (stage == "make" and finished) or (stage == "summarize" and any((folder / name).is_file() for name in REPORT)):
            yield f"stages/{stage}.json is missing. {AGAIN}"
    for stage, outputs in files.outputs.items():
        yield from promise_problems(folder, outputs, f"stages/{stage}.json", _remedy(stage))
    yield from _config_problems(folder, files)
    yield from _record_problems(folder, files)
    yield from _agreement_problems(files)


def summary_problems(files: RunFiles, markers: Mapping[str, str]) -> Iterator[str]:
    """Whether the report is of these shards. `markers` are shard names with the sha256 of their markers."""
    if "summarize" in files.inputs and files.inputs["summarize"] != dict(markers):
        yield f"stages/summarize.json is of other shards than the run has. {_remedy('summarize')}"


def _read_stage(place: Location, stage: str, files: RunFiles) -> Iterator[str]:
    name = f"stages/{stage}.json"
    remedy = f"Delete {name} and run the same command again."
    try:
        value, _ = read_object(place)
    except (JsonDamage, OSError) as damage:
        yield f"{name} is no marker of a stage: {damage}. {remedy}"
        return
    if set(value) != {"inputs", "outputs"} or not all(_is_hashes(value[part]) for part in value):
        yield f"{name} is no marker of a stage: it doesn't hold the hashes of inputs and outputs. {remedy}"
        return
    outside = [file for file in value["outputs"] if file.startswith("/") or ".." in file.split("/") or "\\" in file or not file]
    if outside:
        yield f"{name} promises {outside[0][:120]!r}, which is outside of the run. {remedy}"
        return
    files.inputs[stage], files.outputs[stage] = value["inputs"], value["outputs"]


def _config_problems(folder: Location, files: RunFiles) -> Iterator[str]:
    place = folder / "config.yaml"
    if not place.is_file():
        if "config.yaml" not in files.outputs.get("plan", {}):
            yield f"config.yaml is missing. {AGAIN}"
        return
    with open_read(place) as stream:
        content = stream.read(MAX_CONFIG_BYTES + 1)
    text = content.decode("utf-8", "replace")
    if len(content) > MAX_CONFIG_BYTES or re.search(r"(^|[\s\[{,:-])[&*!]", text):  # subtle: anchors can make a small file a huge configuration
        yield f"config.yaml is not one that facemint wrote: it is too large, or has anchors or tags. Restore it, or use another --out. {AGAIN}"
        return
    try:
        config = load_config(place)
        same = config.to_yaml() == text
    except (FacemintError, RecursionError) as error:
        yield f"config.yaml can't be read: {str(error)[:300]}"
        return
    if not same:
        yield f"config.yaml is not as facemint wrote it. Restore it, or delete stages/plan.json. {AGAIN}"
    files.config = config


def _record_problems(folder: Location, files: RunFiles) -> Iterator[str]:
    place = folder / "run.json"
    if "make" not in files.outputs or not place.is_file():
        return  # a run that isn't finished has none; a missing one is said by its promise
    with open_read(place) as stream:
        content = stream.read(MAX_CONFIG_BYTES + 1)
    try:
        parse_object(content)
        record = RunRecord.from_json(content.decode("utf-8"))
        good = record.to_json().encode() == content and _is_hashes(record.weights) and _is_hashes(record.versions)
        good = good and isinstance(record.counts, dict) and all(type(number) is int for number in record.counts.values())
    except (JsonDamage, FacemintError, ValueError, RecursionError, AttributeError):
        good = False
    if good:
        files.record = record
    else:
        yield f"run.json is not one that facemint wrote. {_remedy('make')}"


def _agreement_problems(files: RunFiles) -> Iterator[str]:
    """Hashes that several files hold: of the configuration, of the weights, of the whole run."""
    config, record, inputs = files.config, files.record, files.inputs
    fingerprint = config.fingerprint() if config else None
    for holder, value in (("stages/plan.json", inputs.get("plan", {}).get("configuration")), ("run.json", record.config_hash if record else None)):
        if fingerprint and value is not None and value != fingerprint:
            yield f"{holder} is of configuration {value[:12]}..., config.yaml is {fingerprint[:12]}.... Restore config.yaml, or use another --out."
    weights = {stage: _weights(inputs[stage]) for stage in ("plan", "prepare") if stage in inputs}
    if len(weights) == 2 and weights["plan"] != weights["prepare"]:
        yield f"stages/plan.json and stages/prepare.json name different weights or versions. Delete both. {AGAIN}"
    if record and "plan" in weights:
        expected = {"facemint's version": record.versions.get("facemint", ""), **{f"weight {name}": digest for name, digest in record.weights.items()}}
        if weights["plan"] != expected:
            yield f"run.json names other weights or another version than stages/plan.json. {_remedy('make')}"


def expected_run_hash(files: RunFiles) -> str | None:
    """The run's hash from its parts; None when one of them can't be read."""
    config, record = files.config, files.record
    plan, conditions = files.inputs.get("prepare", {}).get("plan"), files.outputs.get("prepare")
    if config is None or record is None or plan is None or conditions is None:
        return None
    version = record.versions.get("facemint")
    return None if version is None else run_hash_of(config.fingerprint(), plan, conditions, record.weights, version)


def label_constants(files: RunFiles) -> dict[str, Any]:
    """Label columns that have one value in the whole run, as far as the run's files say it."""
    constants: dict[str, Any] = {}
    if files.config:
        sampler = files.config.sampler
        constants |= {"format": files.config.image.format, "sampler": sampler.kind, "steps": sampler.steps, "mode": files.config.mode}
        constants |= {"guidance": float(np.float32(sampler.guidance)), "marking": list(marker_of(files.config).names)}
    if files.record:
        constants |= {"generator_version": files.record.versions.get("facemint"), "model_bundle_id": bundle_id(files.record.weights)}
    return constants


def _remedy(stage: str) -> str:
    return 'Run "facemint report" on the folder.' if stage == "summarize" else AGAIN


def _weights(inputs: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in inputs.items() if name.startswith("weight ") or name == "facemint's version"}


def _is_hashes(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
