"""The ledger of a weights folder: which file is which model, its hash, its role, its licence and its source."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from manifests.errors import RoleError, WeightsError

LEDGER_NAME = "weights.json"

Role = Literal["conditioner", "gate", "auditor", "estimator", "parser", "detector", "core", "prior", "bank"]
ROLES: tuple[Role, ...] = get_args(Role)

# A model that conditions the images, one that lets them pass and one that audits the result must be three different files.
EXCLUSIVE_ROLES: tuple[Role, ...] = ("conditioner", "gate", "auditor")


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One file of weights."""

    name: str  # unique in a ledger
    file: str  # path below the folder of the ledger, with "/"
    sha256: str  # of the file, 64 lower-case hex digits
    role: Role
    licence: str
    source: str  # where the numbers came from
    bytes: int

    def __post_init__(self) -> None:
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise WeightsError(f'weights ledger: file of "{self.name}" is "{self.file}", expected a path below the folder of the ledger.')
        if self.role not in ROLES:
            raise WeightsError(f'weights ledger: role of "{self.name}" is "{self.role}", expected one of {", ".join(ROLES)}.')
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            raise WeightsError(f'weights ledger: sha256 of "{self.name}" is "{self.sha256}", expected 64 lower-case hex digits.')


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All files of weights of one folder."""

    folder: Path
    weights: tuple[Weight, ...]

    def __post_init__(self) -> None:
        names = [weight.name for weight in self.weights]
        for name in names:
            if names.count(name) > 1:
                raise WeightsError(f'weights ledger: {self.folder / LEDGER_NAME} names "{name}" twice. Keep one entry of it.')

    def find(self, name: str) -> Weight:
        """The weight called `name`."""
        for weight in self.weights:
            if weight.name == name:
                return weight
        raise WeightsError(f'weights ledger: {self.folder / LEDGER_NAME} has no "{name}"; it has {", ".join(w.name for w in self.weights)}.')

    def path(self, name: str) -> Path:
        """File of the weight called `name`."""
        return self.folder / self.find(name).file

    def with_role(self, role: Role) -> tuple[Weight, ...]:
        """Weights that hold a role."""
        return tuple(weight for weight in self.weights if weight.role == role)

    def hashes(self) -> dict[str, str]:
        """Name to sha256, as a run record keeps them."""
        return {weight.name: weight.sha256 for weight in self.weights}


def read_ledger(folder: Path) -> Ledger:
    """The ledger of a folder, from its weights.json; the files themselves are not looked at."""
    path = folder / LEDGER_NAME
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"weights ledger: {path} does not exist. Name a folder that has one.") from error
    except ValueError as error:
        raise WeightsError(f"weights ledger: {path} is not JSON ({error}). Restore it.") from error
    try:
        return Ledger(folder=folder, weights=tuple(Weight(**entry) for entry in entries))
    except TypeError as error:
        raise WeightsError(f"weights ledger: {path} has an entry with other keys than a weight's ({error}). Restore it.") from error


def write_ledger(ledger: Ledger) -> Path:
    """Writes weights.json, one entry a line, in the order of names; replaces an older one at once."""
    path = ledger.folder / LEDGER_NAME
    entries = [json.dumps(vars(weight), ensure_ascii=False) for weight in sorted(ledger.weights, key=lambda weight: weight.name)]
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_text("[\n" + ",\n".join(entries) + "\n]\n", encoding="utf-8")
    os.replace(unfinished, path)
    return path


def weigh(folder: Path, file: str, *, name: str, role: Role, licence: str, source: str) -> Weight:
    """Ledger entry of a file that exists below `folder`."""
    path = folder / file
    if not path.is_file():
        raise WeightsError(f"weights ledger: {path} does not exist, so it can't be entered. Name a file.")
    return Weight(name=name, file=file, sha256=file_sha256(path), role=role, licence=licence, source=source, bytes=path.stat().st_size)


def verify_ledger(ledger: Ledger) -> None:
    """Compares every file with its size and hash; the first difference raises WeightsError."""
    for weight in ledger.weights:
        path = ledger.folder / weight.file
        if not path.is_file():
            raise WeightsError(f'weights: file of "{weight.name}", {path}, does not exist. Restore it or correct {LEDGER_NAME}.')
        size = path.stat().st_size
        if size != weight.bytes:
            raise WeightsError(f'weights: file of "{weight.name}", {path}, has {size:,} bytes, expected {weight.bytes:,}. Restore it.')
        digest = file_sha256(path)
        if digest != weight.sha256:
            raise WeightsError(f'weights: file of "{weight.name}", {path}, has sha256 {digest[:12]}..., expected {weight.sha256[:12]}.... Restore it.')


def check_roles(weights: Iterable[Weight], exclusive: Sequence[Role] = EXCLUSIVE_ROLES) -> None:
    """Raises RoleError when files of equal content hold two of the roles conditioner, gate and auditor."""
    holders: dict[str, Weight] = {}
    for weight in weights:
        if weight.role not in exclusive:
            continue
        other = holders.setdefault(weight.sha256, weight)
        if other.role != weight.role:
            raise RoleError(
                f'roles: {other.role} "{other.name}" and {weight.role} "{weight.name}" are the same model (sha256 {weight.sha256[:12]}...); '
                f"a model may hold one of {', '.join(exclusive)} only. Choose another {weight.role}."
            )


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
