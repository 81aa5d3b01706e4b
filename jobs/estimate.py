"""What a run will take: attempts, hours, bytes and money, from its plan and a pilot."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.acceptance import Prior, expected_tries, fit_prior, unfilled_share
from jobs.pace import clock, numbered, safe_text
from jobs.pilot import Pilot, make_pilot, pilot_rows, prepare_pilot
from manifests.planner import Plan

if TYPE_CHECKING:
    from jobs.config import RunConfig

MIXTURE_ROWS = 20_000  # looked at for the shares of expressions; slots are shuffled, so any of them are a sample


@dataclass(frozen=True, kw_only=True)
class ExpressionEstimate:
    """Of one expression, from the pilot."""

    expression: str
    attempts: int  # first ones of the pilot
    accepted: int
    low: float  # of their acceptance, 95 % Wilson interval
    high: float
    tries: float  # attempts that a slot is expected to take
    unfilled: float  # share of slots that stay unfilled


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """None: can't be known without a pilot, or, of the price, wasn't asked for."""

    slots: int
    cells: int
    shards: int
    workers: int
    max_attempts: int
    attempts: float | None
    attempts_low: float  # with the acceptance at the ends of its 95 % interval; without a pilot what no run can go beyond
    attempts_high: float
    unfilled: float | None  # slots
    acceptance: float | None  # of first attempts; later ones are at slots of hard cells, so fewer of them are accepted
    acceptance_low: float | None
    acceptance_high: float | None
    attempt_seconds: float | None  # of a warm worker with full batches
    load_seconds: float | None
    hours: float | None  # of all workers together, if none slows another
    hours_low: float | None
    hours_high: float | None
    sample_bytes: float | None
    bytes: float | None  # of the tars of accepted and rejected pictures
    money: float | None
    expressions: tuple[ExpressionEstimate, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The estimate as a table."""
        lines = [
            f"slots         {self.slots:,} in {self.cells:,} cells and {numbered(self.shards, 'shard')}",
            f"attempts      {_about(self.attempts)}{self.attempts_low:,.0f} to {self.attempts_high:,.0f}",
        ]
        if self.acceptance is not None and self.acceptance_low is not None and self.acceptance_high is not None:
            lines.append(f"acceptance    {self.acceptance:.0%} of first attempts (95 % interval {self.acceptance_low:.0%} to {self.acceptance_high:.0%})")
        if self.unfilled is not None:
            lines.append(f"unfilled      {self.unfilled:,.1f} slots after {self.max_attempts} attempts each")
        if self.attempt_seconds is not None and self.load_seconds is not None:
            lines.append(f"speed         {1 / self.attempt_seconds:.2f} attempts/s of a worker, which starts in {self.load_seconds:.1f} s")
        if self.hours is not None and self.hours_low is not None and self.hours_high is not None:
            lines.append(f"time          {_hours(self.hours)} with {numbered(self.workers, 'worker')} ({_hours(self.hours_low)} to {_hours(self.hours_high)})")
        if self.bytes is not None and self.sample_bytes is not None:
            lines.append(f"tars          {_size(self.bytes)}, {_size(self.sample_bytes)} a sample; rejected pictures are kept")
        if self.money is not None:
            lines.append(f"price         {self.money:,.2f}")
        if self.expressions:
            width = max(12, *(len(safe_text(item.expression, length=24)) for item in self.expressions))
            lines.append(f"{'expression':{width}}  accepted  95 % interval  attempts a slot  unfilled")
            lines += [
                f"{safe_text(item.expression, length=24):{width}}  {f'{item.accepted} of {item.attempts}':>8}  {f'{item.low:.0%} to {item.high:.0%}':>13}  "
                f"{item.tries:15.2f}  {item.unfilled:8.1%}"
                for item in self.expressions
            ]
        return [*lines, *(f"note: {note}" for note in self.notes)]


def estimate(plan: Plan, pilot: Pilot | None, *, workers: int, max_attempts: int, price_per_hour: float | None = None,
             notes: tuple[str, ...] = ()) -> Estimate:  # fmt: skip
    """The arithmetic. `price_per_hour` is of one worker. It looks at some rows of the plan, whatever its size."""
    from qc.statistics import wilson

    slots = plan.num_slots
    attempts = unfilled = acceptance = low = high = seconds = kept = None
    least, most = float(slots), float(slots * max_attempts)
    expressions: tuple[ExpressionEstimate, ...] = ()
    if pilot and pilot.cells:
        prior = fit_prior(pilot.cells)
        expressions = _expressions(pilot, prior, max_attempts)
        shares = _mixture(plan).items()
        attempts = slots * sum(share * expected_tries(*prior.belief(name), max_attempts) for name, share in shares)
        unfilled = slots * sum(share * unfilled_share(*prior.belief(name), max_attempts) for name, share in shares)
        accepted, first = (sum(getattr(tally, name) for tally in pilot.firsts) for name in ("accepted", "attempts"))
        interval = wilson(accepted, first)
        acceptance, low, high = accepted / first, interval.low, interval.high
        least = min(attempts, slots * _tries(high, prior.concentration, max_attempts))
        most = max(attempts, slots * _tries(low, prior.concentration, max_attempts))
        seconds, kept = pilot.attempt_seconds, pilot.sample_bytes
    hour = None if seconds is None else seconds / 3600 / workers
    hours = None if hour is None or attempts is None else attempts * hour
    return Estimate(
        slots=slots,
        cells=plan.num_cells,
        shards=sum(1 for _ in plan.shards()),
        workers=workers,
        max_attempts=max_attempts,
        attempts=attempts,
        attempts_low=least,
        attempts_high=most,
        unfilled=unfilled,
        acceptance=acceptance,
        acceptance_low=low,
        acceptance_high=high,
        attempt_seconds=seconds,
        load_seconds=pilot.load_seconds if pilot else None,
        hours=hours,
        hours_low=None if hour is None else least * hour,
        hours_high=None if hour is None else most * hour,
        sample_bytes=kept,
        bytes=None if kept is None or attempts is None else attempts * kept,
        money=None if hours is None or price_per_hour is None else hours * workers * price_per_hour,
        expressions=expressions,
        notes=notes,
    )


