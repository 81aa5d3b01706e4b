"""--extend: a finished run folder goes on with a larger recipe; which recipes it was made from, one after the other, is in generations.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.axes import Screenings, input_hashes, plan_spec, screen_folders
from jobs.config import RunConfig, changed_keys, check_same_config, config_from_text, load_config
from jobs.files import read_json, write_json
from jobs.lease import Lease
from jobs.locations import Location
from jobs.references import Screener, Screening
from jobs.shards import EarlierRun, read_markers
from jobs.stages import changed_inputs
from manifests.errors import InputError, ResumeMismatch
from manifests.extension import extended_plan, growth_problems
from manifests.planner import Plan
from manifests.spec import PlanSpec

GENERATIONS = "generations.json"
VERSION = 1
STAGES = ("plan", "prepare", "make", "summarize")
GROWING = (
    *("views", "identities.groups", "identities.sampled.count", "expressions.words", "expressions.families", "expressions.affectnet8"),
    *("expressions.intensities", "expressions.views", "scenes.bundled"),
)  # keys of a recipe that an extension may change; whether they grew is seen from the plans
FOLLOWING = ("configuration", "file")  # first words of what a plan depends on that change with them


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A generation of a run that was extended since."""

    config: str  # YAML
    spec: PlanSpec
    run_hash: str  # of its shards


@dataclass(frozen=True, kw_only=True)
class Growth:
    """The generations of a run folder."""

    earlier: tuple[Earlier, ...]
    config: str  # YAML, of the last generation
    renewed: bool  # whether the done markers of the earlier generation's stages were dropped

    @property
    def specs(self) -> tuple[PlanSpec, ...]:
        """Plans of the earlier generations."""
        return tuple(generation.spec for generation in self.earlier)

    @property
    def sampled_before(self) -> tuple[int, ...]:
        """How many people each earlier generation had sampled."""
        return tuple(config_from_text(generation.config, GENERATIONS).identities.sampled.count for generation in self.earlier)

    def write(self, folder: Location) -> None:
        """Replaces generations.json, all at once."""
        earlier = [{"config": each.config, "plan": each.spec.to_json(), "run_hash": each.run_hash} for each in self.earlier]
        write_json(folder / GENERATIONS, {"version": VERSION, "earlier": earlier, "config": self.config, "renewed": self.renewed})


def read_growth(folder: Location) -> Growth | None:
    """The generations of a run folder; None when it was never extended."""
    path = folder / GENERATIONS
    if not path.is_file():
        return None
    written: dict[str, Any] = read_json(path)
    if written.get("version") != VERSION:
        raise ResumeMismatch(f"{path} has version {written.get('version')}, expected {VERSION}. Go on with the facemint that wrote it.")
    earlier = [Earlier(config=each["config"], spec=PlanSpec.from_json(each["plan"]), run_hash=each["run_hash"]) for each in written["earlier"]]
    return Growth(earlier=tuple(earlier), config=written["config"], renewed=written["renewed"])


def recipe_of_run(folder: Location) -> RunConfig:
    """The recipe that a run folder was made from, or last extended to."""
    growth = read_growth(folder)
    if growth:
        return config_from_text(growth.config, GENERATIONS)
    if not (folder / "config.yaml").is_file():
        raise InputError(f"{folder} has no config.yaml, so it is not the folder of a run. Name one.")
    return load_config(folder / "config.yaml")


def check_same_recipe(folder: Location, config: RunConfig, growth: Growth | None) -> None:
    """Raises ResumeMismatch when the run folder was made from, or last extended to, another recipe."""
    if growth is None:
        check_same_config(folder, config)
        return
    changed = changed_keys(config_from_text(growth.config, GENERATIONS), config)
    if changed:
        raise ResumeMismatch(
            f"run folder {folder} was extended to another configuration ({'; '.join(changed)}). Use its values, extend it further with --extend, "
            "or use another --out."
        )


def plan_of_run(growth: Growth | None, spec: PlanSpec) -> Plan:
    """The plan of a run folder whose recipe gives `spec`, with the generations before it."""
    return extended_plan((*growth.specs, spec)) if growth else Plan(spec)


def earlier_runs(growth: Growth | None, plan: Plan) -> tuple[EarlierRun, ...]:
    """What the shards of earlier generations were made from."""
    if growth is None:
        return ()
    generations = zip(growth.earlier, plan.generations, strict=False)
    return tuple(
        EarlierRun(stop=generation.stop, run_hash=each.run_hash, manifest_sha256=plan.fingerprint(generations=number))
        for number, (each, generation) in enumerate(generations, start=1)
    )


