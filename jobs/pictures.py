"""Pictures and label rows of a finished run, by slot and attempt, from its shards."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.files import open_read
from jobs.images import decode_rgb
from jobs.locations import Location, found
from jobs.shards import read_markers, rejected_id
from manifests.records import measurement_frame
from manifests.rows import sample_id

Pair = tuple[int, int]  # slot, attempt


def read_attempts(folder: Location) -> pd.DataFrame:
    """All attempts of the committed shards in the order of slots and attempts, a column per measurement."""
    tables = [_read_table(folder / "attempts" / f"{name}.parquet") for name in read_markers(folder)]
    return measurement_frame(pa.concat_tables(tables)).sort_values(["slot", "attempt"], kind="stable", ignore_index=True)


def read_labels(folder: Location, place: str, columns: list[str]) -> pd.DataFrame:
    """Columns of the label rows below data/ or rejected/."""
    parts = [_read_table(path, columns) for path in found(folder / place, "*.parquet")]
    return pa.concat_tables(parts).to_pandas() if parts else pd.DataFrame(columns=columns)


def read_pictures(folder: Location, wanted: Iterable[Pair]) -> dict[Pair, NDArray[np.uint8]]:
    """Pixels (H, W, 3) of the wanted pictures; each tar is opened once."""
    left = sorted(set(wanted))
    pictures: dict[Pair, NDArray[np.uint8]] = {}
    for name, marker in read_markers(folder).items():
        here = [pair for pair in left if marker["start"] <= pair[0] < marker["stop"]]
        for place in ("data", "rejected") if here else ():
            if f"{place}/{name}.tar" in marker["files"]:
                pictures |= _read_tar(folder / place / f"{name}.tar", here, place)
    return pictures


def _read_table(path: Location, columns: list[str] | None = None) -> pa.Table:
    with open_read(path) as stream:
        return pq.read_table(stream, columns=columns)


def _read_tar(path: Location, pairs: Iterable[Pair], place: str) -> dict[Pair, NDArray[np.uint8]]:
    stems = {sample_id(slot) if place == "data" else rejected_id(slot, attempt): (slot, attempt) for slot, attempt in pairs}
    found: dict[Pair, NDArray[np.uint8]] = {}
    with open_read(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            stem, _, extension = member.name.partition(".")
            if stem in stems and extension in ("jpg", "png"):
                found[stems[stem]] = decode_rgb(archive.extractfile(member).read())  # type: ignore[union-attr] # facemint writes regular files only
    return found
