"""The licence bill of materials: every component that had a part in the pictures or the labels, with its licence and where it came from."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import PurePath

from jobs.bundle import BUNDLED, facemint_version
from jobs.config import RunConfig, flatten
from jobs.papers.release import NOT_STATED, Release
from manifests.ledger import read_ledger
from manifests.printable import printable

Entry = dict[str, str]  # component, kind, licence, source, and version or sha256 where there is one

# Keys of a recipe that put something of the user's into the result, and what it is.
INPUTS = {
    "identities.path": "photographs of people",
    "identities.labels": "group labels of people",
    "expressions.path": "reference pictures of expressions",
    "scenes.path": "photographs used as backgrounds",
    "qc.calibration": "photographs that the gate was calibrated on",
    "models.core": "weights of the core",
    "models.pack": "insightface pack",
}
NOT_DECLARED = "not declared by its package"


def licence_entries(config: RunConfig, release: Release) -> list[Entry]:
    """Entries in a fixed order: facemint, weights and banks, the user's inputs, packages."""
    entries: list[Entry] = [
        {"component": "facemint", "kind": "program", "licence": "Apache-2.0", "source": "this program", "version": facemint_version()},
    ]
    own_core = config.models.core is not None
    for weight in read_ledger(BUNDLED).weights:
        if not (own_core and weight.role == "core"):
            kind = "bank" if weight.role == "bank" else "weights"
            entries.append({"component": weight.name, "kind": kind, "licence": weight.licence, "source": weight.source, "sha256": weight.sha256})
    values = flatten(config)
    for key, what in INPUTS.items():
        if values.get(key):
            licence = release.licences.get(key, NOT_STATED)
            name = printable(PurePath(str(values[key])).name)
            entries.append({"component": f"{what} ({key})", "kind": "yours", "licence": licence, "source": f'your "{name}"'})
    return entries + _packages()


def _packages() -> list[Entry]:
    """The packages that facemint asks for, as their own metadata describes them."""
    entries = []
    for requirement in metadata.requires("facemint") or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:  # an extra of another platform: it had no part in this
            continue
        source = f"https://pypi.org/project/{name}/"
        entries.append({"component": name, "kind": "package", "licence": _licence_of(found), "source": source, "version": found["Version"]})
    return sorted(entries, key=lambda entry: entry["component"])


def _licence_of(found: metadata.PackageMetadata) -> str:
    if "License-Expression" in found:
        return found["License-Expression"]
    classes = [text.rpartition(" :: ")[2] for text in found.get_all("Classifier") or [] if text.startswith("License :: ") and text != "License :: OSI Approved"]
    if classes:
        return ", ".join(sorted(classes))
    stated = found["License"].strip() if "License" in found else ""
    return stated if stated and "\n" not in stated and len(stated) < 60 else NOT_DECLARED
