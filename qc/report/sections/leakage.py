"""Do made people look like people of the training data, by the auditor, beside people that nothing was trained on; the gate's count beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from qc.dataset.leakage import Leakage, find_copies, leakage
from qc.report.gallery_tiles import gallery_key
from qc.report.inputs import Embedded, Gallery, ReportInputs
from qc.report.metrics import interval_json, metric
from qc.report.sections.scores import Scored
from qc.statistics import RULE_OF, plain

TARGETS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # the smallest that the held-out people support is taken
TOP = 24
HASHES = ("phash64", "mirrored_phash64", "phash256", "mirrored_phash256")
NO_GALLERY = "Likeness to training people: no gallery of them was given."


def leakage_section(inputs: ReportInputs, scored: Scored | None, metrics: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Nearest training person of each accepted picture; null without a gallery or pictures.

    `expected` is what as many held-out people give: their share that matches some training person at the threshold. (Independent comparisons would give
    N (1 - (1 - FMR)^G), which overstates it, because a gallery's people resemble each other.) The run's own references are compared, too, because they
    are centres like the held-out people's, while single pictures lie a little farther from everybody. Copies are found by perceptual hash: all accepted
    pictures by the hash of their labels, the embedded and decoded ones also mirrored; a hash of 256 bits confirms them.
    """
    gallery = inputs.gallery
    if gallery is None or scored is None or not len(scored.accepted) or gallery.held_out.all() or not gallery.held_out.any():
        for identifier, label, unit in (
            ("leakage", "Pictures that match a training person, observed / held-out people", "ratio"),
            ("copies", "Copies", "pictures"),
        ):
            metrics.append(metric(identifier, label, None, unit=unit, n=0, stage="accepted", direction="lower", role="auditor"))
        return None
    comparisons = int(gallery.held_out.sum()) * int((~gallery.held_out).sum())
    target = next((rate for rate in TARGETS if rate * comparisons >= RULE_OF), TARGETS[-1])
    found = _of("auditor", scored, gallery, target)
    assert found is not None
    beside = _of("gate", scored, gallery, target)
    rows = scored.embedded.row[scored.accepted]
    names = np.asarray(gallery.identity_ids, object)
    training = np.flatnonzero(~gallery.held_out)
    copies, search = _copies(inputs, scored.embedded, gallery)
    confirmed = sum(copy["confirmed"] for copy in copies)
    expected = _expected(found, found.num_pictures)
    ratio = found.above / expected if found.above is not None and expected else None
    references = leakage(scored.people.auditor, gallery.auditor[~gallery.held_out], gallery.auditor[gallery.held_out], target_fmr=target, top=1)
    source = f"threshold at a false-match rate of {target:g} on {comparisons:,} comparisons of {found.num_reference} held-out people"
    metrics.append(
        metric(
            "leakage",
            "Pictures that match a training person, observed / held-out people",
            ratio,
            unit="ratio",
            n=found.num_pictures,
            n_clusters=len(np.unique(scored.person[scored.accepted])),
            stage="accepted",
            direction="lower",
            role="auditor",
            source=source,
            threshold=plain(found.threshold),
        )
    )
    metrics.append(
        metric(
            "copies",
            "Pictures that are copies of training pictures",
            confirmed if search["confirmable"] else len(copies),
            unit="pictures",
            n=search["pictures"],
            stage="accepted",
            direction="lower",
            source=f"perceptual hashes of {len(gallery.phash64):,} pictures" + ("" if search["confirmable"] else ", not confirmed: no phash256 in the gallery"),
        )
    )
    return {
        "gallery": {"people": found.num_gallery, "source": gallery.source, "held_out": found.num_reference, "pictures": len(gallery.phash64)},
        "role": "auditor",
        "threshold": plain(found.threshold),
        "target_fmr": target,
        "estimable": found.estimable,
        "num_comparisons": comparisons,
        "above": {
            "count": found.above,
            "n": found.num_pictures,
            "expected": expected,
            "expected_independent": found.expected,
            "share": plain(found.above_share),
            "ci": interval_json(found.above_ci),
            "reference": found.reference_above,
        },
        "gate": None
        if beside is None
        else {
            "count": beside.above,
            "n": beside.num_pictures,
            "expected": _expected(beside, beside.num_pictures),
            "threshold": plain(beside.threshold),
            "reference": beside.reference_above,
        },
        "references": {"count": references.above, "n": references.num_pictures, "expected": _expected(references, references.num_pictures)},
        "distribution": {
            "edges": list(found.edges),
            "synthetic": _shares(found.synthetic),
            "reference": _shares(found.reference),
            "n_synthetic": found.num_pictures,
            "n_reference": found.num_reference,
        },
        "mean_max": plain(found.mean_max),
        "reference_mean_max": plain(found.reference_mean_max),
        "hash_matches": copies[:TOP],
        "num_hash_matches": len(copies),
        "hash_search": search,
        "pairs": [
            {
                "sample_key": (key := inputs.key(int(rows[pair.a]))),
                "gallery_id": str(names[person := int(training[pair.b])]),
                "cosine": pair.cosine,
                "tile": key,
                "gallery_tile": _tile(gallery, person),
            }
            for pair in found.pairs
        ],
        "auth_pct": plain(found.auth_pct),
    }


