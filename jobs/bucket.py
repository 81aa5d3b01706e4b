"""One bucket of S3, GCS or the like: requests that are tried again a bounded number of times, and objects that appear whole or not at all."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from manifests.errors import ConfigError, StorageError

SCHEMES = ("s3", "gs", "gcs")
TRIES = 5
FIRST_WAIT_SECONDS = 0.1  # doubled from try to try
PIECE_BYTES = 8 << 20  # read or sent at once

# What no repetition heals; the names are those of S3's error codes as pyarrow prints them.
_HOPELESS = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "Invalid bucket name")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN")

T = TypeVar("T")


class ObjectStore:
    """One bucket. The connection is opened at the first request, so that an address costs nothing."""

    def __init__(self, scheme: str, bucket: str, query: str = "", *, filesystem: Any = None, first_wait_seconds: float = FIRST_WAIT_SECONDS) -> None:
        self.scheme = scheme
        self.bucket = bucket
        self.query = query
        self._filesystem = filesystem  # pyarrow.fs.FileSystem; None: of the address
        self._first_wait_seconds = first_wait_seconds

    def text(self, key: str) -> str:
        """The address of a key; reading it again gives the same object."""
        return f"{self.scheme}://{self.bucket}{'/' if key else ''}{key}{'?' if self.query else ''}{self.query}"

    def info(self, key: str) -> tuple[str, int]:
        """("file", bytes), ("folder", 0) or ("missing", 0)."""
        from pyarrow.fs import FileType

        found = self.patiently(key, "looked up", lambda: self.filesystem.get_file_info(self._path(key)))
        kind = {FileType.File: "file", FileType.Directory: "folder"}.get(found.type, "missing")
        return kind, found.size or 0

    def list(self, key: str, *, recursive: bool = False) -> list[tuple[str, str, int]]:
        """(key, kind, bytes) of what is in a folder, sorted by key; one request per 1,000 objects."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(self._path(key), recursive=recursive, allow_not_found=True)
        found = self.patiently(key, "listed", lambda: self.filesystem.get_file_info(selector))
        kinds = {FileType.File: "file", FileType.Directory: "folder"}
        skipped = len(self.bucket) + 1
        return sorted((item.path[skipped:], kinds[item.type], item.size or 0) for item in found if item.type in kinds)

    def get(self, key: str) -> bytes:
        """The whole object. Raises FileNotFoundError."""

        def read() -> bytes:
            with self.filesystem.open_input_file(self._path(key)) as stream:
                content: bytes = stream.read()
                if len(content) != stream.size():
                    raise OSError(f"{len(content):,} of {stream.size():,} bytes came")
                return content

        return self.patiently(key, "read", read)

    def put(self, key: str, content: bytes | IO[bytes]) -> None:
        """Writes an object: one upload under its final name, whose length is then asked for, so that a torn one is sent again."""

        def send() -> None:
            stream = self.filesystem.open_output_stream(self._path(key))
            sent = 0
            if isinstance(content, bytes):
                stream.write(content)
                sent = len(content)
            else:
                content.seek(0)
                while piece := content.read(PIECE_BYTES):
                    stream.write(piece)
                    sent += len(piece)
            stream.close()  # subtle: not by `with`, which would complete an upload that an error cut short
            arrived = self.filesystem.get_file_info(self._path(key)).size
            if arrived != sent:
                raise OSError(f"{arrived} of {sent:,} bytes arrived")

        self.patiently(key, "written", send)

    def delete(self, key: str) -> bool:
        """Deletes an object; False when there was none."""
        tries = 0

        def delete() -> bool:
            nonlocal tries
            tries += 1
            try:
                self.filesystem.delete_file(self._path(key))
            except FileNotFoundError:
                return tries > 1  # an earlier try may have deleted it before it failed
            return True

        return self.patiently(key, "deleted", delete)

    def open(self, key: str) -> IO[bytes]:
        """The object as a file that can be read from any place."""
        kind, size = self.info(key)
        if kind != "file":
            raise FileNotFoundError(f"{self.text(key)} does not exist")
        return io.BufferedReader(_ObjectReader(self, key, size), buffer_size=min(PIECE_BYTES, max(size, 1)))

    def patiently(self, key: str, deed: str, request: Callable[[], T]) -> T:
        """The request's result; errors that may pass are waited for, then StorageError. FileNotFoundError is an answer, not an error."""
        wait = self._first_wait_seconds
        for turn in range(TRIES):
            try:
                return request()
            except FileNotFoundError:
                raise
            except OSError as error:
                hopeless = any(word in str(error) for word in _HOPELESS)
                if hopeless or turn == TRIES - 1:
                    remedy = "Check the address, the credentials and the bucket" if hopeless else "Check the network and the store"
                    raise StorageError(
                        f"storage: {self.text(key)} can't be {deed} ({_without_secrets(str(error))}), tried {turn + 1} times. "
                        f"{remedy}, then run the same command again."
                    ) from error
            time.sleep(wait)
            wait *= 2
        raise AssertionError

    @property
    def filesystem(self) -> Any:
        """pyarrow's view of the store."""
        if self._filesystem is None:
            self._filesystem = _open(self.scheme, self.bucket, self.query)
        return self._filesystem

    def _path(self, key: str) -> str:
        return f"{self.bucket}/{key}" if key else self.bucket


class _ObjectReader(io.RawIOBase):
    """Reads an object piece by piece; each piece is one request."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store, self._key, self._size, self._place = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._place)
        if wanted <= 0:
            return 0

        def read() -> bytes:
            with self._store.filesystem.open_input_file(self._store._path(self._key)) as stream:
                piece: bytes = stream.read_at(wanted, self._place)
                if len(piece) != wanted:
                    raise OSError(f"{len(piece):,} of {wanted:,} bytes came")
                return piece

        buffer[:wanted] = self._store.patiently(self._key, "read", read)
        self._place += wanted
        return wanted


def _open(scheme: str, bucket: str, query: str) -> Any:
    from pyarrow import ArrowException
    from pyarrow.fs import FileSystem

    options = dict(parse_qsl(query, keep_blank_values=True))
    optional: dict[str, str] = {}
    if scheme == "s3":
        optional = {"allow_delayed_open": "true"}  # one request for a small object instead of three; unknown to pyarrow 17
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            options.setdefault("endpoint_override", endpoint)
        if "endpoint_override" in options:  # such a store is not asked for the bucket's region
            options.setdefault("region", os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1")
    else:
        options.setdefault("retry_limit_seconds", "30")  # else a quarter of an hour per request
    for chosen in ({**optional, **options}, options):
        try:
            return FileSystem.from_uri(f"{scheme}://{bucket}" + (f"?{urlencode(chosen)}" if chosen else ""))[0]
        except (ArrowException, ValueError) as error:
            if chosen is options or not any(name in str(error) for name in optional):
                message = f"storage: the address {scheme}://{bucket} can't be used ({_without_secrets(str(error))}). Correct it."
                raise ConfigError(message) from error
    raise AssertionError


def _without_secrets(text: str) -> str:
    for name in _SECRETS:
        if len(os.environ.get(name, "")) >= 4:  # shorter ones are no secrets and would be found in words
            text = text.replace(os.environ[name], "***")
    return " ".join(text.split())
