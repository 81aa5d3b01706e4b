"""What recognisers and pixels say of a spread of a run's pictures, and the galleries they are compared with."""

# P pictures, H W pixels

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.bundle import BUNDLED, SCENE_BANK
from jobs.conditions import AUDITOR, GATE, read_tables
from jobs.config import RunConfig
from jobs.files import open_read
from jobs.images import decode_grey, decode_rgb
from jobs.judging import open_pack
from jobs.locations import Location, location
from jobs.shards import rejected_id
from jobs.summary_inputs import POINTS
from manifests.errors import InputError
from manifests.face_mask import FACE_LABELS, HAIR, dilate
from manifests.rows import sample_id
from qc.alignment import recogniser_crops
from qc.dataset.duplicates import pixel_features
from qc.dataset.hashes import BYTES, phash64, phash64_mirrored, phash256, phash256_mirrored, phash256_rows
from qc.dataset.shortcuts import background_features
from qc.recognition import Recogniser
from qc.report.gallery_tiles import check_tiles
from qc.report.inputs import Embedded, Gallery, People, Reference, spread

MAX_EMBEDDED = 2000  # accepted pictures
MAX_REJECTED = 1000
MAX_SHARDS = 48  # whose tars are read
GROWTH = 0.02  # of the side, by which the face is grown before the background is looked at
GALLERY_BANK = BUNDLED / "banks" / "gallery.parquet"
GALLERY_SOURCE = "the bundled models"  # whose training people they are


def embed_pictures(folder: Location, config: RunConfig, markers: Mapping[str, Mapping[str, Any]], attempts: pd.DataFrame) -> Embedded | None:
    """Embeddings by gate and auditor and pixel features of at most 3,000 pictures with a face; None without any."""
    rows = choose_rows(attempts, [(int(m["start"]), int(m["stop"])) for m in markers.values()])
    if not len(rows):
        return None
    pack = open_pack(config)
    auditor = Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=config.threads)
    points = attempts[list(POINTS)].to_numpy(dtype=np.float32)[rows].reshape(-1, 5, 2)
    place = {_key(attempts, row): k for k, row in enumerate(rows.tolist())}
    names = ("gate", "auditor", "pixels", "background", "file_bytes", "phash64", "mirrored", "phash256", "mirrored256")
    found: dict[str, list[Any]] = {name: [None] * len(rows) for name in names}
    for key, content, label_map in read_samples(folder, markers, place):
        k, image = place[key], decode_rgb(content)
        crops = recogniser_crops([image], [points[k]])
        found["gate"][k], found["auditor"][k] = pack.recogniser.embed(crops)[0], auditor.embed(crops)[0]
        found["pixels"][k] = pixel_features([image])[0]
        found["background"][k] = background_features([image], [_person(label_map, image.shape[:2])])[0]
        found["file_bytes"][k], found["phash64"][k], found["mirrored"][k] = len(content), phash64(image), phash64_mirrored(image)
        found["phash256"][k], found["mirrored256"][k] = phash256(image), phash256_mirrored(image)
    there = np.array([value is not None for value in found["gate"]])
    kept = {name: [value for value in values if value is not None] for name, values in found.items()}
    if not there.any():
        return None
    return Embedded(
        row=rows[there],
        gate=np.stack(kept["gate"]),
        auditor=np.stack(kept["auditor"]),
        pixels=np.stack(kept["pixels"]),
        background=np.stack(kept["background"]),
        file_bytes=np.array(kept["file_bytes"], np.int64),
        phash64=np.array(kept["phash64"], np.uint64),
        mirrored_phash64=np.array(kept["mirrored"], np.uint64),
        phash256=phash256_rows(kept["phash256"]),
        mirrored_phash256=phash256_rows(kept["mirrored256"]),
    )