def _of(role: str, scored: Scored, gallery: Gallery, target: float) -> Leakage | None:
    rows = getattr(gallery, role)
    made = getattr(scored.embedded, role)[scored.accepted]
    if rows is None or rows.shape[1] != made.shape[1]:
        return None
    return leakage(made, rows[~gallery.held_out], rows[gallery.held_out], target_fmr=target, top=TOP)


def _expected(found: Leakage, n: int) -> float | None:
    """Matches that as many held-out people give."""
    return None if found.reference_above is None or not found.num_reference else n * found.reference_above / found.num_reference


def _copies(inputs: ReportInputs, embedded: Embedded, gallery: Gallery) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Copies among the embedded pictures and the candidates, and how they were looked for. The cosine to the person is for information only."""
    of_training = ~gallery.held_out[gallery.phash_owner]
    owner = gallery.phash_owner[of_training]
    places = np.flatnonzero(inputs.accepted[embedded.row])
    more = inputs.candidates
    parts = {name: [getattr(embedded, name)[places]] + ([] if more is None else [getattr(more, name)]) for name in ("row", *HASHES)}
    rows, *hashes = (np.concatenate(part) for part in parts.values())
    found = find_copies(
        pixel_sha256=np.zeros(len(rows), "U1"),
        gallery_pixel_sha256=None,
        gallery_phash64=gallery.phash64[of_training],
        gallery_phash256=None if gallery.phash256 is None else gallery.phash256[of_training],
        **dict(zip(HASHES, hashes, strict=True)),
    )
    search = {
        "pictures": max(len(places), 0 if more is None else more.num_compared),
        "mirrored": len(rows),
        "candidates": 0 if more is None else more.num_found,
        "decoded": 0 if more is None else len(more.row),
        "complete": more is None or more.complete,
        "confirmable": gallery.phash256 is not None,
    }
    matches = []
    for copy in found:
        key, person = inputs.key(int(rows[copy.picture])), int(owner[copy.gallery])
        # rows beyond the embedded ones have no embedding
        cosine = float(embedded.auditor[places[copy.picture]] @ gallery.auditor[person]) if copy.picture < len(places) else None
        matches.append(
            {
                "sample_key": key,
                "gallery_id": str(gallery.identity_ids[person]),
                "evidence": copy.evidence,
                "bits": copy.bits,
                "bits256": copy.bits256,
                "confirmed": copy.confirmed,
                "cosine": None if cosine is None else round(cosine, 4),
                "tile": key,
                "gallery_tile": _tile(gallery, person),
            }
        )
    return matches, search


def _tile(gallery: Gallery, person: int) -> str | None:
    return None if gallery.tiles is None or gallery.tiles[person] is None else gallery_key(person)


def _shares(counts: tuple[int, ...]) -> list[float]:
    total = sum(counts)
    return [round(count / total, 6) if total else 0.0 for count in counts]
