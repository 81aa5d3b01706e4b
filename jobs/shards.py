"""A shard on disk: tar and Parquet of accepted pictures, of rejected ones, all attempts, and the marker that promises them, written last."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.attempts import Answer
from jobs.files import read_json, write_json, write_whole
from jobs.images import EXTENSIONS, Format
from jobs.scheduler import ShardOutcome
from manifests.errors import InputError, ResumeMismatch
from manifests.records import AttemptRecord, SampleRecord, asked_fields, attempts_table, record_json, table_from_records
from manifests.rows import ManifestRow, sample_id
from manifests.vocabulary import Word

MARKER_VERSION = 1
MEASURED = ("obs_", "sim_", "q_", "n_", "bbox", "landmarks5", "expression_error")  # columns that a picture without a face has no values of


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What every sample of a run shares."""

    run_hash: str  # of configuration, manifest, conditions and weights; a shard made under another one is not taken over
    image_format: Format
    faces_required: bool  # no picture without a face is accepted, so every accepted one is measured
    sampler: str
    steps: int
    guidance: float
    model_bundle_id: str
    manifest_sha256: str
    generator_version: str


def commit_shard(folder: Path, outcome: ShardOutcome, rows: Sequence[ManifestRow], answers: Iterable[Answer], provenance: Provenance,
                 words: Mapping[str, Word]) -> dict[str, Any]:  # fmt: skip
    """Writes all files of a resolved shard and then its marker, which is returned. Equal answers in any order give equal bytes."""
    name = outcome.plan.name
    row_of = {row.slot: row for row in rows}
    ordered = sorted(answers, key=lambda answer: (answer.slot, answer.attempt))
    accepted = [answer for answer in ordered if outcome.filled.get(answer.slot) == answer.attempt]
    rejected = [answer for answer in ordered if not answer.verdict.accepted]
    files: dict[str, dict[str, Any]] = {}
    for place, chosen in (("data", accepted), ("rejected", rejected)):
        if not chosen:
            continue  # an empty tar can't be read as a data set
        keys = {id(answer): sample_id(answer.slot) if place == "data" else rejected_id(answer.slot, answer.attempt) for answer in chosen}
        records = [_record(keys[id(answer)], answer, row_of[answer.slot], provenance, words) for answer in chosen]
        extension = EXTENSIONS[provenance.image_format]
        members = []
        for answer, record in zip(chosen, records, strict=True):
            key = keys[id(answer)]
            label = json_label(record, measured=place == "data" and provenance.faces_required)
            members += [(f"{key}.{extension}", answer.image), (f"{key}.json", label), (f"{key}.seg.png", answer.label_map)]
        _write(folder, f"{place}/{name}.tar", tar_bytes(members), files)
        _write(folder, f"{place}/{name}.parquet", parquet_bytes(table_from_records(records)), files)
    attempts = [_attempt_record(answer, row_of[answer.slot]) for answer in ordered]
    _write(folder, f"attempts/{name}.parquet", parquet_bytes(attempts_table(attempts)), files)
    marker = {
        "version": MARKER_VERSION,
        "shard": name,
        "split": outcome.plan.split,
        "start": outcome.plan.start,
        "stop": outcome.plan.stop,
        "run_hash": provenance.run_hash,
        "counts": {"slots": len(rows), "accepted": len(accepted), "rejected": len(rejected), "attempts": len(ordered), "unfilled": len(outcome.unfilled)},
        "unfilled": [_unfilled(row_of[slot], [answer for answer in ordered if answer.slot == slot]) for slot in outcome.unfilled],
        "files": files,
    }
    write_json(folder / "data" / f"{name}.json", marker)
    return marker


