"""Hashes of large files that are read once per node: a stamp in the user's cache folder says which file had which sha256, and when."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from manifests.errors import WeightsError
from manifests.ledger import file_sha256

CACHE_VARIABLE = "XDG_CACHE_HOME"
SETTLED_NS = 2_000_000_000  # a file that changed less than this before it was read may change again within one tick of its clock


def check_files(expected: Mapping[Path, str]) -> None:
    """Raises WeightsError at the first file whose sha256 is another than expected, or that is missing.

    The first process of a node reads the files, those that ask meanwhile wait for it, all others believe the stamps.
    """
    folder = stamp_folder()
    for path, wanted in expected.items():
        got = known_sha256(path, folder)
        if got != wanted:
            raise WeightsError(
                f"weights: {path} has sha256 {got[:12]}..., expected {wanted[:12]}.... "
                "It was changed after the run was begun, or is damaged on this machine: restore it, or use another --out for a run with the new file."
            )


def known_sha256(path: Path, folder: Path | None = None) -> str:
    """sha256 of a file, from its stamp while size, times and inode are the stamp's; read and stamped otherwise.

    folder  of the stamps; None: found now
    """
    path = path.resolve()
    try:
        with _locked_stamp(path, folder or stamp_folder()) as stamp:
            return _from_stamp(path, stamp)
    except FileNotFoundError as error:
        raise WeightsError(f"weights: {path} does not exist. Restore it; on a cluster it has to be there on every node, under the same path.") from error
    except OSError as error:
        raise WeightsError(f"weights: {path} can't be read ({error.strerror}). Check its permissions and its file system.") from error


def stamp_folder() -> Path:
    """A folder of this user's: below XDG_CACHE_HOME or ~/.cache, below the temporary folder when that can't be written to."""
    cache = os.environ.get(CACHE_VARIABLE) or os.path.join(os.path.expanduser("~"), ".cache")
    for folder in (Path(cache) / "facemint" / "verified", Path(tempfile.gettempdir()) / f"facemint-{os.getuid()}" / "verified"):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == os.getuid():
                return folder
    return Path(tempfile.mkdtemp(prefix="facemint-verified-"))  # every process reads for itself then


def _from_stamp(path: Path, stamp: IO[str]) -> str:
    signature = _signature(path)
    try:
        known: dict[str, Any] = json.loads(stamp.read())
    except ValueError:
        known = {}
    if {name: known.get(name) for name in signature} == signature and known["checked_ns"] - max(known["mtime_ns"], known["ctime_ns"]) > SETTLED_NS:
        return str(known["sha256"])
    checked_ns = time.time_ns()
    digest = file_sha256(path)
    if _signature(path) == signature:  # else it was written to meanwhile
        stamp.seek(0)
        stamp.truncate()
        stamp.write(json.dumps({**signature, "sha256": digest, "checked_ns": checked_ns}, indent=1) + "\n")
        stamp.flush()
    return digest


def _signature(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns, "inode": status.st_ino}


@contextlib.contextmanager
def _locked_stamp(path: Path, folder: Path) -> Iterator[IO[str]]:
    name = hashlib.sha256(str(path).encode()).hexdigest()[:32]
    with (folder / f"{name}.json").open("a+", encoding="utf-8") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)  # given back when the file is closed, also by a kill
        stamp.seek(0)
        yield stamp