def choose_rows(attempts: pd.DataFrame, ranges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Rows of attempts with a face, evenly spread: 2,000 accepted and 1,000 rejected, in at most 48 evenly spread shards (ranges of slots)."""
    faced = np.isfinite(attempts["landmark5_x0"].to_numpy())
    if len(ranges) > MAX_SHARDS:
        ordered = sorted(ranges)
        starts, stops = np.array([ordered[k] for k in spread(len(ordered), MAX_SHARDS)]).T
        slot = attempts["slot"].to_numpy()
        place = np.searchsorted(starts, slot, side="right") - 1
        faced &= (place >= 0) & (slot < stops[np.maximum(place, 0)])
    accepted = attempts["accepted"].to_numpy(dtype=bool)
    parts = [np.flatnonzero(faced & accepted), np.flatnonzero(faced & ~accepted)]
    chosen = [part[spread(len(part), limit)] for part, limit in zip(parts, (MAX_EMBEDDED, MAX_REJECTED), strict=True)]
    return np.sort(np.concatenate(chosen))


def read_samples(folder: Location, markers: Mapping[str, Mapping[str, Any]], keys: Mapping[str, Any]) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Key, picture and label map of the wanted samples ("000000000012", "000000000012_003" for a rejected one); each tar is read once."""
    slots = np.array(sorted({int(key[:12]) for key in keys}), np.int64)
    for name, marker in markers.items():
        if np.searchsorted(slots, marker["start"]) == np.searchsorted(slots, marker["stop"]):
            continue
        for place in ("data", "rejected"):
            if f"{place}/{name}.tar" in marker["files"]:
                yield from _read_tar(folder / place / f"{name}.tar", keys)


def _read_tar(path: Location, keys: Mapping[str, Any]) -> Iterator[tuple[str, bytes, bytes | None]]:
    pictures: dict[str, bytes] = {}
    maps: dict[str, bytes] = {}
    with open_read(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            key, _, extension = member.name.partition(".")
            if key in keys and extension in ("jpg", "png", "seg.png"):
                content = archive.extractfile(member).read()  # type: ignore[union-attr] # facemint writes regular files only
                (maps if extension == "seg.png" else pictures)[key] = content
                if key in pictures and key in maps:
                    yield key, pictures.pop(key), maps.pop(key)
    for key, content in pictures.items():
        yield key, content, None


def read_people(folder: Location) -> People | None:
    """References of the run's people by gate and auditor; None where no two are known to both."""
    people = [person for person in read_tables(folder / "conditions").people.values() if GATE in person.embeddings and AUDITOR in person.embeddings]
    if not people:
        return None
    return People(
        identity_ids=[person.identity_id for person in people],
        gate=np.stack([person.embeddings[GATE] for person in people]),
        auditor=np.stack([person.embeddings[AUDITOR] for person in people]),
    )


def read_gallery(config: RunConfig) -> Gallery | None:
    """The bundled gallery of training people, or the recipe's Parquet file with the same columns; None without one.

    subtle: a gallery knows the bundled gate's embeddings; those of a recipe's own pack can't be compared with them.
    """
    path = config.qc.gallery
    if path is None and not GALLERY_BANK.is_file():
        return None
    source = GALLERY_SOURCE if path is None else str(path).rsplit("/", 1)[-1]
    try:
        with open_read(GALLERY_BANK if path is None else location(path)) as stream:
            rows = pq.read_table(stream).to_pydict()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"gallery: {path or GALLERY_BANK} can't be read ({error}). Give qc.gallery a Parquet file, or leave it out.") from error
    if missing := [name for name in ("identity_id", "set", "auditor") if name not in rows]:
        raise InputError(
            f"gallery: {path or GALLERY_BANK} has no column {', '.join(missing)}; it has {', '.join(rows)}. Write it as the bundled gallery.parquet."
        )
    count = len(rows["identity_id"])
    hashes = rows.get("phash64") or [[]] * count
    fine = [digest for digests in rows["phash256"] for digest in digests] if "phash256" in rows else None
    if fine is not None and ([len(part) for part in rows["phash256"]] != [len(part) for part in hashes] or any(len(digest) != BYTES for digest in fine)):
        raise InputError(f"gallery: {path or GALLERY_BANK} has a column phash256 that isn't {BYTES} bytes for each phash64. Write both, or leave phash256 out.")
    own_gate = config.models.pack is None and "gate" in rows
    return Gallery(
        source=source,
        identity_ids=rows["identity_id"],
        held_out=np.array([name == "held-out" for name in rows["set"]], bool),
        gate=_unit(rows["gate"]) if own_gate else None,
        auditor=_unit(rows["auditor"]),
        phash64=np.array([number for numbers in hashes for number in numbers], np.uint64),
        phash256=None if fine is None else phash256_rows(fine),
        phash_owner=np.repeat(np.arange(count), [len(numbers) for numbers in hashes]),
        tiles=check_tiles(rows["tile"], rows["identity_id"]) if "tile" in rows else None,
    )


def read_reference() -> Reference | None:
    """The bundled scenes, portraits of rendered people, as the auditor sees them."""
    if not SCENE_BANK.is_file():
        return None
    rows = pq.read_table(SCENE_BANK, columns=["auditor"])["auditor"].to_pylist()
    return Reference(source=f"{len(rows)} bundled scenes, portraits of rendered people", auditor=_unit(rows))


def _unit(rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    values = np.asarray(rows, np.float64)
    return (values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _person(label_map: bytes | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Face and hair, grown a little, 1 inside: what is left is the scene."""
    if label_map is None:
        return np.ones(shape, np.uint8)
    labels = decode_grey(label_map)
    mask = np.isin(labels, (*FACE_LABELS, HAIR)).astype(np.uint8)
    return dilate(mask, max(1, round(GROWTH * max(shape))))


def _key(attempts: pd.DataFrame, row: int) -> str:
    slot, attempt = int(attempts["slot"].to_numpy()[row]), int(attempts["attempt"].to_numpy()[row])
    return sample_id(slot) if attempts["accepted"].to_numpy()[row] else rejected_id(slot, attempt)