def extend_run(folder: Location, config: RunConfig, models: Mapping[str, str], open_screener: Callable[[], Screener]) -> bool:
    """Makes a larger recipe the recipe of a finished run folder; False when it is that already. From then on the plain command goes on with it.

    models  name -> hash of what a run depends on beside its recipe and the user's files
    Raises ResumeMismatch, and changes nothing, when the folder isn't finished or the recipe doesn't only add to the old one.
    """
    if not (folder / "config.yaml").is_file():
        raise InputError(f"--extend: {folder} is not the folder of a run. Leave --extend out to start one.")
    with Lease(folder):
        growth = read_growth(folder)
        old = recipe_of_run(folder)
        changed = changed_keys(old, config)
        others = [line for line in changed if not line.startswith(tuple(f"{key}: " for key in GROWING))]
        if others:
            raise ResumeMismatch(
                f"--extend: run folder {folder} was made from other values of what can't grow ({'; '.join(others)}). "
                f"Only {', '.join(GROWING)} and the files of folders may grow; use another --out."
            )
        stage = folder / "stages" / "plan.json"
        planned: dict[str, str] = read_json(stage)["inputs"] if stage.is_file() else {}
        now = {"configuration": config.fingerprint(), **input_hashes(config), **models}
        if not changed and (not planned or planned == now or (growth and not growth.renewed)):
            return False
        _check_models(folder, planned, now)
        references = folder / "manifest" / "references.json"
        if not planned or not references.is_file() or (growth and not growth.renewed):
            raise _unfinished(folder, "its plan is missing")
        before = Screenings.from_json(read_json(references))
        plan = plan_of_run(growth, plan_spec(old, before))
        run_hash = _check_finished(folder, plan)
        after = screen_folders(config, open_screener)
        problems = _picture_problems(before, after) + growth_problems(plan.spec, plan_spec(config, after))
        if problems:
            raise ResumeMismatch(
                f"--extend: the recipe doesn't only add to what {folder} was made from ({'; '.join(problems)}). "
                "Only add people, expressions, scenes or views; or use another --out."
            )
        finished = Earlier(config=old.to_yaml(), spec=plan.spec, run_hash=run_hash)
        Growth(earlier=(*(growth.earlier if growth else ()), finished), config=config.to_yaml(), renewed=False).write(folder)
    return True


def renew_stages(folder: Location, growth: Growth | None) -> Growth | None:
    """Drops the done markers of the stages before an extension, once; a kill at any moment leaves something that the next command completes."""
    if growth is None or growth.renewed:
        return growth
    for name in STAGES:
        (folder / "stages" / f"{name}.json").unlink(missing_ok=True)
    renewed = Growth(earlier=growth.earlier, config=growth.config, renewed=True)
    renewed.write(folder)
    return renewed


def _check_models(folder: Location, planned: Mapping[str, str], now: Mapping[str, str]) -> None:
    differing = [name for name in changed_inputs(planned, now) if not name.startswith(FOLLOWING)]
    if planned and differing:
        raise ResumeMismatch(f"--extend: run folder {folder} was made from other weights or another version ({', '.join(differing)} differ). Bring them back.")


def _check_finished(folder: Location, plan: Plan) -> str:
    """Run hash of the finished folder's last generation."""
    markers = read_markers(folder)
    missing = sum(shard.name not in markers for shard in plan.shards())
    done = folder / "stages" / "make.json"
    if missing or not done.is_file():
        raise _unfinished(folder, f"{missing:,} of {len(plan.shards()):,} shards are missing" if missing else "its run.json is missing")
    return str(read_json(done)["inputs"]["run"])


def _unfinished(folder: Location, why: str) -> ResumeMismatch:
    return ResumeMismatch(f"--extend: run folder {folder} isn't finished ({why}). Run its own recipe, without --extend, to the end first.")


def _picture_problems(before: Screenings, after: Screenings) -> list[str]:
    """Pictures whose loss, change or company would change what old rows were made from."""
    problems = []
    for axis, old in vars(before).items():
        new: Screening | None = vars(after)[axis]
        if old is None or new is None:
            problems += [f"{axis}.path was added or left out"] if (old is None) != (new is None) else []
            continue
        now = {reference.file: reference for reference in new.usable}
        changed = [reference.file for reference in old.usable if now.get(reference.file) != reference]
        files, names = {reference.file for reference in old.usable}, {reference.name for reference in old.usable}
        joined = [reference.file for reference in new.usable if reference.file not in files and reference.name in names and axis != "scenes"]
        problems += [f'"{file}" of {axis}.path was changed or removed' for file in changed[:1]]
        problems += [f'"{file}" of {axis}.path is a further picture of somebody or something that was there' for file in joined[:1]]
    return problems
