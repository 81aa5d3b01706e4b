"""facemint retry: slots that stayed unfilled or were set aside are tried again; a slot that is filled never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.files import read_json, write_json
from jobs.lease import Lease
from jobs.locations import Location
from jobs.reopen import answers_of_shard
from jobs.shards import read_markers
from jobs.staging import StagingLog
from manifests.errors import ResumeMismatch
from manifests.rows import sample_id

RETRIES = "retries.json"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """A shard that is, or was, made again."""

    max_attempts: int  # of its slots
    epoch: int  # how often it was reopened


@dataclass(frozen=True, kw_only=True)
class Retries:
    """Every shard of a run that was ever reopened, and what the last `facemint retry` still has to do."""

    shards: Mapping[str, Reopened] = field(default_factory=dict)
    pending: tuple[str, ...] = ()  # shards to reopen; they stay here until all of them are committed again
    quarantined: bool = False  # whether the pending shards' slots that were set aside are tried again

    @property
    def max_attempts(self) -> dict[str, int]:
        """Shard -> attempts that each of its slots may have."""
        return {name: shard.max_attempts for name, shard in self.shards.items()}

    def write(self, folder: Location) -> None:
        """Replaces retries.json, all at once."""
        shards = {name: vars(shard) for name, shard in self.shards.items()}
        write_json(folder / RETRIES, {"version": VERSION, "shards": shards, "pending": list(self.pending), "quarantined": self.quarantined})


def read_retries(folder: Location) -> Retries:
    """What was reopened in a run folder."""
    path = folder / RETRIES
    if not path.is_file():
        return Retries()
    written: dict[str, Any] = read_json(path)
    if written.get("version") != VERSION:
        raise ResumeMismatch(f"{path} has version {written.get('version')}, expected {VERSION}. Go on with the facemint that wrote it.")
    shards = {name: Reopened(**shard) for name, shard in written["shards"].items()}
    return Retries(shards=shards, pending=tuple(written["pending"]), quarantined=written["quarantined"])


def ask_again(folder: Location, max_attempts: int, *, unfilled: bool, quarantined: bool, attempts: int) -> Retries:
    """Notes which shards are to be reopened; a retry that was interrupted is taken up first, whatever is asked for.

    max_attempts  of the run's recipe
    unfilled      unfilled slots get `attempts` more than their shard's slots could have so far
    quarantined   slots that were set aside are tried again
    """
    with Lease(folder):
        retries = read_retries(folder)
        if retries.pending:
            return retries
        shards, pending = dict(retries.shards), []
        for name, marker in read_markers(folder).items():
            counts = marker["counts"]
            if not ((unfilled and counts["unfilled"]) or (quarantined and counts["quarantined"])):
                continue
            before = shards.get(name, Reopened(max_attempts=max_attempts, epoch=0))
            more = attempts if unfilled and counts["unfilled"] else 0
            shards[name] = Reopened(max_attempts=before.max_attempts + more, epoch=before.epoch + 1)
            pending.append(name)
        if pending:
            retries = Retries(shards=shards, pending=tuple(pending), quarantined=quarantined)
            retries.write(folder)
    return retries


def reopen_shards(folder: Location, run_hash: str) -> Retries:
    """Puts the answers of pending shards back into the staging log and takes their markers away, so that make resolves their slots again.

    Killed at any moment, the same again leads to the same: a shard is either committed, or its answers are in the log.
    run_hash  of the run as it is now, which the log is for
    """
    retries = read_retries(folder)
    if not retries.pending:
        return retries
    with Lease(folder):
        markers = read_markers(folder)
        reopening = [name for name in retries.pending if name in markers]
        if reopening:
            (folder / "stages" / "make.json").unlink(missing_ok=True)  # run.json counts what will change
        for name in reopening:
            _reopen(folder, name, markers[name], run_hash, keep_set_aside=not retries.quarantined)
    return retries


def close_retries(folder: Location) -> None:
    """Notes that all reopened shards are committed again; their bounds of attempts stay, in case a shard has to be made anew."""
    retries = read_retries(folder)
    if retries.pending:
        replace(retries, pending=()).write(folder)


def _reopen(folder: Location, name: str, marker: Mapping[str, Any], run_hash: str, *, keep_set_aside: bool) -> None:
    answers, set_aside = answers_of_shard(folder, marker)
    log = StagingLog(folder, run_hash)
    try:
        log.drop(name)  # of a retry that was interrupted here
        log.append(name, answers)
        for failure in set_aside if keep_set_aside else ():
            log.append_failure(name, failure)
        log.sync()
    finally:
        log.close()
    if not keep_set_aside:
        for failure in set_aside:
            (folder / "quarantine" / f"{sample_id(failure.slot)}.json").unlink(missing_ok=True)
    (folder / "data" / f"{name}.json").unlink(missing_ok=True)