def estimate_recipe(config: RunConfig, *, pilot: int, price_per_hour: float | None = None) -> Estimate:
    """The estimate of a recipe, with so many attempts really made in this process and thrown away; 0: none. Nothing is written to a run folder."""
    from jobs.axes import plan_spec, screen_folders
    from jobs.models import open_screener

    screenings = screen_folders(config, lambda: open_screener(config))
    plan = Plan(plan_spec(config, screenings))
    made = None
    if pilot:
        from jobs.worker import GenerateAndJudgeSpec

        rows = pilot_rows(plan, pilot)
        with tempfile.TemporaryDirectory(prefix="facemint-pilot-") as folder:
            prepare_pilot(config, plan, screenings, rows, Path(folder))
            spec = GenerateAndJudgeSpec(folder=folder, config=config)
            made = make_pilot(rows, config.seed, spec, attempts=pilot, max_attempts=config.max_attempts, batch_size=config.batch_size)
    return estimate(
        plan, made, workers=config.workers, max_attempts=config.max_attempts, price_per_hour=price_per_hour, notes=notes_on(config, piloted=bool(pilot))
    )


def notes_on(config: RunConfig, *, piloted: bool) -> tuple[str, ...]:
    """What the figures leave out."""
    if not piloted:
        return ("without a pilot, acceptance, time and bytes can't be known: attempts are between one for every slot and max_attempts for every slot.",)
    notes = ["a pilot sees few attempts of a cell; where some cells are much harder than others, the run takes more attempts than stated."]
    if config.workers > 1:
        notes.append(f"{config.workers} workers are taken to be as fast as one each, which they are only with cores or GPUs of their own.")
    cores = os.cpu_count() or 1
    if config.device == "cpu" and config.workers * config.threads > cores:
        notes.append(f"{config.workers} workers with {config.threads} threads share the {cores} cores of this machine, so here it takes longer.")
    sampled = config.identities.sampled
    if sampled.count and (sampled.proofs or sampled.previews):
        notes.append(
            f"before that {sampled.count:,} people are chosen by {sampled.proofs} and {sampled.previews} pictures of each candidate "
            "(identities.sampled.proofs and .previews), which isn't counted; the more people there are, the more candidates are refused."
        )
    if config.cell_attempts or config.min_acceptance:
        notes.append("cells that are given up early (cell_attempts, min_acceptance) save attempts and leave more slots unfilled than stated.")
    return tuple(notes)


def _expressions(pilot: Pilot, prior: Prior, max_attempts: int) -> tuple[ExpressionEstimate, ...]:
    from qc.statistics import wilson

    estimates = []
    for tally in sorted(pilot.firsts, key=lambda tally: prior.means[tally.expression]):
        interval = wilson(tally.accepted, tally.attempts)
        estimates.append(
            ExpressionEstimate(
                expression=tally.expression,
                attempts=tally.attempts,
                accepted=tally.accepted,
                low=interval.low,
                high=interval.high,
                tries=expected_tries(*prior.belief(tally.expression), max_attempts),
                unfilled=unfilled_share(*prior.belief(tally.expression), max_attempts),
            )
        )
    return tuple(estimates)


def _mixture(plan: Plan) -> Mapping[str, float]:
    """Shares of the expressions in the slots; of a large plan, in the first ones of it."""
    words = plan.rows(0, min(plan.num_slots, MIXTURE_ROWS))["expression"].value_counts().to_pylist()
    total = sum(word["counts"] for word in words)
    return {word["values"]: word["counts"] / total for word in words}


def _tries(acceptance: float, concentration: float, limit: int) -> float:
    """Attempts at a slot of cells with this mean acceptance."""
    mean = min(max(acceptance, 0.001), 0.999)
    return expected_tries(mean * concentration, (1 - mean) * concentration, limit)


def _about(number: float | None) -> str:
    return "" if number is None else f"about {number:,.0f}, "


def _hours(hours: float) -> str:
    return clock(hours * 3600) if hours < 48 else f"{hours:,.0f} h"


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"
