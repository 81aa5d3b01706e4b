"""Whether sampled people are distinct from each other and from training people, by recognisers that look at the faces made and condition nothing."""

# N pictures, M of them with a face, I people, G gallery people, D width of an embedding

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.eyes import Eye, SeenFaces, look
from jobs.new_people import PeoplePictures
from manifests.errors import InputError
from qc.dataset.leakage import leakage, nearest_gallery
from qc.dataset.uniqueness import Uniqueness, identity_centres, uniqueness
from qc.report.inputs import Gallery
from qc.statistics import Interval, Proportion, pairwise_scores, plain, proportion, rates_at, verification
from qc.statistics.intervals import integers
from qc.statistics.plain import Figures

SEED = 0
TARGET_FMR = 1e-3
TARGETS = (1e-1, 1e-2, TARGET_FMR)
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, kw_only=True)
class Detection(Figures):
    """Pictures in which a detector finds a face."""

    found: Proportion
    exactly_one: Proportion


@dataclass(frozen=True, kw_only=True)
class Distinctness(Figures):
    """How well one recogniser tells the sampled people apart on their pictures. nan: not estimable."""

    num_people: int
    num_pictures: int  # with a face
    num_mated: int
    num_nonmated: int
    eer: float
    eer_ci: Interval
    d_prime: float
    threshold: float  # at FMR 1e-3 among the faces made of different sampled people
    tar: float  # there
    tar_ci: Interval
    calibrated_threshold: float | None  # at FMR 1e-3 among pictures of held-out rendered people; None: not known for this recogniser
    calibrated_fmr: float | None  # of the faces made, at that threshold
    calibrated_fmr_ci: Interval | None
    centres: Uniqueness | None  # pairs of people, each the mean of all pictures, at the calibrated threshold
    held_out_centres: Uniqueness | None  # the same of held-out people: means are nearer to each other than single pictures


@dataclass(frozen=True, kw_only=True)
class Nearest(Figures):
    """Highest cosines of some rows to the training people."""

    num_rows: int
    mean: float
    quantiles: tuple[float, ...]  # at QUANTILES
    above: int | None  # rows at or above the threshold; None: not estimable
    above_share: float


@dataclass(frozen=True, kw_only=True)
class PeopleLeakage(Figures):
    """Nearest training person of each sampled person, beside that of held-out people, by the auditor."""

    num_gallery: int
    num_held_out: int
    target_fmr: float
    threshold: float  # at which so many comparisons of held-out and training people match; nan: too few of them
    people: Nearest  # centres of each person's pictures
    pictures: Nearest
    held_out: Nearest  # centres likewise
    nearest: tuple[dict[str, Any], ...]  # of each sampled person: identity_id, gallery_id, cosine; highest first


@dataclass(frozen=True, kw_only=True)
class PeopleFigures:
    """What is measured on one set of pictures, one or more of each person."""

    detections: Mapping[str, Detection]  # detector -> shares
    distinct: Mapping[str, Distinctness]  # recogniser -> figures
    leaked: PeopleLeakage | None  # None without a gallery

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {
            "faces_found": plain(self.detections),
            "distinct": plain(self.distinct),
            "leakage": None if self.leaked is None else self.leaked.to_json(),
        }


def people_figures(pictures: PeoplePictures, eyes: Sequence[Eye], threshold: float, gallery: Gallery | None) -> PeopleFigures:
    """Looks at the pictures with all eyes. threshold: the auditor's at FMR 1e-3 among held-out people; it is the first eye."""
    seen = {eye.name: look(eye, pictures.images_rgb) for eye in eyes}
    auditor, *_ = eyes
    held_out = None if gallery is None else gallery.auditor[gallery.held_out]
    return PeopleFigures(
        detections={eye.detector_name: detection(seen[eye.name], pictures.people) for eye in eyes},
        distinct={
            eye.name: distinctness(seen[eye.name], pictures, threshold if eye is auditor else None, held_out if eye is auditor else None) for eye in eyes
        },
        leaked=None if gallery is None else people_leakage(seen[auditor.name], pictures, gallery),
    )


