"""Pictures and label rows of a finished run, by slot and attempt, from its shards."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.images import decode_rgb
from jobs.shards import read_markers, rejected_id
from manifests.records import measurement_frame
from manifests.rows import sample_id

Pair = tuple[int, int]  # slot, attempt


def read_attempts(folder: Path) -> pd.DataFrame:
    """All attempts of the committed shards in the order of slots and attempts, a column per measurement."""
    tables = [pq.read_table(folder / "attempts" / f"{name}.parquet") for name in read_markers(folder)]
    return measurement_frame(pa.concat_tables(tables)).sort_values(["slot", "attempt"], kind="stable", ignore_index=True)


def read_labels(folder: Path, place: str, columns: list[str]) -> pd.DataFrame:
    """Columns of the label rows below data/ or rejected/."""
    parts = [pq.read_table(path, columns=columns) for path in sorted((folder / place).glob("*.parquet"))]
    return pa.concat_tables(parts).to_pandas() if parts else pd.DataFrame(columns=columns)


def read_pictures(folder: Path, wanted: Iterable[Pair]) -> dict[Pair, NDArray[np.uint8]]:
    """Pixels (H, W, 3) of the wanted pictures; each tar is opened once."""
    left = sorted(set(wanted))
    pictures: dict[Pair, NDArray[np.uint8]] = {}
    for name, marker in read_markers(folder).items():
        here = [pair for pair in left if marker["start"] <= pair[0] < marker["stop"]]
        for place in ("data", "rejected") if here else ():
            if f"{place}/{name}.tar" in marker["files"]:
                pictures |= _read_tar(folder / place / f"{name}.tar", here, place)
    return pictures


def _read_tar(path: Path, pairs: Iterable[Pair], place: str) -> dict[Pair, NDArray[np.uint8]]:
    stems = {sample_id(slot) if place == "data" else rejected_id(slot, attempt): (slot, attempt) for slot, attempt in pairs}
    found: dict[Pair, NDArray[np.uint8]] = {}
    with tarfile.open(path, mode="r:") as archive:
        for member in archive:
            stem, _, extension = member.name.partition(".")
            if stem in stems and extension in ("jpg", "png"):
                found[stems[stem]] = decode_rgb(archive.extractfile(member).read())  # type: ignore[union-attr] # facemint writes regular files only
    return found


def embeddable(labels: pd.DataFrame, limit: int) -> list[dict[str, Any]]:
    """At most `limit` label rows, evenly spread, that have a face to embed."""
    rows = labels[labels["landmarks5"].notna()]
    if len(rows) > limit:
        rows = rows.iloc[np.linspace(0, len(rows) - 1, limit).astype(int)]
    return rows.to_dict("records")  # type: ignore[return-value] # column names are text
