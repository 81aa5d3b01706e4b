"""A shard on disk: tar and Parquet of accepted pictures, of rejected ones, all attempts, all slots, and the marker that promises them, written last."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.attempts import Answer
from jobs.files import UNFINISHED, file_sizes, json_text, read_jsons, whole_file, write_once, write_whole
from jobs.images import EXTENSIONS, Format
from jobs.label_rows import LabelRow, json_label, label_row, label_table
from jobs.locations import Location, found
from jobs.patience import patiently
from jobs.scheduler import ShardOutcome
from jobs.staging import Quarantined, Staged
from jobs.tar import TarWriter
from manifests.errors import ResumeMismatch
from manifests.records import SLOT_ASKED, SLOT_SCHEMA, AttemptRecord, asked_fields, attempts_table
from manifests.rows import ManifestRow, sample_id
from manifests.vocabulary import Word

MARKER_VERSION = 2
PLACES = ("data", "rejected", "attempts", "slots")  # folders of a run that hold files of shards

Pictures = Callable[[Staged], tuple[bytes, bytes]]  # image and label map of a logged answer


@dataclass(frozen=True, kw_only=True)
class EarlierRun:
    """What the first slots of a run that was extended since were made from."""

    stop: int  # one after the last of its slots
    run_hash: str
    manifest_sha256: str


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
    marking: tuple[str, ...] = ()  # marks that its pictures carry, as the label column names them
    earlier: tuple[EarlierRun, ...] = ()  # of a run that was extended, in the order of their slots

    def at(self, slot: int) -> Provenance:
        """That of a slot: the earlier run's own where one made it, so that a shard that is made again has the same bytes."""
        for each in self.earlier:
            if slot < each.stop:
                return dataclasses.replace(self, run_hash=each.run_hash, manifest_sha256=each.manifest_sha256, earlier=())
        return self


def commit_shard(folder: Location, outcome: ShardOutcome, rows: Sequence[ManifestRow], answers: Iterable[Staged], set_aside: Iterable[Quarantined],
                 provenance: Provenance, words: Mapping[str, Word], pictures: Pictures) -> dict[str, Any]:  # fmt: skip
    """Writes all files of a resolved shard and then its marker, which is returned. Equal answers in any order give equal bytes.

    answers    of the shard; those that have no part in its outcome are left out
    set_aside  why the outcome's quarantined slots were set aside
    pictures   reads the pictures of one answer, so that only one sample's are in memory
    """
    name = outcome.plan.name
    row_of = {row.slot: row for row in rows}
    counted = (staged for staged in answers if outcome.counts(staged.slot, staged.attempt))
    ordered = sorted(counted, key=lambda staged: (staged.slot, staged.attempt))
    accepted = [staged for staged in ordered if staged.accepted]
    rejected = [staged for staged in ordered if not staged.accepted]
    failures = {failure.slot: failure for failure in set_aside}
    shared = _shared(provenance)
    files: dict[str, dict[str, Any]] = {}
    for place, chosen in (("data", accepted), ("rejected", rejected)):
        if not chosen:
            continue  # an empty tar can't be read as a data set
        labels = [_label(staged, row_of[staged.slot], shared, words, rejected=place == "rejected") for staged in chosen]
        table = label_table(labels)
        measured = place == "data" and provenance.faces_required
        samples = list(zip(chosen, [(label["sample_id"], json_label(label, measured=measured)) for label in labels], strict=True))
        files[f"{place}/{name}.tar"] = patiently(partial(_write_tar, folder / place / f"{name}.tar", samples, provenance.image_format, pictures))
        _write_table(folder, f"{place}/{name}.parquet", table, files)
    _write_table(folder, f"attempts/{name}.parquet", attempts_table([_attempt_record(staged.answer, row_of[staged.slot]) for staged in ordered]), files)
    answers_of: dict[int, list[Answer]] = {row.slot: [] for row in rows}
    for staged in ordered:
        answers_of[staged.slot].append(staged.answer)
    slots = [_slot(row, outcome, answers_of[row.slot], failures.get(row.slot)) for row in rows]
    _write_table(folder, f"slots/{name}.parquet", pa.Table.from_pylist(slots, schema=SLOT_SCHEMA), files)
    marker = {
        "version": MARKER_VERSION,
        "shard": name,
        "split": outcome.plan.split,
        "start": outcome.plan.start,
        "stop": outcome.plan.stop,
        "run_hash": provenance.run_hash,
        "counts": {
            "slots": len(rows),
            "accepted": len(accepted),
            "rejected": len(rejected),
            "attempts": len(ordered),
            "unfilled": len(outcome.unfilled),
            "quarantined": len(outcome.quarantined),
        },
        "unfilled": [_unfilled(row_of[slot], outcome, answers_of[slot]) for slot in outcome.unfilled],
        "quarantined": [_quarantined(row_of[slot], failures[slot]) for slot in outcome.quarantined],
        "files": files,
    }
    patiently(lambda: write_once(folder / "data" / f"{name}.json", json_text(marker)))
    return marker


def member_names(key: str, image_format: Format) -> tuple[str, str, str]:
    """Names in a tar of a sample's picture, label and label map."""
    return f"{key}.{EXTENSIONS[image_format]}", f"{key}.json", f"{key}.seg.png"


def rejected_id(slot: int, attempt: int) -> str:
    """Key of a rejected picture: the slot as 12 digits and the attempt."""
    return f"{sample_id(slot)}_{attempt:03d}"


