"""Scores of a spread of the pictures against the run's people, before and after filtering, by gate and by auditor."""

# P pictures, I identities

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qc.report.inputs import Embedded, People, ReportInputs, spread
from qc.statistics import ScoreSet

MAX_COMPARISONS = 300_000  # non-mated ones


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The pictures whose person is known to the recognisers."""

    inputs: ReportInputs
    embedded: Embedded
    people: People

    @cached_property
    def person(self) -> NDArray[np.int64]:
        """(P,) row of the people for each embedded picture; -1: not known."""
        place = {name: row for row, name in enumerate(self.people.identity_ids)}
        of_name = np.array([place.get(name, -1) for name in self.inputs.identity_names], np.int64)
        return of_name[self.inputs.identity[self.embedded.row]]

    @cached_property
    def accepted(self) -> NDArray[np.int64]:
        """Places of the embedded pictures that were accepted."""
        return np.flatnonzero(self.inputs.accepted[self.embedded.row] & (self.person >= 0))

    @cached_property
    def unfiltered(self) -> NDArray[np.int64]:
        """Places of embedded pictures that stand for all attempts: accepted and rejected ones in their proportion."""
        kept = self.inputs.accepted[self.embedded.row]
        known = self.person >= 0
        places = [np.flatnonzero(known & kept), np.flatnonzero(known & ~kept)]
        faced = self._faced
        totals = [int((faced & self.inputs.accepted).sum()), int((faced & ~self.inputs.accepted).sum())]
        shares = [len(place) / total for place, total in zip(places, totals, strict=True) if total]
        share = min(shares, default=0.0)
        chosen = [place[spread(len(place), round(share * total))] for place, total in zip(places, totals, strict=True)]
        return np.sort(np.concatenate(chosen))

    @property
    def _faced(self) -> NDArray[np.bool_]:
        found = self.inputs.measured("landmark5_x0")
        return np.ones(len(self.inputs.attempts), bool) if found is None else np.isfinite(found)

    def scores(self, recogniser: str, places: NDArray[np.int64]) -> ScoreSet | None:
        """Mated and non-mated scores; None without pictures or with a single person."""
        references = getattr(self.people, recogniser)
        if not len(places) or len(references) < 2:
            return None
        return spread_scores(getattr(self.embedded, recogniser)[places], self.person[places], references)


def spread_scores(embeddings: NDArray[np.floating], own: NDArray[np.int64], references: NDArray[np.floating]) -> ScoreSet:
    """As `qc.statistics.reference_scores`, with at most MAX_COMPARISONS non-mated ones: each picture against people that follow its own in steps."""
    count = len(references)
    others = max(1, min(count - 1, MAX_COMPARISONS // max(len(own), 1)))
    step = max(1, (count - 1) // others)
    shift = 1 + step * np.arange(others)  # 1 .. count - 1
    columns = (own[:, None] + shift[None, :]) % count
    mated = np.einsum("nd,nd->n", embeddings, references[own], dtype=np.float64)
    parts = [np.einsum("nd,nkd->nk", embeddings[k : k + 256], references[columns[k : k + 256]], dtype=np.float64) for k in range(0, len(own), 256)]
    return ScoreSet(
        mated=mated,
        mated_identity=own,
        nonmated=np.concatenate(parts).ravel(),
        nonmated_identities=np.stack([np.repeat(own, others), columns.ravel()], axis=1),
        num_identities=count,
    )
