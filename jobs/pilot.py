"""A pilot: attempts at some rows of a plan, really made and judged in this process, to learn how long they take and how many are accepted."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from jobs.acceptance import Tally
from jobs.attempts import Answer, Attempt, WorkerSpec
from manifests.planner import Plan
from manifests.records import SampleRecord, asked_fields, record_json
from manifests.rows import ManifestRow
from manifests.vocabulary import vocabulary

if TYPE_CHECKING:
    from jobs.axes import Screenings
    from jobs.config import RunConfig

TAR_BLOCK = 512  # bytes; a member is a header of one block and its content in whole blocks
HASH = "0" * 64
PILOT_TRIES = 4  # attempts at one row, at most


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """What was measured."""

    cells: tuple[Tally, ...]  # all attempts
    firsts: tuple[Tally, ...]  # first attempts at slots, of expressions: a fair sample, which later ones aren't
    load_seconds: float  # until a worker was ready
    batch_seconds: float  # of a warm worker, median
    batch_size: int
    sample_bytes: float  # of picture, label and label map in a tar, mean; 0.0: nothing was made

    @property
    def attempt_seconds(self) -> float:
        """Of a warm worker whose batches are full."""
        return self.batch_seconds / self.batch_size


def pilot_rows(plan: Plan, number: int) -> list[ManifestRow]:
    """So many rows at even steps over the plan, or all rows when it has fewer; none but these are worked out."""
    number = min(number, plan.num_slots)
    slots = [(2 * step + 1) * plan.num_slots // (2 * number) for step in range(number)]
    return [row for slot in slots for row in plan.row_list(slot, slot + 1)]


def make_pilot(rows: Sequence[ManifestRow], run_seed: int, spec: WorkerSpec, *, attempts: int, max_attempts: int, batch_size: int) -> Pilot:
    """So many attempts at the rows, with the seeds that the run gives them. The first batch is run twice, because a fresh worker is slow at first.

    Rows that were rejected are tried again before new ones are begun: that tells whether some cells are harder than others of their expression.
    """
    fresh = deque((row, 0) for row in (*rows[::2], *rows[1::2]))
    again: deque[tuple[ManifestRow, int]] = deque()
    cells: dict[int, Tally] = {}
    firsts: dict[str, Tally] = {}
    seconds: list[float] = []
    sizes: list[int] = []
    start = time.perf_counter()
    worker = spec.build()
    load_seconds = time.perf_counter() - start
    while (room := min(batch_size, attempts - len(sizes))) > 0 and (fresh or again):
        pairs = [again.popleft() if again else fresh.popleft() for _ in range(min(room, len(again) + len(fresh)))]
        batch = [Attempt(row=row, attempt=attempt, seed=row.seed(run_seed, attempt)) for row, attempt in pairs]
        if not seconds:
            worker(batch)
        start = time.perf_counter()
        answers = worker(batch)
        seconds.append(time.perf_counter() - start)
        for (row, attempt), answer in zip(pairs, answers, strict=True):
            accepted = answer.verdict.accepted
            tallies = [cells.setdefault(row.cell, Tally(expression=row.expression))]
            if attempt == 0:
                tallies.append(firsts.setdefault(row.expression, Tally(expression=row.expression)))
            for tally in tallies:
                tally.accepted += accepted
                tally.rejected += not accepted
                tally.begun += attempt == 0
            if not accepted and attempt + 1 < min(max_attempts, PILOT_TRIES):
                again.append((row, attempt + 1))
            sizes.append(_sample_bytes(answer, row))
    return Pilot(
        cells=tuple(cells.values()),
        firsts=tuple(firsts.values()),
        load_seconds=load_seconds,
        batch_seconds=median(seconds),
        batch_size=batch_size,
        sample_bytes=sum(sizes) / len(sizes),
    )


def prepare_pilot(config: RunConfig, plan: Plan, screenings: Screenings, rows: Sequence[ManifestRow], folder: Path) -> None:
    """Writes the condition tables that these rows need into the folder, as the prepare stage does for all rows."""
    from jobs.bundle import BUNDLED, core_size
    from jobs.conditions import write_tables
    from jobs.files import write_json
    from jobs.judging import calibrate_gate, open_pack
    from jobs.models import ReferenceNets
    from jobs.prepare import prepare_tables
    from manifests.ledger import read_ledger, verify_ledger

    verify_ledger(read_ledger(BUNDLED))
    pack = open_pack(config)
    write_json(folder / "conditions" / "gate.json", vars(calibrate_gate(config, pack)))
    needed = _needed(screenings, {row.identity_id for row in rows}, {row.scene_id for row in rows})
    tables = prepare_tables(config, plan.spec, needed, lambda: ReferenceNets(pack, size=core_size(config.models), threads=config.threads))
    write_tables(folder / "conditions", tables)


def _needed(screenings: Screenings, people: set[str], scenes: set[str]) -> Screenings:
    """The pictures of these people and scenes, and all of expressions."""
    identities, backgrounds = screenings.identities, screenings.scenes
    if identities:
        identities = dataclasses.replace(identities, usable=tuple(item for item in identities.usable if item.name in people or item.file in scenes))
    if backgrounds:
        backgrounds = dataclasses.replace(backgrounds, usable=tuple(item for item in backgrounds.usable if item.file in scenes))
    return dataclasses.replace(screenings, identities=identities, scenes=backgrounds)


def _sample_bytes(answer: Answer, row: ManifestRow) -> int:
    """Of the three members of a sample in a tar; the label has placeholders of the same length for what only a run knows."""
    known: dict[str, Any] = {field.name: None for field in dataclasses.fields(SampleRecord)}
    known |= asked_fields(row, {word.word: word for word in vocabulary()})
    known |= {
        **answer.labels, "file_sha256": HASH, "pixel_sha256": answer.pixel_sha256, "width": answer.width, "height": answer.height, "format": "jpeg",
        "qc_accepted": answer.verdict.accepted, "qc_reject_reason": answer.verdict.reject_reason, "qc_gates_failed": answer.verdict.reasons,
        "attempt": answer.attempt, "seed": answer.seed, "sampler": "dpm++", "steps": 10, "guidance": 1.0, "model_bundle_id": HASH[:16],
        "manifest_sha256": HASH, "generator_version": "0.0.0", "marking": (),
    }  # fmt: skip
    label = len(record_json(SampleRecord(**known)))
    return sum(TAR_BLOCK + -(-size // TAR_BLOCK) * TAR_BLOCK for size in (len(answer.image), label, len(answer.label_map)))