def json_label(record: SampleRecord, *, measured: bool) -> bytes:
    """The label of a sample in a tar: the same keys with the same types in every sample of a run.

    subtle: datasets.load_dataset("webdataset") takes types from the first five samples and fails when a null is followed by a value. So a word
    without a class has "" and 0 here, where the Parquet column has null, and what may be missing (`measured` false) is in Parquet only.
    """
    fields: dict[str, Any] = json.loads(record_json(record))
    for name in ("expression_primary6", "expression_affectnet8"):
        fields[name] = fields[name] or ""
    fields["expression_rafdb7"] = fields["expression_rafdb7"] or 0
    if not measured:
        fields = {name: value for name, value in fields.items() if not name.startswith(MEASURED)}
    return json.dumps(fields, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def rejected_id(slot: int, attempt: int) -> str:
    """Key of a rejected picture: the slot as 12 digits and the attempt."""
    return f"{sample_id(slot)}_{attempt:03d}"


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A USTAR archive of (name, content) in the given order, with times and owners zero, so that equal contents give equal bytes."""
    archive = io.BytesIO()
    for name, content in members:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o644
        archive.write(member.tobuf(tarfile.USTAR_FORMAT))
        archive.write(content)
        archive.write(bytes(-len(content) % tarfile.BLOCKSIZE))
    archive.write(bytes(2 * tarfile.BLOCKSIZE))
    archive.write(bytes(-archive.tell() % tarfile.RECORDSIZE))
    return archive.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as one Parquet file with one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, table.num_rows), compression="zstd")
    return sink.getvalue().to_pybytes()


def read_markers(folder: Path) -> dict[str, dict[str, Any]]:
    """Markers of the committed shards by shard name."""
    return {path.stem: read_json(path) for path in sorted((folder / "data").glob("*-*.json"))}


def committed_shards(folder: Path, run_hash: str) -> set[str]:
    """Names of shards that are complete; one made under another run hash raises ResumeMismatch, one that lost a file is made again."""
    complete = set()
    for name, marker in read_markers(folder).items():
        if marker["run_hash"] != run_hash:
            raise ResumeMismatch(
                f"run folder {folder}: shard {name} was made from run {marker['run_hash'][:12]}..., this is run {run_hash[:12]}.... "
                "Recipe, weights, references or version differ; use another --out."
            )
        sizes = {file: promise["bytes"] for file, promise in marker["files"].items()}
        if all((folder / file).is_file() and (folder / file).stat().st_size == size for file, size in sizes.items()):
            complete.add(name)
    return complete


def _write(folder: Path, file: str, content: bytes, files: dict[str, dict[str, Any]]) -> None:
    files[file] = {"bytes": len(content), "sha256": write_whole(folder / file, content)}


def _record(key: str, answer: Answer, row: ManifestRow, provenance: Provenance, words: Mapping[str, Word]) -> SampleRecord:
    fields: dict[str, Any] = {field.name: None for field in dataclasses.fields(SampleRecord)}
    fields |= asked_fields(row, words)
    unknown = set(answer.labels) - set(fields)
    if unknown:
        raise InputError(f"shards: a worker measured {', '.join(sorted(unknown))}, which is no label. Add it to SampleRecord.")
    fields |= answer.labels
    fields |= {
        "sample_id": key,
        "file_sha256": hashlib.sha256(answer.image).hexdigest(),
        "pixel_sha256": answer.pixel_sha256,
        "width": answer.width,
        "height": answer.height,
        "format": provenance.image_format,
        "qc_accepted": answer.verdict.accepted,
        "qc_reject_reason": answer.verdict.reject_reason,
        "qc_gates_failed": answer.verdict.reasons,
        "attempt": answer.attempt,
        "seed": answer.seed,
        "sampler": provenance.sampler,
        "steps": provenance.steps,
        "guidance": provenance.guidance,
        "model_bundle_id": provenance.model_bundle_id,
        "manifest_sha256": provenance.manifest_sha256,
        "generator_version": provenance.generator_version,
        "marking": (),
    }
    return SampleRecord(**fields)


def _attempt_record(answer: Answer, row: ManifestRow) -> AttemptRecord:
    return AttemptRecord(
        slot=answer.slot,
        attempt=answer.attempt,
        seed=answer.seed,
        cell=row.cell,
        identity_id=row.identity_id,
        expression=row.expression,
        accepted=answer.verdict.accepted,
        reasons=answer.verdict.reasons,
        measurements=answer.verdict.measurements,
    )


def _unfilled(row: ManifestRow, answers: Sequence[Answer]) -> dict[str, Any]:
    reasons = Counter(reason for answer in answers for reason in answer.verdict.reasons)
    return {
        "slot": row.slot,
        "cell": row.cell,
        "identity_id": row.identity_id,
        "expression": row.expression,
        "scene_id": row.scene_id,
        "attempts": len(answers),
        "reasons": dict(sorted(reasons.items())),
    }
