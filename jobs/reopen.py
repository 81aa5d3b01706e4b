"""All answers of a committed shard, rebuilt from its files, so that its slots can be tried again without losing what was made."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.attempts import Answer
from jobs.files import open_read, read_json
from jobs.locations import Location
from jobs.shards import member_names
from jobs.staging import Quarantined
from manifests.errors import InputError
from manifests.records import SampleRecord, records_from_table
from manifests.rows import sample_id
from manifests.verdicts import QCVerdict

# Fields of a label row that aren't measured by a worker: they follow from the manifest, the answer's other fields, or the run.
_NOT_MEASURED = (
    *("sample_id", "file_sha256", "pixel_sha256", "width", "height", "format", "split", "identity_id", "identity_index", "identity_group", "cell", "view"),
    *("mode", "req_expression_word", "req_intensity", "req_valence", "req_arousal", "expression_primary6", "expression_affectnet8", "expression_rafdb7"),
    *("req_scene_id", "req_pose_bin", "qc_accepted", "qc_reject_reason", "qc_gates_failed", "attempt", "seed", "sampler", "steps", "guidance"),
    *("model_bundle_id", "manifest_sha256", "generator_version", "marking"),
)


def answers_of_shard(folder: Location, marker: Mapping[str, Any]) -> tuple[list[Answer], list[Quarantined]]:
    """Answers of a committed shard in the order of slots and attempts, with their pictures, and why slots of it were set aside.

    Numbers have the 32-bit precision of the files, which is all that the files of a shard are made from: committing these answers gives the same bytes.
    """
    name = marker["shard"]
    attempts = _rows(folder, f"attempts/{name}.parquet")
    verdicts = {
        (row["slot"], row["attempt"]): QCVerdict(
            accepted=row["accepted"], reasons=tuple(row["reasons"]), measurements={item["name"]: item["value"] for item in row["measurements"]}
        )
        for row in attempts.to_pylist()
    }
    answers = [answer for place in ("data", "rejected") if f"{place}/{name}.tar" in marker["files"] for answer in _answers(folder, place, name, verdicts)]
    if len(answers) != len(verdicts):
        raise InputError(f'shard {name}: {len(answers):,} pictures for {len(verdicts):,} attempts. Run "facemint verify" on {folder}.')
    quarantined = [
        Quarantined(slot=entry["slot"], attempt=entry["attempt"], kind=entry["reason"], message=_message(folder, entry["slot"]))
        for entry in marker["quarantined"]
    ]
    return sorted(answers, key=lambda answer: (answer.slot, answer.attempt)), quarantined


def _answers(folder: Location, place: str, name: str, verdicts: Mapping[tuple[int, int], QCVerdict]) -> Iterator[Answer]:
    records = records_from_table(_rows(folder, f"{place}/{name}.parquet"))
    with open_read(folder / place / f"{name}.tar") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for record in records:
            contents = {}
            for expected in member_names(record.sample_id, record.format):  # type: ignore[arg-type] # facemint wrote it
                member = archive.next()
                if member is None or member.name != expected:
                    raise InputError(f'{place}/{name}.tar: got member {member and member.name}, expected {expected}. Run "facemint verify" on {folder}.')
                contents[expected] = archive.extractfile(member).read()  # type: ignore[union-attr] # facemint writes regular files only
            image, _, label_map = contents.values()
            slot = int(record.sample_id.partition("_")[0])
            yield Answer(
                slot=slot,
                attempt=record.attempt,
                seed=record.seed,
                image=image,
                label_map=label_map,
                width=record.width,
                height=record.height,
                pixel_sha256=record.pixel_sha256,
                verdict=verdicts[slot, record.attempt],
                labels=_labels(record),
            )


def _labels(record: SampleRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _NOT_MEASURED and value is not None}


def _rows(folder: Location, file: str) -> pa.Table:
    with open_read(folder / file) as stream:
        return pq.read_table(stream)


def _message(folder: Location, slot: int) -> str:
    path = folder / "quarantine" / f"{sample_id(slot)}.json"
    return str(read_json(path)["message"]) if path.is_file() else ""
