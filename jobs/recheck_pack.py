"""Another face pack for a run that is made: its conditions are prepared apart, and put in place when the plan turns out to be the same."""

from __future__ import annotations

from jobs.config import RunConfig
from jobs.files import read_json, write_whole
from jobs.graph import Run
from jobs.locations import Location, below
from jobs.recheck_shards import SPARE
from manifests.errors import ResumeMismatch
from manifests.planner import Plan

PREPARED = "prepared"  # below SPARE
_TAKEN = ("config.yaml", "conditions/", "manifest/references.json", "stages/plan.json", "stages/prepare.json")


def prepare_apart(folder: Location, config: RunConfig, plan: Plan) -> Location:
    """Plans and prepares a run with another pack beside the run; where it is. Raises ResumeMismatch when the pack leads to another plan."""
    apart = folder / SPARE / PREPARED
    run = Run(apart, config, checking=True)
    planned = run.plan()
    if planned.plan.fingerprint() != plan.fingerprint():
        left_out = ", ".join(f"{item.file} ({item.reason})" for _, item in planned.left_out()[:3]) or "none was left out"
        drop_apart(folder)
        raise ResumeMismatch(f"check: with this pack other photographs can be used than in {folder}, so its slots would differ ({left_out}). Make a new run.")
    run.prepare(planned)
    return apart


def gate_apart(folder: Location) -> dict[str, object]:
    """Calibration of the pack's gate."""
    gate: dict[str, object] = read_json(folder / SPARE / PREPARED / "conditions" / "gate.json")
    return gate


def put_in_place(folder: Location) -> None:
    """Makes what was prepared apart that of the run; the same again changes nothing."""
    apart = folder / SPARE / PREPARED
    places: list[Location] = [*apart.rglob("*")]
    for place in sorted(places, key=str):
        name = below(place, apart)
        if place.is_file() and name.startswith(_TAKEN):
            write_whole(folder / name, place.read_bytes())


def drop_apart(folder: Location) -> None:
    """Deletes what was prepared apart."""
    places: list[Location] = [*(folder / SPARE / PREPARED).rglob("*")]
    for place in places:
        if place.is_file():
            place.unlink(missing_ok=True)
