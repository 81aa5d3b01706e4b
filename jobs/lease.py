"""Who drives a run folder: a small file with a heartbeat, so that two commands never write to one folder at the same time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from jobs.files import cannot_write
from jobs.locations import Location, found
from jobs.object_store import ObjectPath
from jobs.patience import patiently
from manifests.errors import BusyError, StorageError

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0  # without a heartbeat after which another machine's lease is taken over
SETTLE_SECONDS = 1.0  # between writing and reading back in an object store, which has no exclusive creation
LOOK_SECONDS = 1.0  # `check` reads the file at most this often
_CANNOT_LINK = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Content of a lease."""

    token: str  # drawn for each command
    host: str
    machine: str  # start of the system and process namespace; process numbers of equal ones can be compared. "": not known
    pid: int
    process_started: str  # clock ticks since the system's start; "": not known
    started: float  # s since 1970
    heartbeat: float  # s since 1970

    def to_bytes(self) -> bytes:
        """JSON that is equally long for every heartbeat, so that it can be written in place."""
        fields = asdict(self)
        return json.dumps({**fields, "started": f"{self.started:017.3f}", "heartbeat": f"{self.heartbeat:017.3f}"}).encode()

    @staticmethod
    def from_bytes(content: bytes) -> Holder:
        """The holder that `to_bytes` described. Raises ValueError."""
        fields = json.loads(content)
        try:
            return Holder(**{**fields, "started": float(fields["started"]), "heartbeat": float(fields["heartbeat"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no lease: {error}") from error


class Lease:
    """`with Lease(folder) as lease:` refuses with BusyError while another command drives the folder; `lease.check()` raises if it was taken away.

    A holder on this machine whose process is gone is replaced at once, one on another machine after a minute without a heartbeat.
    Leases of different names exclude each other, too, but for lease-0-of-N to lease-(N-1)-of-N, whose holders make different shards.
    """

    def __init__(self, folder: Location, name: str = "lease", *, heartbeat_seconds: float = HEARTBEAT_SECONDS, stale_seconds: float = STALE_SECONDS,
                 settle_seconds: float = SETTLE_SECONDS) -> None:  # fmt: skip
        self.path = folder / f"{name}.json"
        self._folder = folder
        self._heartbeat_seconds, self._stale_seconds, self._settle_seconds = heartbeat_seconds, stale_seconds, settle_seconds
        now = time.time()
        pid = os.getpid()
        self._me = Holder(
            token=secrets.token_hex(8),
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            process_started=_process_started(pid) or "",
            started=now,
            heartbeat=now,
        )
        self._lost = ""  # why the lease is no longer ours
        self._looked = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle = -1  # of our own local file: a heartbeat written by it can't overwrite another's lease

    def __enter__(self) -> Lease:
        if isinstance(self.path, ObjectPath):
            self._take_object(self.path)
        else:
            self._take_file(self.path)
        try:
            self._refuse_others()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * self._heartbeat_seconds)
        try:
            if self._present_token() == self._me.token:
                self.path.unlink(missing_ok=True)
        except (OSError, StorageError):
            if kind is None:
                raise
        finally:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1

    def check(self) -> None:
        """Raises BusyError when another command has taken the lease."""
        if not self._lost and time.monotonic() - self._looked >= LOOK_SECONDS:
            patiently(self._look)
        if self._lost:
            raise BusyError(f"lease: {self._lost}. This command stops; what it committed is safe. Wait for the other, then run the same command again.")

    def _look(self) -> None:
        self._looked = time.monotonic()
        holder = _read(self.path)
        if holder is None:
            self._lost = f"{self.path} was deleted while this command used the folder"
        elif holder.token != self._me.token:
            self._lost = f"{self.path} was taken by process {holder.pid} on {holder.host}"

    def _present_token(self) -> str | None:
        holder = _read(self.path)
        return holder.token if holder else None

    def _take_file(self, path: Path) -> None:
        """Of several commands that try at the same time exactly one gets a link to its file under the lease's name."""
        mine = path.with_name(f".{path.name}.{self._me.token}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(mine, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(self._handle, self._me.to_bytes())
            os.fsync(self._handle)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            for _ in range(100):  # each turn someone else's file came or went
                if _linked(mine, path):
                    return
                holder = _read(path)
                if holder is not None and self._may_replace(holder) and self._replace_file(mine, path, holder):
                    return
            raise BusyError(f"lease: {path} changes hands all the time. Stop the other commands on {self._folder}, then run again.")
        except OSError as error:
            raise cannot_write(path, error) from error
        finally:
            if not _same_file(self._handle, path):
                os.close(self._handle)
                self._handle = os.open(path, os.O_RDWR) if self._present_token() == self._me.token else -1
            mine.unlink(missing_ok=True)

    def _replace_file(self, mine: Path, path: Path, holder: Holder) -> bool:
        """Puts our file in the place of a holder that is gone. The right to replace this one holder is a link that only one can make."""
        right = path.with_name(f".{path.name}.after-{holder.token}")
        if not _linked(mine, right):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - right.stat().st_mtime > self._stale_seconds:  # whoever had the right died with it
                    right.unlink()
            time.sleep(0.02)
            return False
        try:
            present = _read(path)
            if present is None or present.token != holder.token:
                return False
            os.replace(right, path)
            return True
        finally:
            right.unlink(missing_ok=True)

    def _take_object(self, path: ObjectPath) -> None:
        """Writes, and reads back after a moment: of several commands that wrote at the same time the last has it."""
        holder = _read(path)
        if holder is not None:
            self._may_replace(holder)
        path.store.put(path.key, self._me.to_bytes())
        time.sleep(self._settle_seconds)
        holder = _read(path)
        if holder is None or holder.token != self._me.token:
            raise self._refusal(holder or self._me)

    def _refuse_others(self) -> None:
        """Raises BusyError while a command with a lease of another name may make the same shards. Each takes its own first, so that one sees the other."""
        for path in found(self._folder, "lease*.json"):
            if path.name == self.path.name or _side_by_side(path.stem, self.path.stem):
                continue
            holder = _read(path)
            if holder is not None and not self._gone(holder, path):
                raise self._refusal(holder)

    def _may_replace(self, holder: Holder) -> bool:
        """True when the holder is gone; BusyError when it isn't."""
        if not self._gone(holder, self.path):
            raise self._refusal(holder)
        return True

    def _gone(self, holder: Holder, path: Location) -> bool:
        if holder.machine and holder.machine == self._me.machine:
            return not _is_running(holder.pid, holder.process_started)
        if time.time() - holder.heartbeat <= self._stale_seconds:
            return False
        # Its clock may be wrong: a holder that still writes is alive whatever time it takes it to be.
        time.sleep(1.2 * self._heartbeat_seconds)
        later = _read(path)
        return later is None or (later.token == holder.token and later.heartbeat == holder.heartbeat)

    def _refusal(self, holder: Holder) -> BusyError:
        since = datetime.fromtimestamp(holder.started, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        return BusyError(
            f"lease: {self._folder} is in use by process {holder.pid} on {holder.host} since {since}. Wait for it or stop it; "
            f"if it is gone without a trace, run again {self._stale_seconds:.0f} s after its last heartbeat."
        )

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_seconds):
            with contextlib.suppress(OSError, StorageError):  # subtle: a store that is away for a moment is no reason to stop; the next beat tries again
                self._look()
                if self._lost:
                    return
                content = Holder(**{**vars(self._me), "heartbeat": time.time()}).to_bytes()
                if isinstance(self.path, ObjectPath):
                    self.path.store.put(self.path.key, content)
                else:
                    os.pwrite(self._handle, content, 0)


def _read(path: Location) -> Holder | None:
    """Who holds a lease; None: nobody. A lease that can't be read is read again for a while: it may be about to be written."""
    for _ in range(20):
        try:
            return Holder.from_bytes(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"lease: {path} can't be read ({error.strerror or error}). Check the storage, then run the same command again.") from error
        except ValueError:
            time.sleep(0.05)
    raise StorageError(f"lease: {path} is damaged. If no other command uses this folder, delete it and run the same command again.")


def _side_by_side(name: str, other: str) -> bool:
    """Whether the names are of two parts of the same division of a run."""
    of, of_other = name.partition("-of-")[2], other.partition("-of-")[2]
    return of != "" and of == of_other


def _linked(source: Path, target: Path) -> bool:
    """Whether the file got a second name that nobody else had; where a file can't have two names, whether a copy got it."""
    try:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                os.write(handle, source.read_bytes())
            finally:
                os.close(handle)
    except FileExistsError:
        return False
    return True


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _machine() -> str:
    """What tells apart systems, their restarts and containers, all of which count processes anew."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{start} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"host {socket.gethostname()}"


def _process_started(pid: int) -> str | None:
    """When a process started, as this system counts; None: there is no such process, or it has ended and waits for its parent; "": not known."""
    if not Path("/proc/self/stat").exists():
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def _is_running(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    now = _process_started(pid)
    return now is not None and (not now or not started or now == started)