def detection(seen: SeenFaces, people: NDArray[np.str_]) -> Detection:
    """Shares with intervals that draw people."""
    return Detection(found=proportion(seen.num_faces > 0, people, seed=SEED), exactly_one=proportion(seen.num_faces == 1, people, seed=SEED))


def distinctness(
    seen: SeenFaces, pictures: PeoplePictures, calibrated_threshold: float | None, held_out: NDArray[np.floating] | None = None
) -> Distinctness:
    """All pairs of the pictures in which a face was found. held_out: (H, D) centres of people that nothing was trained on; None: not known."""
    people = pictures.people[seen.rows]
    scores = pairwise_scores(seen.embeddings, integers(people))
    found = verification(scores, seed=SEED, targets=TARGETS, max_points=2)
    if found is None:
        raise InputError(f"people: faces were found in {len(people)} pictures of {len(set(people.tolist()))} people, too few to compare. Make more pictures.")
    point = found.points[-1]
    at = None if calibrated_threshold is None else rates_at(scores, calibrated_threshold, seed=SEED)
    centres = identity_centres(seen.embeddings, people)[0]
    return Distinctness(
        num_people=found.num_identities,
        num_pictures=len(people),
        num_mated=found.num_mated,
        num_nonmated=found.num_nonmated,
        eer=found.eer,
        eer_ci=found.eer_ci,
        d_prime=found.d_prime,
        threshold=point.threshold,
        tar=point.tar,
        tar_ci=Interval(low=1 - point.fnmr_ci.high, high=1 - point.fnmr_ci.low, level=point.fnmr_ci.level, method=point.fnmr_ci.method),
        calibrated_threshold=calibrated_threshold,
        calibrated_fmr=None if at is None else at.fmr,
        calibrated_fmr_ci=None if at is None else at.fmr_ci,
        centres=None if calibrated_threshold is None else matches(centres, calibrated_threshold),
        held_out_centres=None if calibrated_threshold is None or held_out is None else matches(held_out, calibrated_threshold),
    )


def people_leakage(seen: SeenFaces, pictures: PeoplePictures, gallery: Gallery) -> PeopleLeakage:
    """The auditor's faces against the gallery. Held-out people are centres of several pictures, so the sampled people's centres are their like."""
    training, held_out = gallery.auditor[~gallery.held_out], gallery.auditor[gallery.held_out]
    names = np.asarray(gallery.identity_ids)[~gallery.held_out]
    centres, people = identity_centres(seen.embeddings, pictures.people[seen.rows])
    found = leakage(centres, training, held_out, target_fmr=TARGET_FMR, top=0)
    cosine, place = nearest_gallery(centres, training)
    order = np.argsort(-cosine, kind="stable")
    return PeopleLeakage(
        num_gallery=len(training),
        num_held_out=len(held_out),
        target_fmr=TARGET_FMR,
        threshold=found.threshold,
        people=_nearest(cosine, found.threshold),
        pictures=_nearest(nearest_gallery(seen.embeddings, training)[0], found.threshold),
        held_out=_nearest(nearest_gallery(held_out, training)[0], found.threshold),
        nearest=tuple(
            {"identity_id": str(people[k]), "gallery_id": str(names[place[k]]), "cosine": round(float(cosine[k]), 6)} for k in order
        ),
    )


def matches(centres: NDArray[np.floating], threshold: float) -> Uniqueness:
    """Pairs of people (I, D) that reach a threshold; of single pictures, so that no number of them is expected by chance."""
    return uniqueness(centres, threshold=threshold, fmr=None, top=10)


def _nearest(cosine: NDArray[np.floating], threshold: float) -> Nearest:
    above = int((cosine >= threshold).sum()) if math.isfinite(threshold) else None
    return Nearest(
        num_rows=len(cosine),
        mean=float(cosine.mean()),
        quantiles=tuple(float(value) for value in np.quantile(cosine, QUANTILES)),
        above=above,
        above_share=math.nan if above is None else above / len(cosine),
    )
