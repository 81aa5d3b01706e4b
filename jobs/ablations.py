"""facemint ablations: trains a core a little further without one of its parts at a time, and measures all of them on the swap benchmark."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from generator.training import ablations, few_steps_parts
from generator.training.ablations import ABLATIONS, Ablation
from generator.training.corpus import Corpus, load_corpus
from generator.training.loop import LoopConfig, train
from jobs.benchmark import OURS
from jobs.bundle import BUNDLED
from jobs.config import RunConfig
from jobs.evaluation import run_evaluation
from jobs.figure_config import about_core, figure_config, made_by
from jobs.files import read_json, write_json, write_whole
from jobs.training import parse_options
from manifests.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Column:
    """A figure of the table, and which way is better."""

    key: str
    title: str
    form: str
    higher: bool


COLUMNS = (
    Column(key="auditor.cosine_identity", title="cosine to identity", form=".3f", higher=True),
    Column(key="auditor.rank1", title="rank 1", form=".2f", higher=True),
    Column(key="expression_error", title="expression error", form=".4f", higher=False),
    Column(key="pose_error_deg", title="pose error (deg)", form=".2f", higher=False),
    Column(key="error_hole", title="error in the hole (grey levels)", form=".1f", higher=False),
)


@dataclass(frozen=True, kw_only=True)
class Check:
    """An order that DiffSFSR reports: the full model is better than a line in a figure."""

    than: str
    key: str
    says: str


CHECKS = (
    Check(than="first_encoder_alone", key="auditor.cosine_identity", says="compound identity beats a single encoder"),
    Check(than="no_third_encoder", key="auditor.cosine_identity", says="the third identity encoder helps"),
    Check(than="no_second_encoder", key="auditor.cosine_identity", says="the second identity encoder helps"),
    Check(than="no_background", key="pose_error_deg", says="the background condition wins on pose"),
    Check(than="no_background", key="error_hole", says="the background condition wins on error"),
    Check(than="diffswap_midpoint", key="auditor.cosine_identity", says="the posterior's midpoint beats DiffSwap's"),
)


def run_ablations(
    corpus: Path,
    work: Path,
    overrides: Sequence[str] = (),
    *,
    data: Sequence[Path] = (),
    limit: int | None = None,
    lines: Sequence[Ablation] = ABLATIONS,
    threads: int | None = None,
    say: Callable[[str], None] = click.echo,
) -> dict[str, Any]:
    """Trains and measures each line, writes WORK/ablations/ablations.json and .md, and returns what the first holds.

    corpus     folder with the corpus shards
    work       folder of a training; its bundled/core is what all lines go on from, or the core that comes with facemint where there is none
    overrides  steps=, batch_size=, learning_rate= of each training, and keys of the measuring such as sampler.steps=
    data       counterpart-*.tar files; none: those of the corpus folder
    limit      first quadruples only; None: all
    The same command again goes on where it was stopped.
    """
    data = data or sorted(corpus.rglob("counterpart-*.tar"))
    if not data:
        raise InputError(f'ablations: there is no counterpart-*.tar in "{corpus}". Name such files with --data.')
    options = parse_options("ablations", [word for word in overrides if _is_training(word)])
    config = figure_config([word for word in overrides if not _is_training(word)])
    changes = {name: value for name, value in (("batch_size", options.batch_size), ("learning_rate", options.learning_rate)) if value is not None}
    loop = dataclasses.replace(ablations.loop_config(options.steps or ablations.STEPS), **changes)  # type: ignore[arg-type]
    bundled = few_steps_parts.source(work / "bundled")
    torch.set_num_threads(threads or os.cpu_count() or 1)
    pictures = load_corpus(corpus)
    records = {}
    for line in lines:
        folder = work / "ablations" / line.name
        train_line(line, loop, pictures, work, bundled, folder, say)
        records[line.name] = measure_line(line, folder, data, config, limit, say)
    found = summary(records, {line.name: line.title for line in lines}, loop)
    write_json(work / "ablations" / "ablations.json", found)
    page = markdown(found)
    write_whole(work / "ablations" / "ablations.md", page)
    say(page)
    return found


def train_line(line: Ablation, loop: LoopConfig, corpus: Corpus, work: Path, bundled: Path, folder: Path, say: Callable[[str], None]) -> None:
    """Trains one line and writes its core, unless that was done with these settings and this start."""
    asked = {"loop": dataclasses.asdict(loop), "start": about_core(bundled / "core")["sha256"]}
    done = folder / "trained.json"
    if done.is_file() and read_json(done) == asked:
        say(f"{line.title}: trained already")
        return
    say(f"{line.title}: {loop.steps} steps of {loop.batch_size}")
    task = ablations.build(line, corpus, bundled / "core", encoders_of(bundled), work)
    train(task, loop, folder / "state", say=say)
    ablations.export(task, bundled / "core", folder / "core")
    write_json(done, asked)


def encoders_of(bundled: Path) -> Path:
    """The folder whose encoders a core was trained with: its own, or facemint's where it has none."""
    return bundled if (bundled / "recognisers").is_dir() else BUNDLED


