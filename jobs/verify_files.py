"""Promised files: read once from start to end, counted and hashed on the way, whatever else is done with the bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.files import open_read
from jobs.locations import Location

PIECE_BYTES = 1 << 20


class HashedFile(io.RawIOBase):
    """A file that is read forwards only; `sha256` is that of what was read."""

    def __init__(self, place: Location) -> None:
        self._stream = open_read(place)
        self._digest = hashlib.sha256()
        self.num_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        length: int = self._stream.readinto(buffer) or 0  # type: ignore[attr-defined]  # of every file that open_read gives
        self._digest.update(memoryview(buffer)[:length])
        self.num_bytes += length
        return length

    def close(self) -> None:
        self._stream.close()
        super().close()


def hash_problem(file: HashedFile, promise: Mapping[str, Any]) -> str:
    """What a file that was read to its end has instead of the promised bytes; "" when it has those."""
    if file.num_bytes != promise["bytes"]:
        return f"has {file.num_bytes:,} bytes, {promise['bytes']:,} are promised"
    return "" if file.sha256 == promise["sha256"] else f"has sha256 {file.sha256[:12]}..., {promise['sha256'][:12]}... is promised"


def promise_problems(folder: Location, promises: Mapping[str, str], promiser: str, remedy: str) -> Iterator[str]:
    """Files that are missing or have another sha256 than a stage promises."""
    for name, digest in sorted(promises.items()):
        place = folder / name
        if not place.is_file():
            yield f"{name} is missing, {promiser} promises it. {remedy}"
            continue
        with HashedFile(place) as file:
            while file.read(PIECE_BYTES):
                pass
            if file.sha256 != digest:
                yield f"{name} has sha256 {file.sha256[:12]}..., {promiser} promises {str(digest)[:12]}.... {remedy}"


def size_of(place: Location) -> int:
    """Bytes of a file."""
    return int(place.stat().st_size)
