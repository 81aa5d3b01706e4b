"""Checks everything that the markers of a run promise: files, hashes, tars, labels, counts, and that every slot is accounted for."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.files import UNFINISHED
from jobs.images import EXTENSIONS
from jobs.shards import read_markers
from manifests.errors import InputError
from manifests.planner import read_manifest
from manifests.records import ATTEMPT_SCHEMA, LABEL_SCHEMA


def find_problems(folder: Path) -> Iterator[str]:
    """One sentence per broken promise; none when the run is whole."""
    if not (folder / "manifest").is_dir():
        raise InputError(f'verify: {folder} has no manifest, so it is no run folder. Name the --out of a run, or run "facemint plan".')
    slots = Counter(read_manifest(folder / "manifest")["slot"].to_pylist())
    markers = read_markers(folder)
    promised = set()
    answered: Counter[int] = Counter()
    for name, marker in markers.items():
        promised |= {f"data/{name}.json", *marker["files"]}
        yield from _shard_problems(folder, name, marker)
        answered.update(range(marker["start"], marker["stop"]))
    missing = sorted((slots - answered).keys())
    if missing:
        yield f"{len(missing):,} of {len(slots):,} slots are in no committed shard, the first is {missing[0]}"
    if answered - slots:
        yield f"slot {min((answered - slots).keys())} is in two shards or not in the manifest"
    for place in ("data", "rejected", "attempts"):
        for path in sorted((folder / place).glob("*")):
            file = path.relative_to(folder).as_posix()
            if file not in promised:
                kind = "an unfinished file of an interrupted run" if path.name.endswith(UNFINISHED) else "not promised by any marker"
                yield f"{file} is {kind}"


def _shard_problems(folder: Path, name: str, marker: dict[str, Any]) -> Iterator[str]:
    counts = marker["counts"]
    if counts["accepted"] + counts["unfilled"] != counts["slots"] or counts["slots"] != marker["stop"] - marker["start"]:
        yield f"shard {name}: {counts['accepted']} accepted and {counts['unfilled']} unfilled of {counts['slots']} slots don't add up"
    contents: dict[str, bytes] = {}
    for file, promise in marker["files"].items():
        path = folder / file
        if not path.is_file():
            yield f"{file} is missing"
            continue
        content = path.read_bytes()
        if len(content) != promise["bytes"] or hashlib.sha256(content).hexdigest() != promise["sha256"]:
            yield f"{file} has {len(content):,} bytes that are not the {promise['bytes']:,} promised ones"
            continue
        contents[file] = content
    for place, key in (("data", "accepted"), ("rejected", "rejected")):
        tar, parquet = f"{place}/{name}.tar", f"{place}/{name}.parquet"
        if counts[key] and not {tar, parquet} <= set(marker["files"]):
            yield f"shard {name}: {counts[key]} {key} samples are promised without files"
        elif tar in contents and parquet in contents:
            yield from (f"{tar}: {problem}" for problem in _sample_problems(contents[tar], contents[parquet], counts[key]))
    attempts = f"attempts/{name}.parquet"
    if attempts in contents:
        table = _read_parquet(contents[attempts])
        if not table.schema.equals(ATTEMPT_SCHEMA) or table.num_rows != counts["attempts"]:
            yield f"{attempts} has {table.num_rows} rows or another schema, {counts['attempts']} were promised"


def _sample_problems(tar: bytes, parquet: bytes, count: int) -> Iterator[str]:
    table = _read_parquet(parquet)
    if not table.schema.equals(LABEL_SCHEMA):
        yield "the Parquet file beside it has another schema"
        return
    members: dict[str, bytes] = {}
    names: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        for member in archive:
            names.append(member.name)
            members[member.name] = archive.extractfile(member).read()  # type: ignore[union-attr] # facemint writes regular files only
    labels = table.select(["sample_id", "file_sha256", "format"]).to_pylist()
    expected = [name for row in labels for name in _names(row)]
    if names != expected or len(labels) != count:
        yield f"{len(names)} members for {len(labels)} labels, {count} samples were promised; or their names differ"
        return
    for row in labels:
        image, text, _ = _names(row)
        if hashlib.sha256(members[image]).hexdigest() != row["file_sha256"]:
            yield f"{image} is not the picture that its label names"
        if json.loads(members[text])["sample_id"] != row["sample_id"]:
            yield f"{text} is the label of another sample"


def _names(row: dict[str, Any]) -> tuple[str, str, str]:
    key = row["sample_id"]
    return f"{key}.{EXTENSIONS[row['format']]}", f"{key}.json", f"{key}.seg.png"


def _read_parquet(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))
