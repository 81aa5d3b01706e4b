"""The log of answers of shards that aren't committed yet, so that a killed run goes on where it was; pictures stay in it until then."""

from __future__ import annotations

import contextlib
import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from jobs.attempts import Answer
from jobs.files import cannot_write
from jobs.locations import Location, found
from jobs.object_store import ObjectPath
from jobs.staging_files import LogFile, LogSegments
from jobs.staging_records import ACCEPTED, REJECTED, SET_ASIDE, pack_numbers, pack_record, unpack_numbers
from manifests.verdicts import QCVerdict

SYNC_APPENDS = 8  # appends after which what was appended must survive a power cut
SYNC_SECONDS = 2.0  # after which it must, at the next append
_AS_THEY_ARE = tuple(item.name for item in fields(Answer) if item.name not in ("image", "label_map", "verdict", "labels"))


@dataclass(frozen=True, kw_only=True)
class Logged:
    """An answer as the log has it."""

    answer: Answer  # with empty image and label_map
    image_bytes: int
    label_map_bytes: int
    file_sha256: str  # of the image


@dataclass(frozen=True, kw_only=True)
class Staged:
    """An answer whose pictures are in the log; one that an earlier command logged is parsed when more than its verdict is asked for."""

    slot: int
    attempt: int
    accepted: bool
    shard: str
    offset: int  # of the image in the shard's log; the label map follows it
    num_bytes: int  # of both
    parse: Callable[[], Logged] = field(repr=False, compare=False)

    @cached_property
    def logged(self) -> Logged:
        """All of it but the pictures."""
        return self.parse()

    @property
    def answer(self) -> Answer:
        """The answer with empty image and label_map."""
        return self.logged.answer


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A slot that was set aside, and why."""

    slot: int
    attempt: int  # that raised or killed its process
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class StagedShard:
    """What an earlier command logged for a shard, in its order."""

    answers: list[Staged]
    quarantined: list[Quarantined]


class StagingLog:
    """One append-only log per open shard below staging/; deleted when the shard is committed.

    A record that was torn by a kill ends its log: it is cut off there, and what it held is made again, with the same bytes. In an object store,
    which can't append, the log is a temporary file on this machine whose new records are uploaded as numbered objects whenever it is synced.
    """

    def __init__(self, folder: Location, run_hash: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder / "staging"
        self._run_hash = run_hash
        self._now = now
        self._logs: dict[str, LogFile] = {}
        self._segments = LogSegments(self._folder) if isinstance(self._folder, ObjectPath) else None
        self._appends = 0  # since the last sync
        self._synced = now()

    def append(self, shard: str, answers: Iterable[Answer]) -> list[Staged]:
        """Adds the answers of a batch that belong to one shard; returns them without their pictures."""
        parts: list[bytes] = []
        staged: list[Staged] = []
        log = self._log(shard)
        end = log.end
        for answer in answers:
            value, numbers = _value(answer)
            key = {"slot": answer.slot, "attempt": answer.attempt, "kind": ACCEPTED if answer.verdict.accepted else REJECTED}
            head = pack_record(value, answer.image, answer.label_map, **key, numbers=numbers)
            parts += [head, answer.image, answer.label_map]
            num_bytes = len(answer.image) + len(answer.label_map)
            logged = Logged(
                answer=replace(answer, image=b"", label_map=b""),
                image_bytes=len(answer.image),
                label_map_bytes=len(answer.label_map),
                file_sha256=value["sha256"],
            )
            staged.append(
                Staged(
                    slot=answer.slot,
                    attempt=answer.attempt,
                    accepted=answer.verdict.accepted,
                    shard=shard,
                    offset=end + len(head),
                    num_bytes=num_bytes,
                    parse=lambda logged=logged: logged,  # type: ignore[misc]
                )
            )
            end += len(head) + num_bytes
        self._add(log, parts)
        return staged

    def append_failure(self, shard: str, failure: Quarantined) -> None:
        """Adds that a slot was set aside."""
        self._add(self._log(shard), [pack_record(vars(failure), slot=failure.slot, attempt=failure.attempt, kind=SET_ASIDE)])

    def read(self, shard: str) -> StagedShard:
        """What an earlier command logged for a shard; pictures are checked but not loaded."""
        answers: list[Staged] = []
        quarantined: list[Quarantined] = []
        if shard not in self._logs and not self._exists(shard):
            return StagedShard(answers=answers, quarantined=quarantined)
        log = self._log(shard)
        names: dict[str, tuple[str, ...]] = {}
        with _uncollected(), log.content() as content:
            for record in log.records(content):
                text = bytes(content[record.text_start : record.blob_start])
                numbers_start = record.numbers_start - record.text_start
                if record.kind == SET_ASIDE:
                    quarantined.append(Quarantined(**json.loads(text)))
                    continue
                answers.append(
                    Staged(
                        slot=record.slot,
                        attempt=record.attempt,
                        accepted=record.kind == ACCEPTED,
                        shard=shard,
                        offset=record.blob_start,
                        num_bytes=record.end - record.blob_start,
                        parse=partial(_parse, text, numbers_start, names),
                    )
                )
        return StagedShard(answers=answers, quarantined=quarantined)

    def pictures(self, staged: Staged) -> tuple[bytes, bytes]:
        """Image and label map of an answer, read from the log."""
        content = self._log(staged.shard).read(staged.offset, staged.num_bytes)
        image_bytes = staged.logged.image_bytes
        return content[:image_bytes], content[image_bytes:]

    def sync(self) -> None:
        """Makes everything that was appended survive a power cut; in an object store, uploads it."""
        for shard, log in self._logs.items():
            if self._segments is not None and log.unsynced:
                self._segments.upload(self._stem(shard), log.unsynced_bytes())
            log.sync(durable=self._segments is None)
        self._appends = 0
        self._synced = self._now()

    def drop(self, shard: str) -> None:
        """Deletes the log of a shard that was committed."""
        log = self._logs.pop(shard, None)
        if log is not None:
            log.close()
        if self._segments is not None:
            self._segments.drop(self._stem(shard))
            return
        path = self._path(shard)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error

    def drop_foreign(self, shards: set[str]) -> None:
        """Deletes logs of another run hash and of shards that aren't open."""
        if self._segments is not None:
            self._segments.drop_others({self._stem(shard) for shard in shards})
            return
        wanted = {self._path(shard) for shard in shards}
        for path in found(self._folder, "*.log"):
            if path not in wanted:
                path.unlink()

    def close(self) -> None:
        """Syncs and closes all logs; what was appended stays."""
        try:
            self.sync()
        finally:
            for log in self._logs.values():
                log.close()
            self._logs.clear()

    def _add(self, log: LogFile, parts: Sequence[bytes]) -> None:
        log.append(parts)
        self._appends += 1
        if self._appends >= SYNC_APPENDS or self._now() - self._synced >= SYNC_SECONDS:
            self.sync()

    def _log(self, shard: str) -> LogFile:
        """The log of a shard, opened and cut off after its last whole record."""
        log = self._logs.get(shard)
        if log is None:
            log = LogFile.spool(self._segments.download(self._stem(shard))) if self._segments is not None else LogFile.at(self._path(shard))
            self._logs[shard] = log
        return log

    def _exists(self, shard: str) -> bool:
        return self._segments.has(self._stem(shard)) if self._segments is not None else self._path(shard).is_file()

    def _stem(self, shard: str) -> str:
        return f"{shard}.{self._run_hash[:16]}"

    def _path(self, shard: str) -> Path:
        path = self._folder / f"{self._stem(shard)}.log"
        assert isinstance(path, Path)
        return path


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the cyclic collector, which would look again and again at many thousand new answers and find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _value(answer: Answer) -> tuple[dict[str, Any], bytes]:
    """The text of an answer's record, and its numbers."""
    verdict = answer.verdict
    names, numbers = pack_numbers(verdict.measurements, answer.labels)
    value = {
        "answer": {name: getattr(answer, name) for name in _AS_THEY_ARE},
        "image_bytes": len(answer.image),
        "label_map_bytes": len(answer.label_map),
        "sha256": sha256(answer.image).hexdigest(),
        "accepted": verdict.accepted,
        "reasons": verdict.reasons,
        "numbers": names,
        "measurements": {name: item for name, item in verdict.measurements.items() if not isinstance(item, float)},
        "labels": {name: item for name, item in answer.labels.items() if not isinstance(item, float)},
    }
    return value, numbers


def _parse(content: bytes, numbers_start: int, names: dict[str, tuple[str, ...]]) -> Logged:
    """The answer of a record's text and numbers, without its pictures; `names` keeps each distinct list of names once."""
    value = json.loads(content[:numbers_start])
    measurements, labels = unpack_numbers(value["numbers"], content[numbers_start:], names)
    labels |= {name: tuple(item) if isinstance(item, list) else item for name, item in value["labels"].items()}
    verdict = QCVerdict(accepted=value["accepted"], reasons=tuple(value["reasons"]), measurements=measurements | value["measurements"])
    return Logged(
        answer=Answer(**value["answer"], image=b"", label_map=b"", labels=labels, verdict=verdict),
        image_bytes=value["image_bytes"],
        label_map_bytes=value["label_map_bytes"],
        file_sha256=value["sha256"],
    )
