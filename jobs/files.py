"""Files and objects that appear whole or not at all: written under a temporary name, synced, renamed; in an object store by one upload."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from jobs.locations import Location
from jobs.object_store import ObjectPath
from manifests.errors import InputError, ResumeMismatch, StorageError

UNFINISHED = ".unfinished"  # suffix of temporary names
READERS = 16  # requests that are made at a time for many small objects
SPOOL_BYTES = 64 << 20  # of an object that are held in memory before its upload; more go to a temporary file
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EISDIR, errno.EBADF)  # folders of file systems without fsync for them


class whole_file:
    """`with whole_file(place) as file:` writes piece by piece; the file is there when the block ends, and never if it raises.

    size    bytes written
    sha256  of them, after the block
    """

    def __init__(self, place: Location) -> None:
        self.place = place
        self.size = 0
        self.sha256 = ""
        self._digest = hashlib.sha256()
        self._unfinished = ""  # temporary name; "" in an object store
        self._stream: IO[bytes]

    def __enter__(self) -> whole_file:
        try:
            if isinstance(self.place, ObjectPath):
                self._stream = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)
            else:
                self.place.parent.mkdir(parents=True, exist_ok=True)
                handle, self._unfinished = tempfile.mkstemp(prefix=f".{self.place.name}.", suffix=UNFINISHED, dir=self.place.parent)
                self._stream = os.fdopen(handle, "wb")
        except OSError as error:
            raise cannot_write(self.place, error) from error
        return self

    def write(self, content: bytes) -> None:
        """Adds bytes."""
        try:
            self._stream.write(content)
        except OSError as error:
            raise cannot_write(self.place, error) from error
        self._digest.update(content)
        self.size += len(content)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
                self.sha256 = self._digest.hexdigest()
        except OSError as problem:
            raise cannot_write(self.place, problem) from problem
        finally:
            self._discard()

    def _finish(self) -> None:
        if isinstance(self.place, ObjectPath):
            self.place.store.put(self.place.key, self._stream)
            return
        self._stream.flush()
        os.fsync(self._stream.fileno())
        os.fchmod(self._stream.fileno(), 0o644)
        self._stream.close()
        os.replace(self._unfinished, self.place)
        self._unfinished = ""
        sync_folder(self.place.parent)

    def _discard(self) -> None:
        """Closes the stream and deletes the temporary file, if it is still there."""
        with contextlib.suppress(OSError):  # what is said is why the file couldn't be written
            self._stream.close()
        if self._unfinished:
            with contextlib.suppress(OSError):
                os.unlink(self._unfinished)


def write_whole(place: Location, content: bytes | str) -> str:
    """Writes a file so that it is either the old one or the complete new one, also after a power cut; returns its sha256."""
    content = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(place) as file:
        file.write(content)
    return file.sha256


def write_once(place: Location, content: bytes | str) -> str:
    """Writes a file that never changes afterwards; equal bytes that are there already are left alone, others raise ResumeMismatch.

    It is the test before an upload that keeps another run's marker: pyarrow.fs has no conditional upload. Two writers of equal bytes do no harm.
    """
    content = content.encode("utf-8") if isinstance(content, str) else content
    try:
        present = place.read_bytes()
    except FileNotFoundError:
        return write_whole(place, content)
    except OSError as error:
        raise StorageError(f"storage: {place} can't be read ({error}). Check the permissions, then run the same command again.") from error
    if present != content:
        raise ResumeMismatch(f"storage: {place} is there with other content than is to be written. Another run made it; use another --out.")
    return hashlib.sha256(content).hexdigest()


def write_json(place: Location, value: Any) -> str:
    """Writes JSON with sorted keys; returns its sha256."""
    return write_whole(place, json_text(value))


def json_text(value: Any) -> str:
    """JSON as facemint writes it: sorted keys, one line per value."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(place: Location) -> Any:
    """Value of a JSON file that facemint wrote."""
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"file: {place} can't be read ({error.strerror or error}). Name the folder of a run.") from error
    except ValueError as error:
        raise InputError(f"file: {place} is not JSON ({error}). Restore it, or delete it and run the same command again.") from error


def read_jsons(places: Sequence[Location]) -> list[Any]:
    """Values of JSON files; those of an object store are asked for several at a time, because each takes as long as a round trip."""
    if not any(isinstance(place, ObjectPath) for place in places):
        return [read_json(place) for place in places]
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return list(pool.map(read_json, places))


def open_read(place: Location) -> IO[bytes]:
    """The file, to be read from any place in it. Raises FileNotFoundError."""
    return place.store.open(place.key) if isinstance(place, ObjectPath) else place.open("rb")


def sha256_of(place: Location) -> str:
    """sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with open_read(place) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def file_sizes(folder: Location) -> dict[str, int]:
    """Name -> bytes of the files in a folder, by one look at it; none where there is no folder."""
    if isinstance(folder, ObjectPath):
        return {key.rpartition("/")[2]: size for key, kind, size in folder.store.list(folder.key) if kind == "file"}
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}


def drop_unfinished(folder: Location) -> int:
    """Deletes temporary files that an interrupted run left anywhere below the folder; returns their number. An object store has none."""
    if isinstance(folder, ObjectPath):
        return 0
    leftovers = [path for path in folder.rglob(f".*{UNFINISHED}") if path.is_file()]
    for path in leftovers:
        path.unlink()
    return len(leftovers)


def cannot_write(place: Location, error: OSError) -> StorageError:
    """The error to raise, with the remedy for its cause."""
    remedies = {
        errno.ENOSPC: "Make room on the disk",
        errno.EDQUOT: "Make room in your quota",
        errno.EACCES: "Check the permissions of the folder",
        errno.EPERM: "Check the permissions of the folder",
        errno.EROFS: "The file system is read-only; use another --out or mount it for writing",
    }
    remedy = remedies.get(error.errno or 0, "Make room or check the permissions")
    return StorageError(f"storage: {place} can't be written ({error.strerror or error}). {remedy}, then run the same command again.")


def sync_folder(folder: Path) -> None:
    """Makes a rename in the folder survive a power cut, where the file system can promise that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _CANNOT_SYNC:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(handle)
