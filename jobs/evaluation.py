"""facemint evaluate: swaps whose exact answer is known, made by a core and measured beside doing nothing, pasting, and the answer."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from generator.diffsfsr import DiffSFSR, Precision
from generator.loading import load_core
from generator.sampler import SamplerConfig
from jobs.benchmark import BATCH_SIZE, OURS, Speed, all_methods, conditions_of, load_quadruples, swap_all
from jobs.benchmark_figures import Figure, Judges, measure_methods, read_references
from jobs.benchmark_report import markdown, rich_table, strip_sheet, table_lines
from jobs.bundle import BUNDLED, core_size, facemint_version
from jobs.conditions import AUDITOR
from jobs.files import sha256_of, write_json, write_whole
from jobs.images import encode
from jobs.sections import ModelsSection, SamplerSection
from manifests.errors import InputError
from qc.expression import ExpressionEncoder, ExpressionEstimator
from qc.faces import FaceDetector
from qc.packs import Detector, insightface_pack
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models

THREADS = 1
BUNDLED_DETECTOR = "face_detector"


def run_evaluation(
    data: Sequence[Path],
    out: Path | None,
    core_folder: Path | None = None,
    sampler: SamplerConfig | None = None,
    pack: Path | None = None,
    limit: int | None = None,
    dtype: Precision = "bfloat16",
) -> dict[str, Any]:
    """Measures a core on counterpart shards, prints the table, and returns what evaluation.json holds.

    data         counterpart-*.tar files of the corpus
    out          folder for evaluation.json, evaluation.md and evaluation.png; None: nothing is written
    core_folder  None: the bundled core
    pack         insightface folder whose recogniser and detector judge too
    limit        first quadruples only; None: all
    dtype        of the denoiser's arithmetic, as models.dtype of a recipe
    Equal inputs give equal figures, but for the seconds.
    """
    if not data:
        raise InputError("evaluation: no shards were named. Give --data counterpart-*.tar files of the corpus.")
    if limit is not None and limit < 1:
        raise InputError(f"evaluation: limit is {limit}, expected 1 or more.")
    sampler = sampler or SamplerConfig(**dataclasses.asdict(SamplerSection()))
    torch.set_num_threads(THREADS)
    folder = core_folder or BUNDLED / "core"
    quadruples = load_quadruples(data, size=core_size(ModelsSection(core=str(folder))), limit=limit)
    core = load_core(folder, dtype=dtype)
    encoders = {name: Recogniser(BUNDLED / "recognisers" / f"{name}.onnx", threads=THREADS) for name in core.conditions.config.identity_dims}
    judges = open_judges(encoders, pack)
    conditions = conditions_of(quadruples, encoders, ExpressionEncoder(BUNDLED / "expression" / "expression_encoder.onnx", threads=THREADS))
    console = Console()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making pictures", total=len(quadruples))
        ours, speed = swap_all(core, conditions, sampler, tick=lambda rows: bar.advance(task, rows))
        bar.add_task("measuring", total=None)
        figures = measure_methods(all_methods(quadruples, ours), quadruples, judges, read_references(quadruples, judges))
    figures[OURS] |= _cost(speed)
    lines = table_lines(list(judges.recognisers), list(judges.detectors))
    result = {**_about(data, folder, core, sampler, len(quadruples)), "methods": _plain(figures)}
    console.print(rich_table(lines, figures, f"Swap benchmark, {len(quadruples)} quadruples"))
    if out is not None:
        write_json(out / "evaluation.json", result)
        write_whole(out / "evaluation.md", markdown(lines, figures, result))
        write_whole(out / "evaluation.png", encode(strip_sheet(quadruples, ours), "png"))
        console.print(f"Written: {out / 'evaluation.json'}, evaluation.md, evaluation.png")
    return result


def open_judges(encoders: Mapping[str, Recogniser], pack: Path | None) -> Judges:
    """The bundled judges, and those of an insightface pack; RoleError when a judge is one of the conditioners."""
    auditor = Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=THREADS)
    recognisers = {AUDITOR: auditor}
    detectors: dict[str, Detector] = {BUNDLED_DETECTOR: FaceDetector(BUNDLED / "faces" / "face_detector.onnx")}
    if pack is not None:
        judges = insightface_pack(pack, threads=THREADS)
        recognisers[judges.recogniser.name] = judges.recogniser
        detectors[judges.name] = judges.detector
    first, *others = [(recogniser.name, recogniser.sha256) for recogniser in recognisers.values()]
    refuse_shared_models({name: encoder.sha256 for name, encoder in encoders.items()}, first, others[0] if others else None)
    estimator = ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx", threads=THREADS)
    return Judges(recognisers=recognisers, detectors=detectors, estimator=estimator)


def _about(data: Sequence[Path], folder: Path, core: DiffSFSR, sampler: SamplerConfig, count: int) -> dict[str, Any]:
    """What the figures were made from; names of files and no folders, so that the result is the same anywhere."""
    weights = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json") and path.is_file())
    libraries = ("torch", "diffusers", "onnxruntime", "insightface", "numpy")
    return {
        "data": {"files": [path.name for path in data], "quadruples": count, "sha256": {path.name: sha256_of(path) for path in data}},
        "core": {
            "name": "bundled" if folder == BUNDLED / "core" else folder.name,
            "size": core.size,
            "sha256": {path.relative_to(folder).as_posix(): sha256_of(path) for path in weights},
        },
        "sampler": dataclasses.asdict(sampler),
        "dtype": str(core.dtype).removeprefix("torch."),
        "batch_size": BATCH_SIZE,
        "threads": THREADS,
        "device": _processor(),
        "versions": {"facemint": facemint_version(), "Python": platform.python_version(), **{name: metadata.version(name) for name in libraries}},
    }


def _processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cost(speed: Speed) -> dict[str, Figure]:
    return {"seconds_per_image": Figure(mean=round(speed.seconds, 3)), "cpu_seconds_per_image": Figure(mean=round(speed.cpu_seconds, 3))}


def _plain(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    return {method: {key: dataclasses.asdict(figure) for key, figure in found.items()} for method, found in figures.items()}
