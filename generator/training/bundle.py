"""Enters every file of a bundled folder in its ledger: name, role, hash, licence and source."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from manifests.errors import WeightsError
from manifests.ledger import Ledger, Role, check_roles, weigh, write_ledger

LICENCE = "Apache-2.0"
SOURCE = "trained on rendered CG faces (MakeHuman CC0 assets)"

# How paths start and what such files are; the first match counts, and files without a match are no weights.
ROLE_OF: tuple[tuple[str, Role], ...] = (
    ("recognisers/identity_", "conditioner"),
    ("recognisers/gate.", "gate"),
    ("recognisers/auditor.", "auditor"),
    ("expression/expression_encoder.", "conditioner"),
    ("expression/expression_estimator.", "estimator"),
    ("faces/face_parser.", "parser"),
    ("faces/face_detector.", "detector"),
    ("core/", "core"),
    ("banks/identities.", "prior"),
    ("banks/", "bank"),
    ("qc/", "bank"),
)
SUFFIXES = (".onnx", ".safetensors", ".parquet", ".json")


def write_bundle_ledger(bundled: Path, *, licence: str = LICENCE, source: str = SOURCE) -> Ledger:
    """Writes weights.json for what is in the folder. Raises RoleError when one model holds two of the exclusive roles."""
    weights = []
    for path in sorted(bundled.rglob("*")):
        file = path.relative_to(bundled).as_posix()
        role = next((role for start, role in ROLE_OF if file.startswith(start)), None)
        if role is not None and path.is_file() and path.suffix in SUFFIXES and not path.name.startswith("."):
            weights.append(weigh(bundled, file, name=weight_name(file), role=role, licence=licence, source=source))
    if not weights:
        raise WeightsError(f'weights ledger: "{bundled}" holds no weights. Train them first, or name the folder that holds them.')
    check_roles(weights)
    ledger = Ledger(folder=bundled, weights=tuple(weights))
    write_ledger(ledger)
    return ledger


def weight_name(file: str) -> str:
    """Name of a file in the ledger: its stem, with the folders of the core before it."""
    path = PurePosixPath(file)
    return path.with_suffix("").as_posix() if path.parts[0] == "core" else path.stem
