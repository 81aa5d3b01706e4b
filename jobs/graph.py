"""The job graph plan -> prepare -> make -> summarize of one run folder; running it again goes on where it was."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jobs.axes import Screenings, folders_of, plan_spec, screen_folders
from jobs.bundle import BUNDLED, bundle_id, core_size, facemint_version, weight_hashes
from jobs.conditions import write_tables
from jobs.config import RunConfig, check_same_config
from jobs.executors import Executor, InlineExecutor, RayExecutor
from jobs.files import read_json, write_json, write_whole
from jobs.make import MakeLimits, make_shards
from jobs.progress import ProgressLine
from jobs.references import Screener, Unusable, folder_hash
from jobs.shards import Provenance, read_markers
from jobs.stages import run_stage
from manifests.ledger import read_ledger, verify_ledger
from manifests.planner import Plan, write_manifest
from manifests.records import RunRecord

VERSIONED = ("diffusers", "insightface", "numpy", "onnxruntime", "opencv-python", "pillow", "pyarrow", "torch")  # whose change may change bytes


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A plan and what it came from."""

    plan: Plan
    screenings: Screenings

    def left_out(self) -> list[tuple[str, Unusable]]:
        """(axis, file and reason) of every file that can't be used."""
        return [(axis, item) for axis, screening in vars(self.screenings).items() if screening for item in screening.unusable]


class Run:
    """One run folder and the recipe that it is made from."""

    def __init__(self, folder: Path, config: RunConfig) -> None:
        self.folder = folder
        self.config = config
        check_same_config(folder, config)
        self.weights = weight_hashes(config.models)

    def plan(self) -> Planned:
        """Looks at the folders of photographs and writes manifest/ and config.yaml."""
        references = self.folder / "manifest" / "references.json"

        def work() -> list[Path]:
            screenings = screen_folders(self.config, self._open_screener)
            plan = Plan(plan_spec(self.config, screenings))
            write_json(references, screenings.to_json())
            parts = write_manifest(plan, self.folder / "manifest")
            write_whole(self.folder / "config.yaml", self.config.to_yaml())
            return [references, *parts, self.folder / "config.yaml"]

        folders = {f"files of {axis}.path": folder_hash(folder) for axis, folder in folders_of(self.config).items()}
        inputs = {"configuration": self.config.fingerprint(), **folders, **self._models()}
        run_stage(self.folder, "plan", inputs, work)
        screenings = Screenings.from_json(read_json(references))
        return Planned(plan=Plan(plan_spec(self.config, screenings)), screenings=screenings)

    def prepare(self, planned: Planned) -> dict[str, str]:
        """Writes conditions/; returns file -> sha256."""
        folder = self.folder / "conditions"

        def work() -> list[Path]:
            from jobs.judging import calibrate_gate, open_pack
            from jobs.models import ReferenceNets
            from jobs.prepare import prepare_tables

            verify_ledger(read_ledger(BUNDLED))
            pack = open_pack(self.config)
            write_json(folder / "gate.json", vars(calibrate_gate(self.config, pack)))
            size = core_size(self.config.models)
            tables = prepare_tables(
                self.config, planned.plan.spec, planned.screenings, lambda: ReferenceNets(pack, size=size, threads=self.config.threads)
            )
            return [folder / "gate.json", *(folder / f"{name}.parquet" for name in write_tables(folder, tables))]

        inputs = {"plan": planned.plan.fingerprint(), **self._models()}
        return run_stage(self.folder, "prepare", inputs, work)

    def make(self, planned: Planned, conditions: Mapping[str, str], *, local: bool) -> bool:
        """Writes data/, rejected/, attempts/ and run.json; False when it was asked to stop before the end."""
        from jobs.worker import GenerateAndJudgeSpec

        spec = GenerateAndJudgeSpec(folder=str(self.folder.resolve()), config=self.config)

        def executor() -> Executor:
            return InlineExecutor(spec) if local else RayExecutor(spec, self.config.workers)

        provenance = self.provenance(planned.plan, conditions)
        limits = MakeLimits(max_attempts=self.config.max_attempts, batch_size=self.config.batch_size)
        finished = make_shards(self.folder, planned.plan, limits, provenance, executor, ProgressLine(self.folder))
        if finished:
            run_stage(self.folder, "make", {"run": provenance.run_hash}, lambda: [self._write_run_record()])
        return finished

    def provenance(self, plan: Plan, conditions: Mapping[str, str]) -> Provenance:
        """What every sample of the run shares."""
        everything = {
            "configuration": self.config.fingerprint(),
            "plan": plan.fingerprint(),
            "conditions": dict(conditions),
            "weights": self.weights,
            "version": facemint_version(),
        }
        return Provenance(
            run_hash=hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest(),
            image_format=self.config.image.format,
            faces_required="single_face" in self.config.qc.rejecting,
            sampler=self.config.sampler.kind,
            steps=self.config.sampler.steps,
            guidance=self.config.sampler.guidance,
            model_bundle_id=bundle_id(self.weights),
            manifest_sha256=plan.fingerprint(),
            generator_version=facemint_version(),
        )

    def unfilled(self) -> int:
        """Slots of the committed shards that no attempt filled."""
        return sum(marker["counts"]["unfilled"] for marker in read_markers(self.folder).values())

    def _models(self) -> dict[str, str]:
        return {"facemint's version": facemint_version(), **{f"weight {name}": digest for name, digest in self.weights.items()}}

    def _open_screener(self) -> Screener:
        from jobs.models import open_screener

        return open_screener(self.config)

    def _write_run_record(self) -> Path:
        counts: dict[str, int] = {"shards": 0}
        for marker in read_markers(self.folder).values():
            counts["shards"] += 1
            for name, number in marker["counts"].items():
                counts[name] = counts.get(name, 0) + number
        versions = {name: metadata.version(name) for name in VERSIONED}
        versions |= {"facemint": facemint_version(), "python": platform.python_version()}
        record = RunRecord(config_hash=self.config.fingerprint(), weights=self.weights, versions=versions, counts=counts)
        path = self.folder / "run.json"
        write_whole(path, record.to_json())
        return path
