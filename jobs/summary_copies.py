"""Accepted pictures of a run whose hash is near that of a training picture, decoded and hashed more finely."""

# N attempts, A accepted ones, H hashes of the gallery

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jobs.images import decode_rgb
from jobs.locations import Location
from jobs.summary_pictures import read_samples
from manifests.rows import sample_id
from qc.dataset.hashes import close_to, phash64, phash64_mirrored, phash256, phash256_mirrored, phash256_rows
from qc.dataset.leakage import CANDIDATE_LIMIT, COPY_LIMIT
from qc.report.inputs import Candidates, Embedded, Gallery

MAX_DECODED = 500


def copy_candidates(
    folder: Location,
    markers: Mapping[str, Mapping[str, Any]],
    attempts: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    embedded: Embedded | None,
    gallery: Gallery | None,
) -> Candidates | None:
    """All accepted pictures by the hash of their labels; of the candidates that aren't embedded, the nearest MAX_DECODED are decoded.

    Labels don't hold the hash of the mirror image, so that mirrored copies are looked for among decoded pictures alone.
    """
    if gallery is None or not len(gallery.phash64) or gallery.held_out[gallery.phash_owner].all():
        return None
    hashed = labels["has_phash"].to_numpy(dtype=bool)
    rows = np.flatnonzero(attempts["accepted"].to_numpy(dtype=bool))[hashed]
    limit = COPY_LIMIT if gallery.phash256 is None else CANDIDATE_LIMIT
    training = gallery.phash64[~gallery.held_out[gallery.phash_owner]]
    near = close_to(labels["phash64"].to_numpy(dtype=np.uint64)[hashed], training, limit)
    least = np.full(len(rows), limit + 1, np.int64)
    np.minimum.at(least, near.first, near.distance)
    least[np.isin(rows, [] if embedded is None else embedded.row)] = limit + 1  # their hashes are known
    wanted = np.flatnonzero(least <= limit)
    chosen = np.sort(rows[wanted[np.argsort(least[wanted], kind="stable")][:MAX_DECODED]])
    slots = attempts["slot"].to_numpy()[chosen]
    place = {sample_id(int(slot)): row for slot, row in zip(slots, chosen.tolist(), strict=True)}
    found = {}
    for key, content, _ in read_samples(folder, markers, place) if place else ():
        image = decode_rgb(content)
        found[place[key]] = (phash64(image), phash64_mirrored(image), phash256(image), phash256_mirrored(image))
    order = sorted(found)
    return Candidates(
        num_compared=len(rows),
        num_found=len(wanted),
        complete=near.complete,
        row=np.array(order, np.int64),
        phash64=np.array([found[row][0] for row in order], np.uint64),
        mirrored_phash64=np.array([found[row][1] for row in order], np.uint64),
        phash256=phash256_rows([found[row][2] for row in order]),
        mirrored_phash256=phash256_rows([found[row][3] for row in order]),
    )
