"""Changes files of a run folder in place, keeps the hashes that promise them in step where wanted, and puts everything back."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.files import json_text
from jobs.tar import tar_bytes

Members = list[tuple[str, bytes]]


class NotHere(Exception):
    """A kind of damage that this run has nothing for."""


class Tampering:
    """A run folder to be damaged and restored. Choices are drawn from `draw`."""

    def __init__(self, folder: Path, draw: np.random.Generator) -> None:
        self.folder, self.draw = folder, draw
        self._before: dict[str, bytes | None] = {}  # file -> what it was; None: it was not there

    def restore(self) -> None:
        """Puts back every file that was changed since the last call."""
        for file, content in self._before.items():
            if content is None:
                (self.folder / file).unlink(missing_ok=True)
            else:
                (self.folder / file).write_bytes(content)
        self._before.clear()

    def read(self, file: str) -> bytes:
        return (self.folder / file).read_bytes()

    def write(self, file: str, content: bytes) -> None:
        self._keep(file)
        (self.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_bytes(content)

    def delete(self, file: str) -> None:
        self._keep(file)
        (self.folder / file).unlink()

    def choose(self, items: list[Any]) -> Any:
        if not items:
            raise NotHere
        return items[int(self.draw.integers(len(items)))]

    def promised(self) -> list[str]:
        """Every file that something promises, markers too."""
        folders = ("data", "rejected", "attempts", "slots", "manifest", "conditions", "stages")
        files = [path for name in folders for path in (self.folder / name).glob("*") if path.is_file()]
        summary = json.loads(self.read("stages/summarize.json"))["outputs"]
        return sorted([path.relative_to(self.folder).as_posix() for path in files] + ["config.yaml", "run.json", *summary])

    def shard_files(self, suffix: str, places: tuple[str, ...] = ("data", "rejected")) -> list[str]:
        return sorted(f"{place}/{path.name}" for place in places for path in (self.folder / place).glob(f"*{suffix}"))

    def shards(self) -> list[str]:
        return sorted(path.stem for path in (self.folder / "data").glob("*.json"))

    def flip(self, file: str) -> None:
        """One bit of a file."""
        content = bytearray(self.read(file))
        if not content:
            raise NotHere
        content[int(self.draw.integers(len(content)))] ^= 1 << int(self.draw.integers(8))
        self.write(file, bytes(content))

    def reseal(self, file: str) -> None:
        """Brings size and sha256 of a file of a shard in step, in its marker and in what promises the marker."""
        shard = Path(file).stem
        content = self.read(file)

        def promise(marker: dict[str, Any]) -> None:
            marker["files"][file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

        self.edit_marker(shard, promise)

    def edit_marker(self, shard: str, change: Callable[[dict[str, Any]], None]) -> None:
        marker = json.loads(self.read(f"data/{shard}.json"))
        change(marker)
        self.write_marker(shard, json_text(marker).encode())

    def write_marker(self, shard: str, content: bytes) -> None:
        """A marker with these bytes, and a report that is of it."""
        self.write(f"data/{shard}.json", content)
        self.edit_json("stages/summarize.json", lambda stage: stage["inputs"].update({shard: hashlib.sha256(content).hexdigest()}))

    def edit_json(self, file: str, change: Callable[[dict[str, Any]], None]) -> None:
        value = json.loads(self.read(file))
        change(value)
        self.write(file, json_text(value).encode())

    def reseal_stage(self, stage: str, file: str) -> None:
        """Brings the sha256 of a stage's output in step."""
        digest = hashlib.sha256(self.read(file)).hexdigest()
        self.edit_json(f"stages/{stage}.json", lambda marker: marker["outputs"].update({file: digest}))

    def members(self, file: str) -> Members:
        with tarfile.open(fileobj=io.BytesIO(self.read(file))) as archive:
            return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]

    def write_tar(self, file: str, members: Members) -> None:
        self.write_sealed(file, tar_bytes(members))

    def write_sealed(self, file: str, content: bytes) -> None:
        self.write(file, content)
        self.reseal(file)

    def table(self, file: str) -> pa.Table:
        return pq.read_table(self.folder / file)

    def write_table(self, file: str, table: pa.Table) -> None:
        self.write_sealed(file, parquet_bytes(table))

    def set_cell(self, file: str, column: str, row: int, value: object) -> None:
        """One value of a Parquet file of a shard."""
        table = self.table(file)
        values = table[column].to_pylist()
        if values[row] == value:
            raise NotHere
        values[row] = value
        place = table.column_names.index(column)
        self.write_table(file, table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type)))

    def _keep(self, file: str) -> None:
        path = self.folder / file
        self._before.setdefault(file, path.read_bytes() if path.is_file() else None)


def parquet_bytes(table: pa.Table, compression: str = "zstd") -> bytes:
    """As a shard's tables are written."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, table.num_rows), compression=compression)
    return bytes(sink.getvalue().to_pybytes())


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + 0.25
    if isinstance(value, str):
        return f"{'0' if value[:1] != '0' else '1'}{value[1:]}"
    if isinstance(value, list):
        return [other(value[0]), *value[1:]] if value else ["identity"]
    return "x"


def label_map_ranges(content: bytes) -> list[tuple[int, int]]:
    """Where the label maps of a tar are; no label repeats their bytes."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(member.offset_data, member.offset_data + member.size) for member in archive if member.name.endswith(".seg.png")]
