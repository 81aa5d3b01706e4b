"""Where a staging log's bytes are: a file of the run folder, or a temporary file with numbered objects in a store."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from jobs.files import READERS, cannot_write
from jobs.object_store import ObjectPath
from jobs.staging_records import Record, whole_records
from manifests.errors import StorageError

_VECTOR = 512  # parts that are given to the system at once; it takes up to 1,024


class LogFile:
    """An open log: whole records only, from byte 0 to `end`."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream  # unbuffered, so that a killed process has written what it appended
        self._name = name
        self.end = 0
        self._synced_end = 0
        self._found: list[Record] | None = None  # when it was opened; None: something was appended since, or they were taken

    @staticmethod
    def at(path: Path) -> LogFile:
        """The log at a path, cut off after its last whole record."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            log = LogFile(path.open("a+b", buffering=0), str(path))
            log.end = os.fstat(log._stream.fileno()).st_size
            with log.content() as content:
                log._found, end = whole_records(content)
            if end < log.end:
                log._stream.truncate(end)
            log.end = log._synced_end = end
        except OSError as error:
            raise cannot_write(path, error) from error
        return log

    @staticmethod
    def spool(segments: Iterator[bytes]) -> LogFile:
        """A temporary file with the whole records of uploaded segments."""
        stream = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (the log closes it)
        log = LogFile(stream, f"a temporary file in {tempfile.gettempdir()}")
        for segment in segments:
            with memoryview(segment) as content:
                _, end = whole_records(content)
            log.append([segment[:end]])
        log._synced_end = log.end
        return log

    @property
    def unsynced(self) -> bool:
        """Whether records were appended since the last sync."""
        return self._synced_end < self.end

    def append(self, parts: Sequence[bytes]) -> None:
        """Adds records; after an error the log is as before."""
        written = 0
        try:
            if os.fstat(self._stream.fileno()).st_size > self.end:
                self._stream.truncate(self.end)  # what an append left that failed and couldn't be undone then
            for start in range(0, len(parts), _VECTOR):
                written += self._write(parts[start : start + _VECTOR])
        except OSError as error:
            with contextlib.suppress(OSError):  # what is left of the record is cut off when the log is opened again
                self._stream.truncate(self.end)
            raise StorageError(f"{cannot_write(Path(self._name), error)}") from error
        self.end += written
        self._found = None

    def _write(self, parts: Sequence[bytes]) -> int:
        """Writes all parts; their length."""
        length = sum(len(part) for part in parts)
        written = os.writev(self._stream.fileno(), parts)
        if written < length:  # a signal or a nearly full disk
            rest = memoryview(b"".join(parts))
            while written < length:
                written += os.write(self._stream.fileno(), rest[written:])
        return length

    def records(self, content: memoryview) -> list[Record]:
        """Where the log's records are; those found when it was opened aren't looked for again."""
        found, self._found = self._found, None
        return whole_records(content)[0] if found is None else found

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the log."""
        try:
            content = os.pread(self._stream.fileno(), length, offset)
        except OSError as error:
            raise StorageError(f"storage: {self._name} can't be read ({error.strerror or error}). Check the disk, then run the same command again.") from error
        if len(content) != length:
            raise StorageError(f"storage: {self._name} has {len(content):,} of {length:,} bytes at {offset:,}. It was changed by another program; run again.")
        return content

    def unsynced_bytes(self) -> bytes:
        """Records that were appended since the last sync."""
        return self.read(self._synced_end, self.end - self._synced_end)

    def sync(self, *, durable: bool) -> None:
        """Takes it that all records are safe; `durable` makes them so on the disk."""
        if self.unsynced and durable:
            try:
                os.fsync(self._stream.fileno())
            except OSError as error:
                raise cannot_write(Path(self._name), error) from error
        self._synced_end = self.end

    @contextlib.contextmanager
    def content(self) -> Iterator[memoryview]:
        """All of the log, mapped into memory, not loaded."""
        if not self.end:
            yield memoryview(b"")
            return
        with mmap.mmap(self._stream.fileno(), self.end, access=mmap.ACCESS_READ) as mapped:
            with contextlib.suppress(AttributeError, OSError):  # a hint that not every system takes
                mapped.madvise(mmap.MADV_SEQUENTIAL)
            with memoryview(mapped) as view:
                yield view

    def close(self) -> None:
        """Closes the file; a temporary one is gone."""
        self._stream.close()


class LogSegments:
    """The objects staging/STEM.NUMBER.log of an object store. A segment holds whole records, so one that is torn or missing loses only its own."""

    def __init__(self, folder: ObjectPath) -> None:
        self._folder = folder
        self._numbers: dict[str, list[int]] | None = None  # stem -> numbers; None: not listed yet. Only the holder of the lease changes them

    def has(self, stem: str) -> bool:
        """Whether anything was uploaded."""
        return bool(self._listed().get(stem))

    def upload(self, stem: str, content: bytes) -> None:
        """Adds a segment."""
        numbers = self._listed().setdefault(stem, [])
        number = numbers[-1] + 1 if numbers else 0
        path = self._path(stem, number)
        path.store.put(path.key, content)
        numbers.append(number)

    def download(self, stem: str) -> Iterator[bytes]:
        """The segments in their order."""
        for number in list(self._listed().get(stem, [])):
            with contextlib.suppress(FileNotFoundError):
                yield self._path(stem, number).read_bytes()

    def drop(self, stem: str) -> None:
        """Deletes all segments of a log."""
        paths = [self._path(stem, number) for number in self._listed().pop(stem, [])]
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            list(pool.map(lambda path: path.unlink(missing_ok=True), paths))

    def drop_others(self, stems: set[str]) -> None:
        """Deletes all segments of other logs."""
        for stem in sorted(self._listed().keys() - stems):
            self.drop(stem)

    def _listed(self) -> dict[str, list[int]]:
        if self._numbers is None:
            self._numbers = {}
            for path in self._folder.glob("*.log"):
                stem, _, number = path.stem.rpartition(".")
                if number.isdigit():
                    self._numbers.setdefault(stem, []).append(int(number))
        return self._numbers

    def _path(self, stem: str, number: int) -> ObjectPath:
        return self._folder / f"{stem}.{number:06d}.log"
