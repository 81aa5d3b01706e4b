"""facemint evaluate: swaps made by a core on the benchmark's three tasks, measured beside doing nothing, pasting, and the exact answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from generator.diffsfsr import DiffSFSR
from generator.loading import load_core
from jobs.benchmark import OURS, TASKS, Quadruples, Speed, TaskName, all_methods, conditions_of, load_quadruples, make_swaps, task_of
from jobs.benchmark_figures import Figure, Judges, measure_methods, read_references
from jobs.benchmark_report import TITLES, markdown, rich_table, strip_sheet, table_lines
from jobs.bundle import BUNDLED, core_folder, core_size
from jobs.conditions import AUDITOR
from jobs.config import RunConfig
from jobs.figure_config import about_core, about_machine, figure_config, sampler_of
from jobs.files import sha256_of, write_json, write_whole
from jobs.images import encode
from manifests.errors import InputError
from qc.expression import ExpressionEncoder, ExpressionEstimator
from qc.faces import FaceDetector
from qc.packs import Detector, insightface_pack
from qc.parsing import FaceParser
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models

BUNDLED_DETECTOR = "face_detector"


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What was made and measured of one task."""

    quadruples: Quadruples
    ours: NDArray[np.uint8]  # (N, H, W, 3)
    figures: dict[str, dict[str, Figure]]  # method -> figure


def run_evaluation(
    data: Sequence[Path],
    out: Path | None,
    config: RunConfig | None = None,
    *,
    tasks: Sequence[TaskName] = TASKS,
    pack: Path | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Measures a core on counterpart shards, prints a table for each task, and returns what evaluation.json holds.

    data    counterpart-*.tar files of the corpus
    out     folder for evaluation.json, evaluation.md and a strip of pictures for each task; None: nothing is written
    config  core, sampler, dtype, device, threads, batch_size and seed of a recipe; None: the defaults, in bfloat16
    pack    insightface folder whose recogniser and detector judge too
    limit   first quadruples only; None: all
    Equal inputs give equal figures, but for the seconds.
    """
    if not data:
        raise InputError("evaluation: no shards were named. Give --data counterpart-*.tar files of the corpus.")
    if limit is not None and limit < 1:
        raise InputError(f"evaluation: limit is {limit}, expected 1 or more.")
    config = config or figure_config()
    torch.set_num_threads(config.threads)
    folder = core_folder(config.models)
    quadruples = load_quadruples(data, size=core_size(config.models), limit=limit)
    core = load_core(folder, device=config.device, dtype=config.models.dtype)
    sampler = sampler_of(config)
    encoders = {name: Recogniser(BUNDLED / "recognisers" / f"{name}.onnx", threads=config.threads) for name in core.conditions.config.identity_dims}
    expression_encoder = ExpressionEncoder(BUNDLED / "expression" / "expression_encoder.onnx", threads=config.threads)
    judges = open_judges(encoders, pack, threads=config.threads)
    results: dict[TaskName, TaskResult] = {}
    console = Console()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        for name in tasks:
            asked = task_of(quadruples, name)
            conditions = conditions_of(asked, encoders, expression_encoder)
            tick = partial(bar.advance, bar.add_task(f"making pictures of {name}", total=len(asked)))
            ours, speed = make_swaps(core, conditions, sampler, tick=tick, batch_size=config.batch_size, run_seed=config.seed)
            waiting = bar.add_task(f"measuring {name}", total=None)
            figures = measure_methods(all_methods(asked, ours), asked, judges, read_references(asked, judges))
            bar.remove_task(waiting)
            figures[OURS] |= _cost(speed)
            results[name] = TaskResult(quadruples=asked, ours=ours, figures=figures)
    about = _about(data, folder, core, config, len(quadruples))
    lines = table_lines(list(judges.recognisers), list(judges.detectors))
    for name, result in results.items():
        console.print(rich_table(lines, result.figures, f"Swap benchmark, {len(quadruples)} quadruples. {TITLES[name]}"))
    if out is not None:
        written = _write(out, results, about, markdown(lines, {name: result.figures for name, result in results.items()}, about))
        console.print(f"Written: {out / written[0]}, {', '.join(written[1:])}")
    return _record(results, about)


def open_judges(encoders: Mapping[str, Recogniser], pack: Path | None, *, threads: int = 1) -> Judges:
    """The bundled judges, and those of an insightface pack; RoleError when a judge is one of the conditioners."""
    auditor = Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=threads)
    recognisers = {AUDITOR: auditor}
    detectors: dict[str, Detector] = {BUNDLED_DETECTOR: FaceDetector(BUNDLED / "faces" / "face_detector.onnx")}
    if pack is not None:
        judges = insightface_pack(pack, threads=threads)
        recognisers[judges.recogniser.name] = judges.recogniser
        detectors[judges.name] = judges.detector
    first, *others = [(recogniser.name, recogniser.sha256) for recogniser in recognisers.values()]
    refuse_shared_models({name: encoder.sha256 for name, encoder in encoders.items()}, first, others[0] if others else None)
    estimator = ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx", threads=threads)
    parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx", threads=threads)
    return Judges(recognisers=recognisers, detectors=detectors, estimator=estimator, parser=parser)


def _about(data: Sequence[Path], folder: Path, core: DiffSFSR, config: RunConfig, count: int) -> dict[str, Any]:
    return {
        "data": {"files": [path.name for path in data], "quadruples": count, "sha256": {path.name: sha256_of(path) for path in data}},
        "core": {**about_core(folder), "size": core.size},
        **about_machine(config),
    }


def _cost(speed: Speed) -> dict[str, Figure]:
    return {"seconds_per_image": Figure(mean=round(speed.seconds, 3)), "cpu_seconds_per_image": Figure(mean=round(speed.cpu_seconds, 3))}


def _record(results: Mapping[TaskName, TaskResult], about: Mapping[str, Any]) -> dict[str, Any]:
    """What evaluation.json holds: `methods` of swap all, which model cards show, and `tasks` for the others."""
    plain = {
        task: {method: {key: dataclasses.asdict(figure) for key, figure in found.items()} for method, found in result.figures.items()}
        for task, result in results.items()
    }
    return {**about, "methods": plain.pop("swap-all", {}), "tasks": plain}


def _write(out: Path, results: Mapping[TaskName, TaskResult], about: Mapping[str, Any], page: str) -> list[str]:
    write_json(out / "evaluation.json", _record(results, about))
    write_whole(out / "evaluation.md", page)
    names = ["evaluation.json", "evaluation.md"]
    for task, result in results.items():
        names.append("evaluation.png" if task == "swap-all" else f"evaluation-{task}.png")
        write_whole(out / names[-1], encode(strip_sheet(result.quadruples, result.ours), "png"))
    return names
