"""What was done to a run after it was made: extensions and retries, as generations.json and retries.json have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from jobs.extend import GENERATIONS, Growth, earlier_runs, plan_of_run, read_growth
from jobs.locations import Location
from jobs.recheck_state import CHECKS, read_checks
from jobs.retry import RETRIES, Retries, read_retries
from jobs.shards import EarlierRun
from jobs.verify_json import JsonDamage, read_object
from manifests.errors import FacemintError
from manifests.planner import Plan
from manifests.spec import PlanSpec

_DAMAGE = (JsonDamage, FacemintError, OSError, TypeError, KeyError, ValueError, AttributeError, RecursionError)


@dataclass(kw_only=True)
class History:
    """The extensions and retries of a run; filled by `problems`."""

    growth: Growth | None = None
    retries: Retries = field(default_factory=Retries)

    def problems(self, folder: Location, config: str | None) -> Iterator[str]:
        """What is wrong with the two files. `config` is the text of config.yaml."""
        if (folder / GENERATIONS).is_file():
            try:
                read_object(folder / GENERATIONS)
                self.growth = read_growth(folder)
            except _DAMAGE as damage:
                yield f"{GENERATIONS} doesn't say how the run was extended: {_text(damage)}. Restore it from a copy; without it the run can't go on."
        if self.growth is not None and not self.growth.renewed:
            yield f"{GENERATIONS} says that the run is to be extended. Run the command with --extend again, to its end."
            earlier = self.growth.earlier[:-1]
            self.growth = Growth(earlier=earlier, config=self.growth.earlier[-1].config, renewed=True) if earlier else None
        elif self.growth is not None and config is not None and self.growth.config != config:
            yield f"{GENERATIONS} was extended to another recipe than config.yaml has. Restore the one that was changed."
        if (folder / CHECKS).is_file():
            try:
                read_object(folder / CHECKS)
                if read_checks(folder).pending:
                    yield f'{CHECKS} says that the run is being judged again. Run "facemint check" on it, to its end.'
            except _DAMAGE as damage:
                yield f"{CHECKS} doesn't say how the run was judged again: {_text(damage)}. Restore it from a copy."
        if (folder / RETRIES).is_file():
            try:
                read_object(folder / RETRIES)
                retries = read_retries(folder)
                if not all(type(number) is int and 0 < number < 1 << 15 for number in retries.max_attempts.values()):
                    raise JsonDamage("a shard's max_attempts is no number of attempts")
                self.retries = retries
            except _DAMAGE as damage:
                yield f"{RETRIES} doesn't say what was tried again: {_text(damage)}. Restore it from a copy."
        if self.retries.pending:
            yield f'{RETRIES} has {len(self.retries.pending)} shards that are still to be tried again. Run the same "facemint retry" again, to its end.'

    def plan(self, spec: PlanSpec) -> Plan:
        """The plan of the run whose recipe gives this spec."""
        return plan_of_run(self.growth, spec)

    def made_by(self, plan: Plan | None, slot: int) -> EarlierRun | None:
        """The generation that a slot belongs to; None: the last one, or it isn't known."""
        if plan is None:
            return None
        return next((each for each in earlier_runs(self.growth, plan) if slot < each.stop), None)

    def max_attempts(self, shard: str, otherwise: int) -> int:
        """Attempts that a slot of a shard may have."""
        return self.retries.max_attempts.get(shard, otherwise)


def _text(damage: BaseException) -> str:
    return " ".join(str(damage).split())[:200]
