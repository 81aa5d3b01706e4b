"""Thresholds of a recogniser at stated false-match rates, measured on impostors and stored with the recogniser's hash."""

# N pictures, D width of an embedding

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError, WeightsError
from qc.alignment import recogniser_crops
from qc.images import ImageLimits, Picture, read_picture
from qc.packs import Detector
from qc.recognition import Recogniser
from qc.statistics import RULE_OF, fnmr, pairwise_scores, threshold_at_fmr

CALIBRATION_FILE = Path("qc") / "calibration.json"  # below the folder of the bundled weights
TARGET_FMRS = (1e-1, 5e-2, 1e-2, 1e-3)
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A threshold of one recogniser at one false-match rate."""

    threshold: float  # cosine; the smallest with FMR <= target
    target_fmr: float
    achieved_fmr: float
    fnmr: float | None  # of the mated pairs at the threshold; None without mated pairs
    num_identities: int
    num_comparisons: int  # non-mated
    estimable: bool  # at least 30 false matches are expected among the comparisons
    model_sha256: str
    source: str  # which pictures

    def require(self) -> Calibration:
        """Itself when enough comparisons support it, else WeightsError with the number that would."""
        if not self.estimable:
            needed = round(RULE_OF / self.target_fmr)
            raise WeightsError(
                f"calibration: a threshold at false-match rate {self.target_fmr:g} needs {needed:,} comparisons of different people, {self.source} gives "
                f"{self.num_comparisons:,}. Choose a larger qc.gate_fmr, or calibrate on more people."
            )
        return self


def calibrate(
    embeddings: NDArray[np.floating],
    identities: Sequence[object] | NDArray[np.int64],
    *,
    model_sha256: str,
    source: str,
    targets: Sequence[float] = TARGET_FMRS,
) -> list[Calibration]:
    """Thresholds from all pairs of N unit embeddings (N, D) of known identities (N,)."""
    labels = np.unique(np.asarray([str(identity) for identity in identities]), return_inverse=True)[1].astype(np.int64)
    if len(labels) != len(embeddings) or labels.max(initial=-1) < 1:
        raise InputError(f"calibration: got {len(embeddings)} embeddings and {len(labels)} identities of {source}, expected as many, of two or more people.")
    scores = pairwise_scores(embeddings, labels)
    calibrations = []
    for target in targets:
        chosen = threshold_at_fmr(scores.nonmated, target)
        calibrations.append(
            Calibration(
                threshold=chosen.threshold,
                target_fmr=target,
                achieved_fmr=chosen.achieved_fmr,
                fnmr=fnmr(scores.mated, chosen.threshold) if len(scores.mated) else None,
                num_identities=scores.num_identities,
                num_comparisons=chosen.num_comparisons,
                estimable=chosen.estimable,
                model_sha256=model_sha256,
                source=source,
            )
        )
    return calibrations


def calibrate_corpus(
    images_rgb: Sequence[NDArray[np.uint8]],
    landmarks5_px: Sequence[NDArray[np.floating]],
    identities: Sequence[object],
    recogniser: Recogniser,
    *,
    source: str,
    targets: Sequence[float] = TARGET_FMRS,
) -> list[Calibration]:
    """Thresholds of a recogniser on labelled pictures, each with five points of its face."""
    embeddings = recogniser.embed(recogniser_crops(images_rgb, landmarks5_px))
    return calibrate(embeddings, identities, model_sha256=recogniser.sha256, source=source, targets=targets)


def calibrate_folder(
    folder: Path, detector: Detector, recogniser: Recogniser, *, targets: Sequence[float] = TARGET_FMRS, limits: ImageLimits | None = None
) -> list[Calibration]:
    """Thresholds from a folder with one sub-folder of photographs per person; what has not exactly one face is left out."""
    if not folder.is_dir():
        raise InputError(f"calibration: {folder} is not a folder. Name one with a sub-folder of photographs for each person.")
    images, points, identities = [], [], []
    for path in sorted(folder.glob("*/*")):
        picture = read_picture(path, limits)
        faces = detector.detect(picture.image_rgb) if isinstance(picture, Picture) else []
        if isinstance(picture, Picture) and len(faces) == 1:
            images.append(picture.image_rgb)
            points.append(faces[0].landmarks5_px)
            identities.append(path.parent.name)
    if len(set(identities)) < 2:
        found = len(set(identities))
        raise InputError(f"calibration: {folder} has usable photographs of {found} people, expected two or more sub-folders with one face a picture.")
    return calibrate_corpus(images, points, identities, recogniser, source=f"photographs of {len(set(identities))} people", targets=targets)


def calibrate_references(references: NDArray[np.floating], *, model_sha256: str, targets: Sequence[float] = TARGET_FMRS) -> list[Calibration]:
    """Thresholds from the impostor pairs among a run's identity references, one unit embedding (I, D) each."""
    people = [f"{number:08d}" for number in range(len(references))]
    return calibrate(references, people, model_sha256=model_sha256, source=f"the {len(references)} identities of this run", targets=targets)


def write_calibrations(path: Path, calibrations: Iterable[Calibration]) -> None:
    """Stores calibrations as JSON, ordered by model and rate."""
    rows = sorted((dataclasses.asdict(calibration) for calibration in calibrations), key=lambda row: (row["model_sha256"], -row["target_fmr"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schema_version": SCHEMA_VERSION, "calibrations": rows}, indent=1) + "\n", encoding="utf-8")


def read_calibrations(path: Path) -> list[Calibration]:
    """The calibrations of a JSON file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [Calibration(**row) for row in content["calibrations"]]
    except OSError as error:
        raise WeightsError(f"calibration: {path} can't be read ({error.strerror}). Restore it.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"calibration: {path} isn't a calibration file ({error}). Restore it.") from error


def find_calibration(calibrations: Iterable[Calibration], model_sha256: str, target_fmr: float) -> Calibration:
    """The calibration of a model at a false-match rate; WeightsError names the rates that there are."""
    rates = []
    for calibration in calibrations:
        if calibration.model_sha256 != model_sha256:
            continue
        if np.isclose(calibration.target_fmr, target_fmr, rtol=1e-6, atol=0):
            return calibration
        rates.append(calibration.target_fmr)
    if rates:
        listed = ", ".join(f"{rate:g}" for rate in sorted(rates, reverse=True))
        raise WeightsError(f"calibration: model {model_sha256[:12]}... has no threshold at false-match rate {target_fmr:g}, it has {listed}. Choose one.")
    raise WeightsError(f"calibration: model {model_sha256[:12]}... has not been calibrated. Name photographs of many people with qc.calibration.")
