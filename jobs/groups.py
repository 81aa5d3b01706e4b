"""Demographic groups of a user's photographs: labels of people from a file, and how many people of each group a run takes."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.files import sha256_of
from jobs.references import Reference, Screening, Unusable
from jobs.sections import IdentitiesSection
from manifests.errors import ConfigError, InputError
from manifests.permutation import key_of

COLUMNS = ("person", "group")


def read_labels(path: Path) -> dict[str, str]:
    """Person (folder or file name) -> group, from a CSV or Parquet file; a person without a group is left out."""
    _check_is_file(path)
    groups: dict[str, str] = {}
    for number, row in enumerate(_rows(path), start=1):
        missing = [name for name in COLUMNS if name not in row]
        if missing:
            found = ", ".join(str(name) for name in row) or "none"
            raise InputError(f'groups: {path} has no column "{missing[0]}" (columns: {found}). Name the columns person and group.')
        person, group = (str(row[name]).strip() if row[name] is not None else "" for name in COLUMNS)
        if not person or not group:
            continue
        if groups.setdefault(person, group) != group:
            raise InputError(f'groups: {path} row {number} puts "{person}" into the group "{group}", an earlier row into "{groups[person]}". Keep one.')
    return groups


def labels_hash(path: Path) -> str:
    """sha256 of a file of labels."""
    _check_is_file(path)
    return sha256_of(path)


def choose_people(screening: Screening, section: IdentitiesSection, run_seed: int) -> Screening:
    """The screening with each person's group, and, where groups are asked for, only as many people of each; the others are left out with a reason.

    Who is taken of a group follows from the hash of run seed and name, so a larger number keeps those of a smaller one. Too few people of a
    group are a ConfigError.
    """
    if section.labels is None:
        return screening
    labels = read_labels(Path(section.labels))
    usable = [dataclasses.replace(reference, group=_group_of(reference, labels)) for reference in screening.usable]
    _check_one_group_each(usable, section.labels)
    if not section.groups:
        return dataclasses.replace(screening, usable=tuple(usable))
    group_of = {reference.name: reference.group for reference in usable}
    chosen: set[str] = set()
    for group, count in section.groups.items():
        members = sorted((name for name, found in group_of.items() if found == group), key=lambda name: (key_of(run_seed, "group", name), name))
        if len(members) < count:
            raise ConfigError(
                f'groups: identities.groups asks for {count:,} people of "{group}", but {section.labels} and {section.path} have {len(members):,} '
                "whose photographs can be used. Ask for fewer, or add photographs with their labels."
            )
        chosen.update(members[:count])
    left_out = [Unusable(file=reference.file, reason=_reason(reference, section)) for reference in usable if reference.name not in chosen]
    kept = tuple(reference for reference in usable if reference.name in chosen)
    return Screening(usable=kept, unusable=tuple(sorted((*screening.unusable, *left_out), key=lambda item: item.file)))


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f'groups: identities.labels is "{path}", which is not a file. Name a CSV or Parquet file with the columns person and group.')


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"groups: {path} can't be read as Parquet ({error}). Restore it, or give a CSV file.") from error
        return table.to_pylist() or [dict.fromkeys(table.column_names)]
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            return list(reader) or [dict.fromkeys(reader.fieldnames or ())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"groups: {path} can't be read as CSV ({error}). Save it as UTF-8 text with the columns person and group.") from error


def _group_of(reference: Reference, labels: Mapping[str, str]) -> str | None:
    """By the person's name, the picture's path below the folder, or its file name."""
    return next((labels[name] for name in (reference.name, reference.file, Path(reference.file).name) if name in labels), None)


def _check_one_group_each(usable: Iterable[Reference], labels: str) -> None:
    seen: dict[str, Reference] = {}
    for reference in usable:
        first = seen.setdefault(reference.name, reference)
        if first.group != reference.group:
            raise InputError(
                f'groups: {labels} gives "{first.file}" the group "{first.group}" and "{reference.file}" the group "{reference.group}", '
                f'but both show "{reference.name}". Label the person once.'
            )


def _reason(reference: Reference, section: IdentitiesSection) -> str:
    if reference.group is None:
        return f"it has no group in {section.labels}"
    if reference.group not in section.groups:
        return f'its group "{reference.group}" is not asked for'
    return f'the quota of its group "{reference.group}", {section.groups[reference.group]:,}, is filled by others'
