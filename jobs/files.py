"""Files that appear whole or not at all: written under a temporary name, synced, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from manifests.errors import InputError, StorageError

UNFINISHED = ".unfinished"  # suffix of temporary names


def write_whole(path: Path, content: bytes | str) -> str:
    """Writes a file so that it is either the old one or the complete new one, also after a power cut; returns its sha256."""
    content = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"storage: {path} can't be written ({error}). Make room or check the permissions, then run the same command again.") from error
    return hashlib.sha256(content).hexdigest()


def write_json(path: Path, value: Any) -> str:
    """Writes JSON with sorted keys; returns its sha256."""
    return write_whole(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Value of a JSON file that facemint wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"file: {path} can't be read ({error.strerror}). Name the folder of a run.") from error
    except ValueError as error:
        raise InputError(f"file: {path} is not JSON ({error}). Restore it, or delete it and run the same command again.") from error


def sha256_of(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def drop_unfinished(folder: Path) -> int:
    """Deletes temporary files that an interrupted run left anywhere below the folder; returns their number."""
    leftovers = [path for path in folder.rglob(f".*{UNFINISHED}") if path.is_file()]
    for path in leftovers:
        path.unlink()
    return len(leftovers)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
