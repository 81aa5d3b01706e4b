"""What the papers of a run are written from: its recipe, its record, its report's figures, its shards and its owner's statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.config import RunConfig
from jobs.images import EXTENSIONS
from jobs.marking.iptc import SourceType, source_type_of
from jobs.marking.marker import Marker, marker_of
from jobs.papers.licences import Entry
from jobs.papers.release import Release
from manifests.records import RunRecord

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A finished run, as its papers need it."""

    config: RunConfig
    record: RunRecord
    summary: Mapping[str, Any]  # qc_report.json
    markers: Mapping[str, Mapping[str, Any]]  # shard -> marker
    release: Release
    licences: tuple[Entry, ...]
    has_sheet: bool

    @property
    def counts(self) -> Mapping[str, int]:
        """Of slots, attempts and pictures, over all shards."""
        total: dict[str, int] = {}
        for marker in self.markers.values():
            for name, number in marker["counts"].items():
                total[name] = total.get(name, 0) + number
        return total

    @property
    def files(self) -> dict[str, Mapping[str, Any]]:
        """File of a shard -> its bytes and sha256, by name."""
        return {name: promise for _, marker in sorted(self.markers.items()) for name, promise in sorted(marker["files"].items())}

    @property
    def splits(self) -> list[str]:
        """Splits that have accepted pictures."""
        return self.splits_of("data")

    def splits_of(self, place: str) -> list[str]:
        """Splits that have pictures in a place: data or rejected."""
        return [split for split in SPLITS if any(name.startswith(f"{place}/{split}-") for name in self.files)]

    @property
    def extension(self) -> str:
        """Of the pictures."""
        return EXTENSIONS[self.config.image.format]

    @property
    def photographed_people(self) -> bool:
        """Whether people come from photographs."""
        return self.config.identities.path is not None

    @property
    def photographed_scenes(self) -> bool:
        """Whether what surrounds the faces are photographs."""
        return bool(self.config.scenes.path or self.config.scenes.from_identities)

    @property
    def source_type(self) -> SourceType:
        """IPTC's term for the pictures."""
        return source_type_of(photograph=self.photographed_scenes)

    @property
    def marker(self) -> Marker:
        """The marks of the run."""
        return marker_of(self.config)
