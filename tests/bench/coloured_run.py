"""Whole run folders with the fake core: recipe, manifest, stages, shards and a report's file, in about a second and without a model."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.config import RunConfig, config_from_words
from jobs.executors import Executor, InlineExecutor
from jobs.extend import extend_run
from jobs.files import sha256_of, write_json, write_whole
from jobs.graph import Planned, Run
from jobs.locations import Location
from jobs.make import MakeLimits, make_shards
from jobs.progress import ProgressLine
from jobs.ray_executor import RayExecutor
from jobs.retry import close_retries, reopen_shards
from jobs.shards import read_markers
from jobs.stages import run_stage
from tests.jobs.coloured import ColouredSpec

WORDS = (
    *("seed=5", "views=2", "identities.sampled.count=4", "expressions.words=[neutral,happiness,anger]", "scenes.bundled=3"),
    *("qc.rejecting=[identity,single_face]", "split.train=0.75", "split.val=0.25", "batch_size=4", "shard_size=6", "max_attempts=5", "image.format=png"),
)


class ColouredRun(Run):
    """As facemint run, with the fake core and without the nets that prepare and summarize need."""

    def __init__(self, folder: Location, config: RunConfig, spec: ColouredSpec) -> None:
        super().__init__(folder, config)
        self.spec = spec

    def prepare(self, planned: Planned) -> dict[str, str]:
        def work() -> list[Location]:
            write_json(self.folder / "conditions" / "gate.json", {"threshold": 0.5})
            return [self.folder / "conditions" / "gate.json"]

        return run_stage(self.folder, "prepare", {"plan": planned.plan.fingerprint(), **self._models()}, work)

    def make(self, planned: Planned, conditions: Mapping[str, str], *, local: bool = True, address: str | None = None, part: tuple[int, int] = (0, 1)) -> bool:
        def executor() -> Executor:
            return InlineExecutor(self.spec) if local else RayExecutor(self.spec, self.config.workers, placement=self.config.placement, address=address)

        config, provenance = self.config, self.provenance(planned.plan, conditions)
        limits = MakeLimits(
            max_attempts=config.max_attempts,
            batch_size=config.batch_size,
            cell_attempts=config.cell_attempts,
            min_acceptance=config.min_acceptance,
            isolation=config.isolation,
            reopened=reopen_shards(self.folder, provenance.run_hash).max_attempts,
        )
        finished = make_shards(self.folder, planned.plan, limits, provenance, executor, ProgressLine(self.folder), part=part)
        if finished and self._is_whole(planned.plan):
            run_stage(self.folder, "make", {"run": provenance.run_hash}, lambda: [self._write_run_record()])
            close_retries(self.folder)
        return finished

    def summarize(self) -> None:
        write_whole(self.folder / "report.html", "a report\n")
        inputs = {name: sha256_of(self.folder / "data" / f"{name}.json") for name in read_markers(self.folder)}
        write_json(self.folder / "stages" / "summarize.json", {"inputs": inputs, "outputs": {"report.html": sha256_of(self.folder / "report.html")}})


def coloured_run(folder: Location, *words: str, spec: ColouredSpec | None = None, local: bool = True, extend: bool = False) -> bool:
    """Makes a whole run, or goes on with one; False when it was asked to stop. `words` are key=value on top of WORDS.

    extend  the words only add to those of a finished run, which grows
    """
    config = config_from_words((*WORDS, *words))
    if extend:
        run = ColouredRun(folder, config_from_words(WORDS), ColouredSpec(acceptance=0.6))
        extend_run(folder, config, run._models(), run._open_screener)
    run = ColouredRun(folder, config, spec or ColouredSpec(acceptance=0.6))
    planned = run.plan()
    finished = run.make(planned, run.prepare(planned), local=local)
    if finished:
        run.summarize()
    return finished
