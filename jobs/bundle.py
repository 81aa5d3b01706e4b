"""Where the weights are: the bundled folder with its ledger, and the folders that a recipe names instead."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import generator
from jobs.files import read_json
from jobs.sections import ModelsSection
from jobs.verified import check_files, known_sha256
from manifests.errors import WeightsError
from manifests.ledger import LEDGER_NAME, Weight, check_roles, read_ledger

BUNDLED = Path(generator.__file__).resolve().parent / "bundled"

EXPRESSION_BANK = BUNDLED / "banks" / "expressions.parquet"
SCENE_BANK = BUNDLED / "banks" / "scenes.parquet"
IDENTITY_PRIOR = BUNDLED / "banks" / "identities.safetensors"


def core_folder(models: ModelsSection) -> Path:
    """Folder of the core that a recipe asks for."""
    return Path(models.core) if models.core else BUNDLED / "core"


def core_size(models: ModelsSection) -> int:
    """Side of the core's pictures, px; read without loading the core."""
    folder = core_folder(models)
    if not (folder / "core.json").is_file():
        raise WeightsError(f'core: "{folder}" has no core.json. Give models.core the folder of a facemint core, or leave it out for the bundled one.')
    size = read_json(folder / "core.json").get("size")
    if not isinstance(size, int):
        raise WeightsError(f'core: "{folder / "core.json"}" says size {size}, expected a number of pixels. Restore it from where the weights came from.')
    return size


def weight_hashes(models: ModelsSection) -> dict[str, str]:
    """Name to sha256 of every weight that a run uses; files of the bundle as its ledger has them, others read now, or known from an earlier reading."""
    ledger = read_ledger(BUNDLED)
    check_roles(ledger.weights)
    hashes = ledger.hashes()
    for section, folder in (("core", models.core), ("pack", models.pack)):
        if folder is None:
            continue
        if not Path(folder).is_dir():
            raise WeightsError(f'models.{section}: "{folder}" is not a folder. Name one, or leave it out for the bundled weights.')
        if section == "core":
            hashes = {name: value for name, value in hashes.items() if ledger.find(name).role != "core"}
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.suffix in (".onnx", ".safetensors", ".json"):
                hashes[f"{section}/{path.relative_to(folder).as_posix()}"] = known_sha256(path)
    gates = [_as_gate(name, sha256) for name, sha256 in hashes.items() if name.startswith("pack/") and name.endswith(".onnx")]
    check_roles((*ledger.weights, *gates))
    return hashes


def _as_gate(name: str, sha256: str) -> Weight:
    """A file of the user's pack, any of which may become the gate."""
    return Weight(name=name, file=name, sha256=sha256, role="gate", licence="", source="", bytes=0)


def check_weights(models: ModelsSection, hashes: Mapping[str, str]) -> None:
    """Raises WeightsError when a file that a worker will load isn't the one that the run was begun with; read once per node.

    hashes  of a run, as weight_hashes gave them; of the bundle's files the ledger's hold
    """
    ledger = read_ledger(BUNDLED)
    expected = {ledger.folder / weight.file: weight.sha256 for weight in ledger.weights if models.core is None or weight.role != "core"}
    for section, folder in (("core", models.core), ("pack", models.pack)):
        if folder is not None:
            names = {name.removeprefix(f"{section}/"): value for name, value in hashes.items() if name.startswith(f"{section}/")}
            expected |= {Path(folder) / name: value for name, value in names.items()}
    check_files(expected)


def bundle_id(hashes: Mapping[str, str]) -> str:
    """Short name of a set of weights, 16 hex digits."""
    return hashlib.sha256(json.dumps(dict(sorted(hashes.items()))).encode()).hexdigest()[:16]


def facemint_version() -> str:
    """Version of the installed distribution; "unpacked" when facemint is run from its folder without being installed."""
    try:
        return metadata.version("facemint")
    except metadata.PackageNotFoundError:
        return "unpacked"


def has_bundle() -> bool:
    """Whether the bundled weights are there."""
    return (BUNDLED / LEDGER_NAME).is_file()
