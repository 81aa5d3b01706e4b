"""Accepted pictures that are there twice: equal pixels, re-encodings, near copies by pixel features; and whether any crosses splits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qc.dataset.duplicates import Duplicates, exact_duplicates, feature_duplicates, perceptual_candidates, perceptual_duplicates
from qc.report.inputs import ReportInputs, spread
from qc.report.metrics import metric

MAX_PAIRS = 12  # of a kind
MAX_HASHES = 200_000  # pictures whose hashes are compared with each other
MAX_CANDIDATES = 20_000_000  # pairs of hashes that are compared
NAMES = {"pixels": "exact", "perceptual": "perceptual", "features": "embedding"}


def duplicates_section(inputs: ReportInputs, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Clusters of each kind, and the closest pairs; null without accepted pictures.

    Equal pixels are looked for among all pictures. Near copies are pairs whose pixel features confirm them, among the pictures that were looked at;
    `hash_candidates` counts the pictures whose hash alone is near another's.
    """
    rows = np.flatnonzero(inputs.accepted)
    labels = inputs.labels
    if not len(rows) or labels is None:
        for identifier, label in (("duplicates", "Surplus copies"), ("across_splits", "Copies across splits")):
            metrics.append(metric(identifier, label, None, unit="pictures", n=0, stage="accepted", direction="lower"))
        return None
    split = np.asarray(inputs.slots["split"].astype(str))[inputs.slot_row]
    found = [(exact_duplicates(labels["pixel_hash"].to_numpy(), kind="pixels", splits=split[rows].tolist(), top=MAX_PAIRS), rows)]
    hashed = labels["has_phash"].to_numpy(dtype=bool)
    every = labels["phash64"].to_numpy(dtype=np.uint64)[hashed]
    compared = every[spread(len(every), MAX_HASHES)]
    candidates = perceptual_candidates(compared, max_candidates=MAX_CANDIDATES)
    if inputs.embedded is not None and (seen := inputs.accepted[inputs.embedded.row]).any():
        of, pixels, hashes = inputs.embedded.row[seen], inputs.embedded.pixels[seen], inputs.embedded.phash64[seen]
        near = perceptual_candidates(hashes, max_candidates=MAX_CANDIDATES)
        confirmed = perceptual_duplicates(hashes, places=near, features=pixels[near], splits=split[of].tolist(), top=MAX_PAIRS, max_candidates=MAX_CANDIDATES)
        found += [(confirmed, of), (feature_duplicates(pixels, splits=split[of].tolist(), top=MAX_PAIRS), of)]
    kinds = {NAMES[each.kind]: _kind(each) for each, _ in found}
    pairs = [_pair(inputs, each, of, place) for each, of in found for place in range(len(each.pairs))]
    surplus = found[0][0].num_surplus
    metrics.append(
        metric("duplicates", "Surplus copies with the same pixels", surplus, unit="pictures", n=len(rows), stage="accepted", direction="lower",
               source="sha256 of the pixels")
    )  # fmt: skip
    splits = len(np.unique(split[rows]))
    across = sum(each.num_across_splits for each, _ in found) if splits > 1 else None
    metrics.append(
        metric("across_splits", "Clusters of copies and near copies across splits", across, unit="clusters", n=len(rows), stage="accepted", direction="lower",
               source="pixels, perceptual hash, pixel features" if splits > 1 else "there is one split")
    )  # fmt: skip
    return {
        "exact": None,
        "perceptual": None,
        "embedding": None,
        **kinds,
        "hash_candidates": {"pictures": len(candidates), "n": len(compared)},
        "num_splits": splits,
        "across_splits": None if across is None else {"clusters": across, "pairs": across},
        "pairs": pairs,
    }


def _kind(found: Duplicates) -> dict[str, Any]:
    return {
        "clusters": found.num_clusters,
        "pictures": found.num_in_clusters,
        "surplus": found.num_surplus,
        "across_splits": found.num_across_splits,
        "n": found.num_pictures,
        "feature": found.feature,
        "limit": found.limit,
        "complete": found.complete,
        "confirmed": found.confirmed,
    }


def _pair(inputs: ReportInputs, found: Duplicates, rows: NDArray[np.int64], place: int) -> dict[str, Any]:
    pair = found.pairs[place]
    a, b = inputs.key(int(rows[pair.a])), inputs.key(int(rows[pair.b]))
    return {"a": a, "b": b, "kind": NAMES[found.kind], "distance": pair.distance, "tile_a": a, "tile_b": b}
