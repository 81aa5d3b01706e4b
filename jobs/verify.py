"""Checks everything that the markers of a run promise, and everything that readers rely on: from the recipe to the last byte of a tar."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.axes import Screenings, plan_spec
from jobs.bundle import facemint_version
from jobs.files import UNFINISHED
from jobs.locations import Location, below
from jobs.verify_files import PIECE_BYTES, HashedFile
from jobs.verify_history import History
from jobs.verify_json import JsonDamage, read_object
from jobs.verify_labels import LabelFacts
from jobs.verify_manifest import ManifestCheck
from jobs.verify_shards import RunFacts, ShardCheck
from jobs.verify_stages import AGAIN, RunFiles, expected_run_hash, label_constants, stage_problems, summary_problems
from manifests.errors import FacemintError, InputError
from manifests.planner import Plan, manifest_rows
from manifests.rows import ShardPlan
from manifests.vocabulary import vocabulary

OWNED = ("data", "rejected", "attempts", "slots", "quarantine", "manifest", "conditions", "stages")  # folders in which every file is promised by something


def find_problems(folder: Location, *, deep: bool = False) -> Iterator[str]:
    """One sentence per broken promise, each with its remedy; none when the run is whole. No content of a file makes it raise.

    deep  decode every picture and label map, too
    """
    if not (folder / "manifest").is_dir():
        raise InputError(f'verify: {folder} has no manifest, so it is no run folder. Name the --out of a run, or run "facemint plan".')
    yield from RunCheck(folder, deep=deep).problems()


class RunCheck:
    """One look at a run folder; memory is bounded by the metadata of one shard."""

    def __init__(self, folder: Location, *, deep: bool) -> None:
        self._folder, self._deep = folder, deep
        self._files = RunFiles()
        self._history = History()
        self._words = {word.word: word for word in vocabulary()}
        self._markers: dict[str, str] = {}  # shard -> sha256 of its marker
        self._counts: dict[str, int] = {}
        self._promised: set[str] = set()
        self._missing: list[tuple[int, int]] = []  # slots of shards without a marker

    def problems(self) -> Iterator[str]:
        """What is wrong, in the order of the stages."""
        names = {place.stem for place in (self._folder / "data").glob("*.json")}
        yield from stage_problems(self._folder, self._files, finished=False)
        yield from self._history.problems(self._folder, self._files.config.to_yaml() if self._files.config else None)
        plan, problem = self._plan()
        if problem:
            yield problem
        manifest = ManifestCheck(folder=self._folder / "manifest", plan=plan)
        planned = set()
        for shard, rows in manifest.shards():
            planned.add(shard.name)
            if shard.name in names:
                yield from self._shard_problems(ShardCheck(self._folder, shard, manifest_rows(rows), self._facts(manifest, shard)), shard.name)
            else:
                self._missing.append((shard.start, shard.stop))
        yield from manifest.problems
        if manifest.problems:
            return  # which shards there should be isn't known
        for name in sorted(names - planned):
            yield f"data/{name}.json is the marker of a shard that the plan doesn't have. Delete it and its files."
        yield from self._run_problems(manifest, finished=not self._missing)
        yield from self._orphans(finished=not self._missing)

    def _plan(self) -> tuple[Plan | None, str]:
        """The plan that config.yaml asks for, and what is wrong with it; None when another version of facemint would have to say."""
        record, config = self._files.record, self._files.config
        place = self._folder / "manifest" / "references.json"
        if config is None or (record is not None and record.versions.get("facemint") != facemint_version()):
            return None, ""
        try:
            screenings = Screenings.from_json(read_object(place)[0])
            return self._history.plan(plan_spec(config, screenings)), ""
        except (JsonDamage, FacemintError, OSError, TypeError, KeyError, ValueError, AttributeError) as error:
            return None, f"manifest/references.json and config.yaml make no plan ({' '.join(str(error).split())[:200]}). {AGAIN}"

    def _facts(self, manifest: ManifestCheck, shard: ShardPlan) -> RunFacts:
        """What is known of a shard: a run that was extended has shards of several plans."""
        config = self._files.config
        made_by = self._history.made_by(manifest.plan, shard.start)
        known = manifest.plan.fingerprint() if manifest.plan else None
        plans = [made_by.manifest_sha256] if made_by else [known] if known else manifest.plans
        return RunFacts(
            run_hash=made_by.run_hash if made_by else self._files.run_hash if manifest.plan else None,
            run_seed=config.seed if config else None,
            max_attempts=self._history.max_attempts(shard.name, config.max_attempts) if config else None,
            labels=LabelFacts(
                constants=label_constants(self._files),
                plans=frozenset(plans),
                measured="single_face" in config.qc.rejecting if config else None,
            ),
            words=self._words,
            deep=self._deep,
        )

    def _shard_problems(self, check: ShardCheck, name: str) -> Iterator[str]:
        yield from check.problems()
        self._promised |= check.files
        with HashedFile(self._folder / "data" / f"{name}.json") as file:
            while file.read(PIECE_BYTES):
                pass
            self._markers[name] = file.sha256
        counts = check.marker.get("counts", {})
        for count, number in {"shards": 1, **counts}.items():
            self._counts[count] = self._counts.get(count, 0) + number

    def _run_problems(self, manifest: ManifestCheck, *, finished: bool) -> Iterator[str]:
        """Promises of the run as a whole, whose shards were looked at."""
        if self._missing:
            slots = sum(stop - start for start, stop in self._missing)
            yield f"{slots:,} of {manifest.num_slots:,} slots are in no committed shard, the first is {self._missing[0][0]}. {AGAIN}"
        files = self._files
        if finished and "make" not in files.inputs and not (self._folder / "stages" / "make.json").is_file():
            yield f"stages/make.json is missing, and all shards are committed. {AGAIN}"
        planned = files.inputs.get("prepare", {}).get("plan")
        if planned is not None and manifest.plans and planned != manifest.plans[-1]:
            yield f"stages/prepare.json is of plan {planned[:12]}..., manifest/ is of {manifest.plans[-1][:12]}.... {AGAIN}"
        expected = expected_run_hash(files)
        if expected is not None and files.run_hash is not None and expected != files.run_hash:
            yield (
                f"stages/make.json is of run {files.run_hash[:12]}..., config.yaml, run.json and stages/prepare.json make it {expected[:12]}.... "
                "Restore the one that was changed, or use another --out."
            )
        if files.record is not None and dict(files.record.counts) != self._counts:
            differing = sorted(name for name in {*files.record.counts, *self._counts} if files.record.counts.get(name) != self._counts.get(name))
            yield f"run.json counts {differing[0]} as {files.record.counts.get(differing[0])}, the markers sum to {self._counts.get(differing[0])}. {AGAIN}"
        yield from summary_problems(files, self._markers)

    def _orphans(self, *, finished: bool) -> Iterator[str]:
        promised = self._promised | self._files.promised
        for name in OWNED:
            places: list[Location] = [*(self._folder / name).rglob("*")]
            for place in sorted(places, key=str):
                file = below(place, self._folder)
                if file in promised or place.is_dir() or (name == "quarantine" and not finished):
                    continue
                if place.name.endswith(UNFINISHED):
                    yield f"{file} is an unfinished file of a run that was interrupted. {AGAIN}"
                else:
                    yield f"{file} is promised by nothing. Delete it, or move it out of the run."
        logs: list[Location] = [*(self._folder / "staging").glob("*")]
        for place in sorted(logs, key=str):
            shard = place.name.partition(".")[0]
            if finished or shard in self._markers:
                yield f"staging/{place.name} is left over, its shard is committed. {AGAIN}"
