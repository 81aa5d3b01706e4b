"""Writes the papers of a finished run: README.md, croissant.json and licences.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.config import RunConfig
from jobs.files import write_json, write_whole
from jobs.locations import Location
from jobs.papers.card import card_text
from jobs.papers.croissant import croissant
from jobs.papers.facts import Facts
from jobs.papers.licences import licence_entries
from jobs.papers.release import read_release
from jobs.shards import read_markers
from manifests.records import RunRecord


def write_papers(folder: Location, config: RunConfig, record: RunRecord, summary: Mapping[str, Any], *, has_sheet: bool) -> list[Location]:
    """Writes the papers and returns their places; `summary` is the report's JSON."""
    release = read_release(folder)
    facts = Facts(
        config=config,
        record=record,
        summary=summary,
        markers=read_markers(folder),
        release=release,
        licences=tuple(licence_entries(config, release)),
        has_sheet=has_sheet,
    )
    write_whole(folder / "README.md", card_text(facts))
    write_json(folder / "croissant.json", croissant(facts))
    write_json(folder / "licences.json", list(facts.licences))
    return [folder / "README.md", folder / "croissant.json", folder / "licences.json"]