def read_markers(folder: Location) -> dict[str, dict[str, Any]]:
    """Markers of the committed shards by shard name."""
    paths = found(folder / "data", "*-*.json")
    return dict(zip((path.stem for path in paths), read_jsons(paths), strict=True))


def committed_shards(folder: Location, run_hash: str, *, also: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Markers of the shards that are complete; one made under another run hash raises ResumeMismatch, one that lost a file is made again.

    also  further run hashes whose shards belong to this run
    """
    markers = read_markers(folder)
    sizes = _present_sizes(folder) if markers else {}
    complete = {}
    for name, marker in markers.items():
        if marker["run_hash"] not in (run_hash, *also):
            raise ResumeMismatch(
                f"run folder {folder}: shard {name} was made from run {marker['run_hash'][:12]}..., this is run {run_hash[:12]}.... "
                "Recipe, weights, references or version differ; use another --out."
            )
        if marker["version"] != MARKER_VERSION:
            raise ResumeMismatch(
                f"run folder {folder}: the marker of shard {name} has version {marker['version']}, expected {MARKER_VERSION}. "
                "Go on with the facemint that made it, or use another --out."
            )
        if all(sizes.get(file) == promise["bytes"] for file, promise in marker["files"].items()):
            complete[name] = marker
    return complete


def drop_unfinished_of(folder: Location, shards: Collection[str]) -> None:
    """Deletes temporary files that an interrupted commit of these shards left; those of others may be in use by the commands that make them."""
    if isinstance(folder, Path):
        for place in PLACES:
            for path in (folder / place).glob(f".*{UNFINISHED}"):
                if path.name[1:].partition(".")[0] in shards:
                    path.unlink(missing_ok=True)


def _present_sizes(folder: Location) -> dict[str, int]:
    """File -> bytes of what the places of shards hold, by one look at each place."""
    return {f"{place}/{name}": size for place in PLACES for name, size in file_sizes(folder / place).items()}


def _write_tar(place: Location, samples: Iterable[tuple[Staged, tuple[str, bytes]]], image_format: Format, pictures: Pictures) -> dict[str, Any]:
    """Writes (answer, (key, label)) as one archive, a sample at a time; returns what the marker promises of it."""
    with whole_file(place) as file:
        tar = TarWriter(file.write)
        for staged, (key, label) in samples:
            image, label_map = pictures(staged)
            tar.add(zip(member_names(key, image_format), (image, label, label_map), strict=True))
        tar.close()
    return {"bytes": file.size, "sha256": file.sha256}


def _write_table(folder: Location, file: str, table: pa.Table, files: dict[str, dict[str, Any]]) -> None:
    """Writes the table as one Parquet file with one row group."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, table.num_rows), compression="zstd", write_page_checksum=True)
    content = sink.getvalue().to_pybytes()
    files[file] = {"bytes": len(content), "sha256": patiently(lambda: write_whole(folder / file, content))}


def _shared(provenance: Provenance) -> dict[str, Any]:
    """The fields of a label row that all samples share."""
    names = ("sampler", "steps", "guidance", "model_bundle_id", "manifest_sha256", "generator_version")
    return {"format": provenance.image_format, "marking": provenance.marking, **{name: getattr(provenance, name) for name in names}}


def _label(staged: Staged, row: ManifestRow, shared: Mapping[str, Any], words: Mapping[str, Word], *, rejected: bool) -> LabelRow:
    answer = staged.answer
    its_own = {
        "sample_id": rejected_id(answer.slot, answer.attempt) if rejected else sample_id(answer.slot),
        "file_sha256": staged.logged.file_sha256,
        "pixel_sha256": answer.pixel_sha256,
        "width": answer.width,
        "height": answer.height,
        "qc_accepted": answer.verdict.accepted,
        "qc_reject_reason": answer.verdict.reject_reason,
        "qc_gates_failed": answer.verdict.reasons,
        "attempt": answer.attempt,
        "seed": answer.seed,
    }
    return label_row(asked_fields(row, words), answer.labels, its_own, shared)


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


def _slot(row: ManifestRow, outcome: ShardOutcome, answers: Sequence[Answer], failure: Quarantined | None) -> dict[str, Any]:
    """A row of SLOT_SCHEMA."""
    attempt = outcome.filled.get(row.slot)
    if attempt is not None:
        status, reason = "filled", None
    elif row.slot in outcome.quarantined:
        assert failure is not None
        status, reason = "quarantined", failure.kind
    else:
        status, reason = "unfilled", outcome.given_up.get(row.slot, "attempts")
    return {
        **{name: getattr(row, name) for name in SLOT_ASKED},
        "status": status,
        "attempt": attempt,
        "attempts": len(answers),
        "reason": reason,
        "reject_reasons": sorted({answer.verdict.reasons[0] for answer in answers if answer.verdict.reasons}),
    }


def _unfilled(row: ManifestRow, outcome: ShardOutcome, answers: Sequence[Answer]) -> dict[str, Any]:
    reasons = Counter(reason for answer in answers for reason in answer.verdict.reasons)
    return {
        **_asked(row),
        "attempts": len(answers),
        "reason": outcome.given_up.get(row.slot, "attempts"),
        "reasons": dict(sorted(reasons.items())),
    }


def _quarantined(row: ManifestRow, failure: Quarantined) -> dict[str, Any]:
    return {**_asked(row), "attempt": failure.attempt, "reason": failure.kind}  # its message is in quarantine/, because it may name a process


def _asked(row: ManifestRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("slot", "cell", "identity_id", "expression", "scene_id")}
