"""A view of a store in which a share of the requests fails, before or after it took effect, and uploads and downloads are torn."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

DELETIONS = ("lost deletion", "deletion without an answer")
QUESTIONS = ("lost question", "short answer")
UPLOADS = ("lost upload", "upload without an answer", "torn upload", "torn upload that claims success")
KINDS = (*DELETIONS, *QUESTIONS, *UPLOADS)


class FaultyFilesystem:
    """The part of pyarrow.fs.FileSystem that facemint uses, over a real one; faults are drawn from a seed."""

    def __init__(self, filesystem: Any, *, rate: float, seed: int) -> None:
        self._filesystem = filesystem
        self._rate = rate
        self._draw = random.Random(seed)
        self._lock = threading.Lock()  # the lease's heartbeat asks from a thread of its own
        self.faults: Counter[str] = Counter()
        self.requests = 0
        self.coming: list[str] = []  # faults of the next requests that can have them

    def fault(self, *kinds: str) -> str:
        """The kind of fault that the next request has; "": none."""
        with self._lock:
            self.requests += 1
            if self.coming and self.coming[0] in kinds:
                kind = self.coming.pop(0)
            elif self._draw.random() < self._rate:
                kind = self._draw.choice(kinds)
            else:
                return ""
            self.faults[kind] += 1
            return kind

    def get_file_info(self, what: Any) -> Any:
        if self.fault("lost question"):
            raise OSError("the store did not answer")
        return self._filesystem.get_file_info(what)

    def delete_file(self, path: str) -> None:
        kind = self.fault(*DELETIONS)
        if kind == "lost deletion":
            raise OSError("the store did not answer")
        self._filesystem.delete_file(path)
        if kind:
            raise OSError("the connection was reset")

    def open_input_file(self, path: str) -> Any:
        kind = self.fault(*QUESTIONS)
        if kind == "lost question":
            raise OSError("the store did not answer")
        stream = self._filesystem.open_input_file(path)
        return ShortStream(stream) if kind else stream

    def open_output_stream(self, path: str) -> Any:
        return FaultyUpload(self, self._filesystem, path)


class ShortStream:
    """Gives fewer bytes than it has."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> ShortStream:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def size(self) -> int:
        return self._stream.size()

    def read(self) -> bytes:
        return self._stream.read()[:-1]

    def read_at(self, length: int, place: int) -> bytes:
        return self._stream.read_at(length, place)[:-1]


class FaultyUpload:
    """Sends at close, as an upload takes effect then; a torn one leaves the first half, and may even claim success."""

    def __init__(self, faults: FaultyFilesystem, filesystem: Any, path: str) -> None:
        self._faults, self._filesystem, self._path = faults, filesystem, path
        self._content = b""

    def write(self, content: bytes) -> None:
        self._content += content

    def close(self) -> None:
        kind = self._faults.fault(*UPLOADS)
        if kind == "lost upload":
            raise OSError("the connection was reset")
        torn = kind.startswith("torn")
        with self._filesystem.open_output_stream(self._path) as stream:
            stream.write(self._content[: len(self._content) // 2] if torn else self._content)
        if kind and kind != "torn upload that claims success":
            raise OSError("the connection was reset")