def measure_line(line: Ablation, folder: Path, data: Sequence[Path], config: RunConfig, limit: int | None, say: Callable[[str], None]) -> dict[str, Any]:
    """The benchmark's record of one line; measured anew unless it is there for this core and these settings."""
    models = dataclasses.replace(config.models, core=str(folder / "core"))
    own = dataclasses.replace(config, models=models)
    path = folder / "evaluation.json"
    if path.is_file():
        record = read_json(path)
        same = (record["core"]["sha256"], record["sampler"]) == (about_core(folder / "core")["sha256"], dataclasses.asdict(config.sampler))
        if same and record["data"]["files"] == [file.name for file in data] and limit in (None, record["data"]["quadruples"]):
            say(f"{line.title}: measured already")
            return record
    return run_evaluation(data, folder, own, tasks=("swap-all",), limit=limit)


def summary(records: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str], loop: LoopConfig) -> dict[str, Any]:
    """Figures of each line, and which of the orders in CHECKS hold."""
    figures = {name: {column.key: record["methods"][OURS][column.key] for column in COLUMNS} for name, record in records.items()}
    higher = {column.key: column.higher for column in COLUMNS}
    checks = []
    for check in CHECKS:
        if check.than in figures and "full" in figures:
            full, other = (figures[name][check.key] for name in ("full", check.than))
            holds = (full["mean"] > other["mean"]) == higher[check.key] and full["mean"] != other["mean"]
            apart = full["low"] > other["high"] or full["high"] < other["low"]
            checks.append({**dataclasses.asdict(check), "full": full["mean"], "other": other["mean"], "holds": holds, "intervals_apart": apart})
    about = dict(next(iter(records.values())))
    about = {key: about[key] for key in about if key not in ("methods", "tasks")}
    about["core"] = {"name": "of each line"}
    return {"training": dataclasses.asdict(loop), "about": about, "titles": dict(titles), "figures": figures, "checks": checks}


def markdown(found: Mapping[str, Any]) -> str:
    """The table with 95 % intervals, the orders below it, and what both depend on."""
    count = found["about"]["data"]["quadruples"]
    rows = [f"| {count} swaps | " + " | ".join(f"{column.title} {'(higher)' if column.higher else '(lower)'}" for column in COLUMNS) + " |"]
    rows.append("| --- |" + " ---: |" * len(COLUMNS))
    for name, figures in found["figures"].items():
        cells = []
        for column in COLUMNS:
            figure = figures[column.key]
            cells.append(" ".join([format(figure["mean"], column.form), f"({format(figure['low'], column.form)} to {format(figure['high'], column.form)})"]))
        rows.append(f"| {found['titles'][name]} | " + " | ".join(cells) + " |")
    said = []
    for check in found["checks"]:
        certainty = "" if check["intervals_apart"] else "; the intervals overlap"
        said.append(f"- {check['says']}: {'yes' if check['holds'] else 'no'} ({check['full']:.4g} against {check['other']:.4g}{certainty})")
    loop = found["training"]
    about = [f"Each line: {loop['steps']} steps of {loop['batch_size']} at {loop['learning_rate']:g} from one core, equal batches.", *made_by(found["about"])]
    return "\n".join([*rows, "", *said, "", *about, ""])


def _is_training(word: str) -> bool:
    return word.partition("=")[0] in ("steps", "batch_size", "learning_rate")
