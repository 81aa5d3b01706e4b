"""The job graph plan -> prepare -> make -> summarize of one run folder; running it again goes on where it was."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from jobs.axes import Screenings, input_hashes, plan_spec, screen_folders
from jobs.bundle import BUNDLED, bundle_id, core_size, facemint_version, weight_hashes
from jobs.conditions import PROOFS, PROOFS_SO_FAR, write_tables
from jobs.config import RunConfig
from jobs.executors import Executor, InlineExecutor
from jobs.extend import check_same_recipe, earlier_runs, extend_run, plan_of_run, read_growth, renew_stages
from jobs.files import read_json, write_json, write_whole
from jobs.locations import Location, absolute_text
from jobs.make import MakeLimits, make_shards
from jobs.marking.marker import marker_of
from jobs.metrics import Metrics
from jobs.progress import ProgressLine
from jobs.ray_executor import RayExecutor
from jobs.recheck_state import refuse_unfinished_check
from jobs.references import Screener, Unusable
from jobs.retry import close_retries, reopen_shards
from jobs.run_hash import run_hash_of
from jobs.shards import Provenance, read_markers
from jobs.stages import run_stage
from manifests.ledger import read_ledger, verify_ledger
from manifests.planner import Plan, manifest_parts
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

    def __init__(self, folder: Location, config: RunConfig, *, extend: bool = False, checking: bool = False) -> None:
        """`extend`: make a larger recipe that of a finished run folder first; `checking`: it is facemint check that asks."""
        if not checking:
            refuse_unfinished_check(folder)
        self.folder = folder
        self.config = config
        if not extend:
            check_same_recipe(folder, config, read_growth(folder))
        self.weights = weight_hashes(config.models)
        if extend:
            extend_run(folder, config, self._models(), self._open_screener)
        self.growth = read_growth(folder)

    def plan(self) -> Planned:
        """Looks at the folders of photographs and writes manifest/ and config.yaml."""
        references = self.folder / "manifest" / "references.json"
        self.growth = renew_stages(self.folder, self.growth)

        def work() -> list[Location]:
            screenings = screen_folders(self.config, self._open_screener)
            plan = plan_of_run(self.growth, plan_spec(self.config, screenings))
            write_json(references, screenings.to_json())
            parts: list[Location] = []
            for name, content in manifest_parts(plan):
                parts.append(self.folder / "manifest" / name)
                write_whole(parts[-1], content)
            write_whole(self.folder / "config.yaml", self.config.to_yaml())
            return [references, *parts, self.folder / "config.yaml"]

        inputs = {"configuration": self.config.fingerprint(), **input_hashes(self.config), **self._models()}
        run_stage(self.folder, "plan", inputs, work, strict=True)
        screenings = Screenings.from_json(read_json(references))
        return Planned(plan=plan_of_run(self.growth, plan_spec(self.config, screenings)), screenings=screenings)

    def prepare(self, planned: Planned) -> dict[str, str]:
        """Writes conditions/; returns file -> sha256."""
        folder = self.folder / "conditions"
        inputs = {"plan": planned.plan.fingerprint(), **self._models()}

        def work() -> list[Location]:
            from jobs.judging import calibrate_gate, open_pack
            from jobs.models import ReferenceNets
            from jobs.prepare import prepare_tables
            from jobs.proofs import proofs_of

            verify_ledger(read_ledger(BUNDLED))
            pack = open_pack(self.config)
            write_json(folder / "gate.json", vars(calibrate_gate(self.config, pack)))
            size = core_size(self.config.models)
            key = json.dumps({**inputs, "configuration": self.config.fingerprint()}, sort_keys=True)
            proofs = proofs_of(self.config, planned.plan, kept=folder / PROOFS_SO_FAR, key=key)
            tables = prepare_tables(
                self.config,
                planned.plan.spec,
                planned.screenings,
                lambda: ReferenceNets(pack, size=size, threads=self.config.threads),
                sampled_before=self.growth.sampled_before if self.growth else (),
                proofs=proofs,
            )
            written = [folder / "gate.json", *(folder / f"{name}.parquet" for name in write_tables(folder, tables))]
            if proofs:
                sys.stderr.write(f"prepared: {proofs.line()}\n")
                write_json(folder / PROOFS, proofs.record())
                written.append(folder / PROOFS)
                proofs.close()
            return written

        return run_stage(self.folder, "prepare", inputs, work)

    def make(self, planned: Planned, conditions: Mapping[str, str], *, local: bool, address: str | None = None, part: tuple[int, int] = (0, 1)) -> bool:
        """Writes data/, rejected/ and attempts/, and run.json when no part is missing; False when it was asked to stop before the end.

        address  of a Ray cluster to join; None: that of the environment's RAY_ADDRESS, or a Ray of this command's own
        part     (i, n): only every n-th shard, from the i-th on
        """
        from jobs.worker import GenerateAndJudgeSpec

        spec = GenerateAndJudgeSpec(folder=absolute_text(self.folder), config=self.config, weights=self.weights)

        def executor() -> Executor:
            if local:
                return InlineExecutor(spec)
            return RayExecutor(spec, self.config.workers, placement=self.config.placement, address=address, batch_bytes=spec.batch_bytes)

        provenance = self.provenance(planned.plan, conditions)
        reopened = reopen_shards(self.folder, provenance.run_hash).max_attempts
        limits = MakeLimits(
            max_attempts=self.config.max_attempts,
            batch_size=self.config.batch_size,
            cell_attempts=self.config.cell_attempts,
            min_acceptance=self.config.min_acceptance,
            isolation=self.config.isolation,
            reopened=reopened,
        )
        port = self.config.placement.metrics_port or None
        metrics = Metrics(version=facemint_version(), config=self.config.fingerprint()[:12], port=port)
        progress = ProgressLine(self.folder, max_attempts=self.config.max_attempts, part=part, metrics=metrics)
        finished = make_shards(self.folder, planned.plan, limits, provenance, executor, progress, part=part)
        if finished and self._is_whole(planned.plan):
            run_stage(self.folder, "make", {"run": provenance.run_hash}, lambda: [self._write_run_record()])
            close_retries(self.folder)
        return finished

    def provenance(self, plan: Plan, conditions: Mapping[str, str]) -> Provenance:
        """What every sample of the run shares."""
        return Provenance(
            run_hash=run_hash_of(self.config.fingerprint(), plan.fingerprint(), conditions, self.weights, facemint_version()),
            image_format=self.config.image.format,
            faces_required="single_face" in self.config.qc.rejecting,
            sampler=self.config.sampler.kind,
            steps=self.config.sampler.steps,
            guidance=self.config.sampler.guidance,
            model_bundle_id=bundle_id(self.weights),
            manifest_sha256=plan.fingerprint(),
            generator_version=facemint_version(),
            marking=marker_of(self.config).names,
            earlier=earlier_runs(self.growth, plan),
        )

    def _is_whole(self, plan: Plan) -> bool:
        """Whether the shards of all parts are committed."""
        return {shard.name for shard in plan.shards()} <= read_markers(self.folder).keys()

    def open_slots(self) -> dict[str, int]:
        """Slots of the committed shards that have no picture, by state."""
        markers = read_markers(self.folder).values()
        return {state: sum(marker["counts"][state] for marker in markers) for state in ("unfilled", "quarantined")}

    def _models(self) -> dict[str, str]:
        return {"facemint's version": facemint_version(), **{f"weight {name}": digest for name, digest in self.weights.items()}}

    def _open_screener(self) -> Screener:
        from jobs.models import open_screener

        return open_screener(self.config)

    def _write_run_record(self) -> Location:
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
