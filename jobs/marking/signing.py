"""Signed copies of the accepted shards of a finished run: signing gives other bytes each time, so a run's own shards stay as they are."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.files import json_text, open_read, read_json, whole_file, write_once, write_whole
from jobs.images import EXTENSIONS, Format
from jobs.lease import Lease
from jobs.locations import Location
from jobs.marking.iptc import SourceType, source_type_of
from jobs.marking.marker import C2PA
from jobs.shards import read_markers
from jobs.tar import TarWriter
from manifests.errors import InputError

FOLDER = "signed"

Sign = Callable[[bytes, Format, SourceType], bytes]


def sign_run(folder: Location, sign: Sign, *, photographs: bool) -> Iterator[str]:
    """Writes signed/NAME.tar, .parquet and, last, .json for each committed shard; yields the names of those that it wrote.

    A shard that was signed already is left alone while the run's shard is the same, so a command that was killed is completed by running it again.
    photographs  whether what surrounds the faces was photographed
    """
    markers = read_markers(folder)
    if not markers:
        raise InputError(f'mark: {folder} has no committed shards. Run "facemint run" first.')
    source_type = source_type_of(photograph=photographs)
    with Lease(folder):
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        for name, marker in sorted(markers.items()):
            promise = marker["files"].get(f"data/{name}.tar")
            if promise is None or _is_signed(folder, name, promise["sha256"]):
                continue
            (folder / FOLDER / f"{name}.json").unlink(missing_ok=True)
            files = _sign_shard(folder, name, promise["sha256"], lambda content, form: sign(content, form, source_type))
            write_once(folder / FOLDER / f"{name}.json", json_text({"shard": name, "signed_from": promise["sha256"], "files": files}))
            yield name


def _is_signed(folder: Location, name: str, sha256: str) -> bool:
    place = folder / FOLDER / f"{name}.json"
    if not place.is_file():
        return False
    signed = read_json(place)
    return signed["signed_from"] == sha256 and all((folder / file).is_file() for file in signed["files"])


def _sign_shard(folder: Location, name: str, sha256: str, sign: Callable[[bytes, Format], bytes]) -> dict[str, Any]:
    """Writes the tar and its labels; raises InputError when the run's shard isn't the promised one."""
    hashes: dict[str, str] = {}  # sample -> sha256 of its signed file
    digest = hashlib.sha256()
    with open_read(folder / "data" / f"{name}.tar") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != sha256:
        raise InputError(f'mark: data/{name}.tar is not the file that its marker promises. Run "facemint verify" on {folder}.')
    with (
        open_read(folder / "data" / f"{name}.tar") as stream,
        tarfile.open(fileobj=stream, mode="r:") as archive,
        whole_file(folder / FOLDER / f"{name}.tar") as out,
    ):
        tar = TarWriter(out.write)
        for member in archive:
            content = archive.extractfile(member).read()  # type: ignore[union-attr] # facemint writes regular files only
            key, _, extension = member.name.partition(".")
            if extension in EXTENSIONS.values():
                content = sign(content, _form(extension))
                hashes[key] = hashlib.sha256(content).hexdigest()
            elif extension == "json":
                label = json.loads(content)
                label |= {"file_sha256": hashes[key], "marking": [*label["marking"], C2PA]}
                content = json.dumps(label, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
            tar.add([(member.name, content)])
        tar.close()
    table = _table(folder / "data" / f"{name}.parquet", hashes)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, table.num_rows), compression="zstd")
    labels = sink.getvalue().to_pybytes()
    return {
        f"{FOLDER}/{name}.tar": {"bytes": out.size, "sha256": out.sha256},
        f"{FOLDER}/{name}.parquet": {"bytes": len(labels), "sha256": write_whole(folder / FOLDER / f"{name}.parquet", labels)},
    }


def _form(extension: str) -> Format:
    return "jpeg" if extension == EXTENSIONS["jpeg"] else "png"


def _table(place: Location, hashes: dict[str, str]) -> pa.Table:
    with open_read(place) as stream:
        table = pq.read_table(stream)
    digests = [hashes[key] for key in table["sample_id"].to_pylist()]
    marks = [[*mark, C2PA] for mark in table["marking"].to_pylist()]
    for name, values in (("file_sha256", digests), ("marking", marks)):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(column), pa.array(values, type=table.schema.field(column).type))
    return table
