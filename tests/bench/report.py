"""Seconds and peak memory of a report on a million label rows: python -m tests.bench.report [rows] [folder].

Writes Parquet shards of 10,000 slots with drawn numbers (accepted and rejected label rows, attempts, slots), then reads them in a fresh process and
computes the report from them, with embeddings of 3,000 drawn pictures. Pictures are neither written nor embedded; writing the shards is not timed.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.records import ATTEMPT_SCHEMA, LABEL_SCHEMA, SLOT_SCHEMA
from manifests.verdicts import REJECT_REASONS
from manifests.vocabulary import vocabulary

SHARD, PEOPLE, SCENES, ACCEPTED = 10_000, 20_000, 72, 0.7
EXTRA = ("expression_error_share", "face_count", "landmark_offset", "pose_error", "second_face_area", "sharpness_ratio")


def write_shards(folder: Path, rows: int) -> None:
    """Shards with `rows` label rows in all, and their markers."""
    slots = round(rows * ACCEPTED)
    for place in ("data", "rejected", "attempts", "slots"):
        (folder / place).mkdir(parents=True)
    words = [word.word for word in vocabulary()]
    for start in range(0, slots, SHARD):
        count = min(SHARD, slots - start)
        draw = np.random.default_rng(start)
        name = f"train-{start // SHARD:06d}"
        slot = np.arange(start, start + count)
        lost = np.sort(draw.choice(slot, round(count * (1 - ACCEPTED) / ACCEPTED), replace=False))
        person, word = slot % min(PEOPLE, max(2, slots // 40)), draw.integers(0, len(words), count)
        files: dict[str, Any] = {}
        attempt_of = np.isin(slot, lost).astype(np.int16)
        for place, number, attempt in (("data", slot, attempt_of), ("rejected", lost, np.zeros(len(lost), np.int16))):
            pq.write_table(_labels(draw, number, attempt, accepted=place == "data"), folder / place / f"{name}.parquet")
            files[f"{place}/{name}.parquet"] = {}
        order = np.argsort(np.concatenate([lost * 2, slot * 2 + 1]), kind="stable")
        both, number = np.concatenate([lost, slot])[order], np.concatenate([np.zeros(len(lost), np.int16), attempt_of])[order]
        pq.write_table(
            _attempts(draw, both, number, np.concatenate([np.zeros(len(lost), bool), np.ones(count, bool)])[order]), folder / "attempts" / f"{name}.parquet"
        )
        pq.write_table(_slots(slot, person, [words[k] for k in word]), folder / "slots" / f"{name}.parquet")
        marker = {"start": start, "stop": start + count, "files": files, "counts": {"attempts": len(both)}}
        (folder / "data" / f"{name}.json").write_text(json.dumps(marker))


def _labels(draw: np.random.Generator, slot: np.ndarray, attempt: np.ndarray, *, accepted: bool) -> pa.Table:
    count = len(slot)
    columns: dict[str, Any] = {}
    for field in LABEL_SCHEMA:
        if pa.types.is_float32(field.type):
            columns[field.name] = pa.array(draw.normal(0.4, 0.15, count).astype(np.float32))
        elif pa.types.is_integer(field.type):
            columns[field.name] = pa.array(draw.integers(0, 100, count)).cast(field.type)
        elif pa.types.is_string(field.type):
            columns[field.name] = pa.array(["a"] * count)
        elif pa.types.is_boolean(field.type):
            columns[field.name] = pa.array([accepted] * count)
        else:
            columns[field.name] = pa.nulls(count, field.type)
    names = [f"{number:012d}" for number in slot.tolist()]
    columns["sample_id"] = pa.array(names if accepted else [f"{name}_{number:03d}" for name, number in zip(names, attempt.tolist(), strict=True)])
    columns["attempt"] = pa.array(attempt)
    for name in ("file_sha256", "pixel_sha256"):
        columns[name] = pa.array(_digests(draw, count))
    columns["phash64"] = pa.array(draw.integers(0, 1 << 63, count, dtype=np.uint64))
    columns["seed"] = pa.array(draw.integers(0, 1 << 63, count, dtype=np.uint64))
    probabilities = draw.dirichlet(np.full(8, 0.3), count).astype(np.float32)
    columns["obs_expression_probs"] = pa.ListArray.from_arrays(np.arange(0, 8 * count + 1, 8), probabilities.ravel())
    columns["landmarks5"] = pa.ListArray.from_arrays(np.arange(0, 10 * count + 1, 10), np.full(10 * count, 50, np.float32))
    failed = [] if accepted else [[REJECT_REASONS[k]] for k in draw.integers(5, 8, count)]
    columns["qc_gates_failed"] = pa.array(failed or [[]] * count, pa.list_(pa.string()))
    columns["marking"] = pa.array([[]] * count, pa.list_(pa.string()))
    return pa.Table.from_pydict({name: columns[name] for name in LABEL_SCHEMA.names}, schema=LABEL_SCHEMA)


def _digests(draw: np.random.Generator, count: int) -> list[str]:
    text = draw.bytes(32 * count).hex()
    return [text[64 * k : 64 * k + 64] for k in range(count)]


def _attempts(draw: np.random.Generator, slot: np.ndarray, attempt: np.ndarray, accepted: np.ndarray) -> pa.Table:
    count, width = len(slot), 90
    names = [*EXTRA, *(f"n_{k:02d}" for k in range(width - len(EXTRA)))]
    items = pa.StructArray.from_arrays(
        [pa.DictionaryArray.from_arrays(np.tile(np.arange(width), count), names).cast(pa.string()), pa.array(draw.random(width * count, np.float32))],
        names=["name", "value"],
    )
    columns = {
        "slot": slot,
        "attempt": attempt,
        "seed": np.zeros(count, np.uint64),
        "cell": slot,
        "identity_id": ["a"] * count,
        "expression": ["a"] * count,
        "accepted": accepted,
        "reasons": pa.array([[]] * count, pa.list_(pa.string())),
        "measurements": pa.ListArray.from_arrays(np.arange(0, width * count + 1, width), items),
    }
    return pa.Table.from_pydict(columns, schema=ATTEMPT_SCHEMA)


def _slots(slot: np.ndarray, person: np.ndarray, words: list[str]) -> pa.Table:
    count = len(slot)
    columns = {
        "slot": slot,
        "sample_id": [f"{number:012d}" for number in slot.tolist()],
        "split": ["train" if number % 10 else "test" for number in person.tolist()],
        "cell": slot,
        "identity_id": [f"sampled-{number:06d}" for number in person.tolist()],
        "expression": words,
        "scene_id": [f"scene-{number % SCENES:03d}" for number in slot.tolist()],
        "identity_group": pa.nulls(count, pa.string()),
        "pose_bin": [("0-15", "15-45", "45+")[number % 3] for number in slot.tolist()],
        "status": ["filled"] * count,
        "attempt": np.ones(count, np.int16),
        "attempts": np.ones(count, np.int16),
        "reason": pa.nulls(count, pa.string()),
        "reject_reasons": pa.array([[]] * count, pa.list_(pa.string())),
    }
    return pa.Table.from_pydict(columns, schema=SLOT_SCHEMA)


def measure(folder: Path) -> None:
    """Reads the shards and computes the report, and prints a line for each."""
    from jobs.shards import read_markers
    from jobs.summary_inputs import read_run_tables
    from jobs.summary_pictures import read_gallery, read_reference
    from qc.report.inputs import Embedded, People, ReportInputs, spread
    from qc.report.summary import build_summary

    start = time.perf_counter()
    tables = read_run_tables(folder, read_markers(folder))
    _line("reading", start)
    draw = np.random.default_rng(0)
    chosen, names = spread(len(tables.attempts), 3000), list(dict.fromkeys(tables.slots["identity_id"]))

    def unit(count: int, width: int) -> np.ndarray:
        rows = draw.standard_normal((count, width)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    embedded = Embedded(
        row=chosen, gate=unit(3000, 160), auditor=unit(3000, 160), pixels=unit(3000, 768), background=unit(3000, 432),
        file_bytes=draw.integers(5000, 9000, 3000), phash64=draw.integers(0, 1 << 63, 3000, dtype=np.uint64),
        mirrored_phash64=draw.integers(0, 1 << 63, 3000, dtype=np.uint64),
        phash256=draw.integers(0, 256, (3000, 32), dtype=np.uint8), mirrored_phash256=draw.integers(0, 256, (3000, 32), dtype=np.uint8),
    )  # fmt: skip
    from jobs.config import RunConfig

    inputs = ReportInputs(
        title="", command="", created="", config_sha256="", manifest_sha256="", bundle_id="", version="", seed=0, seconds=None, uncommitted=0,
        slots=tables.slots, attempts=tables.attempts, labels=tables.labels, embedded=embedded,
        people=People(identity_ids=names, gate=unit(len(names), 160), auditor=unit(len(names), 160)), gallery=read_gallery(RunConfig()),
        reference=read_reference(), classes={word.word: word.affectnet8 for word in vocabulary()}, calibration=None, models=(), versions={},
    )  # fmt: skip
    middle = time.perf_counter()
    if os.environ.get("PROFILE"):
        import cProfile
        import pstats

        profile = cProfile.Profile()
        summary = profile.runcall(build_summary, inputs)
        pstats.Stats(profile).sort_stats("cumtime").print_stats(45)
    else:
        summary = build_summary(inputs)
    _line("report", middle)
    _line(f"both, {summary['counts']['attempts']:,} label rows", start)


def _line(what: str, start: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:36s} {time.perf_counter() - start:7.1f} s   {time.process_time():6.1f} s of CPU so far   peak {peak:5.2f} GB", flush=True)  # noqa: T201


def main() -> None:
    """Writes the shards, then measures in another process."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch) / "run"
        if not folder.exists():
            write_shards(folder, rows)
        print(f"{rows:,} label rows; {os.cpu_count()} cores, {platform.machine()}, numpy {np.__version__}, Python {platform.python_version()}", flush=True)  # noqa: T201
        subprocess.run([sys.executable, "-c", f"from tests.bench.report import measure; from pathlib import Path; measure(Path({str(folder)!r}))"], check=True)


if __name__ == "__main__":
    main()
