"""The log of answers of shards that aren't committed yet, so that a killed run goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from pathlib import Path
from typing import IO, Any

from jobs.attempts import Answer
from manifests.errors import StorageError
from manifests.verdicts import QCVerdict

# A record is this header (length of the text, length of the rest, CRC-32 of both), a text, the picture, the label map.
_HEADER = struct.Struct("<4sIII")
_MAGIC = b"FMS1"


class StagingLog:
    """One append-only file per open shard below staging/; deleted when the shard is committed.

    A record that was torn by a kill ends the log: it is cut off there, and what it held is made again, with the same bytes.
    """

    def __init__(self, folder: Path, run_hash: str) -> None:
        self._folder = folder / "staging"
        self._run_hash = run_hash
        self._streams: dict[str, IO[bytes]] = {}

    def append(self, shard: str, answers: list[Answer]) -> None:
        """Adds the answers of a batch that belong to one shard."""
        try:
            stream = self._streams.get(shard)
            if stream is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                stream = self._streams[shard] = self._path(shard).open("ab")
            stream.write(b"".join(_record(answer) for answer in answers))
            stream.flush()
        except OSError as error:
            raise StorageError(f"storage: {self._path(shard)} can't be written ({error}). Make room, then run the same command again.") from error

    def read(self, shard: str) -> list[Answer]:
        """Answers that an earlier command logged for a shard."""
        path = self._path(shard)
        if not path.is_file():
            return []
        content = path.read_bytes()
        answers, end = _read_records(content)
        if end < len(content):
            with path.open("r+b") as stream:
                stream.truncate(end)
        return answers

    def drop(self, shard: str) -> None:
        """Deletes the log of a shard that was committed."""
        stream = self._streams.pop(shard, None)
        if stream is not None:
            stream.close()
        self._path(shard).unlink(missing_ok=True)

    def close(self) -> None:
        """Closes all logs; what was appended stays."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()

    def drop_foreign(self, shards: set[str]) -> None:
        """Deletes logs of another run hash and of shards that aren't open."""
        wanted = {self._path(shard) for shard in shards}
        for path in self._folder.glob("*.log"):
            if path not in wanted:
                path.unlink()

    def _path(self, shard: str) -> Path:
        return self._folder / f"{shard}.{self._run_hash[:16]}.log"


def _record(answer: Answer) -> bytes:
    fields = {item.name: getattr(answer, item.name) for item in dataclasses.fields(answer) if item.name not in ("image", "label_map", "verdict")}
    verdict = {"accepted": answer.verdict.accepted, "reasons": list(answer.verdict.reasons), "measurements": dict(answer.verdict.measurements)}
    text = json.dumps({**fields, "labels": dict(answer.labels), "verdict": verdict, "image_bytes": len(answer.image)}).encode()
    rest = answer.image + answer.label_map
    return _HEADER.pack(_MAGIC, len(text), len(rest), zlib.crc32(rest, zlib.crc32(text))) + text + rest


def _read_records(content: bytes) -> tuple[list[Answer], int]:
    """Whole records from the start, and where the last of them ends."""
    answers: list[Answer] = []
    place = 0
    while place + _HEADER.size <= len(content):
        magic, text_length, rest_length, checksum = _HEADER.unpack_from(content, place)
        text_end = place + _HEADER.size + text_length
        end = text_end + rest_length
        if magic != _MAGIC or end > len(content) or zlib.crc32(content[place + _HEADER.size : end]) != checksum:
            break
        answers.append(_answer(json.loads(content[place + _HEADER.size : text_end]), content[text_end:end]))
        place = end
    return answers, place


def _answer(fields: dict[str, Any], rest: bytes) -> Answer:
    verdict = fields.pop("verdict")
    image_bytes = fields.pop("image_bytes")
    labels = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.pop("labels").items()}
    return Answer(
        **fields,
        image=rest[:image_bytes],
        label_map=rest[image_bytes:],
        labels=labels,
        verdict=QCVerdict(accepted=verdict["accepted"], reasons=tuple(verdict["reasons"]), measurements=verdict["measurements"]),
    )
