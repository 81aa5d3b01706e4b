"""Detectors with recognisers that look at pictures made by a command: the bundled auditor, and those of an insightface pack."""

# N pictures, M of them with a face, D width of an embedding, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.bundle import BUNDLED
from jobs.conditions import AUDITOR
from manifests.ledger import read_ledger
from qc.alignment import recogniser_crops
from qc.faces import FaceDetector
from qc.packs import Detector, insightface_pack
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models


@dataclass(frozen=True, kw_only=True)
class Eye:
    """A detector and a recogniser that look together."""

    name: str  # of the recogniser
    detector_name: str
    detector: Detector
    recogniser: Recogniser


@dataclass(frozen=True, kw_only=True)
class SeenFaces:
    """What an eye sees; pictures without a face have no embedding."""

    num_faces: NDArray[np.int64]  # (N,)
    rows: NDArray[np.int64]  # (M,) places of the pictures with a face
    embeddings: NDArray[np.float32]  # (M, D) of the best face


def open_eyes(pack: Path | None, *, threads: int = 1) -> list[Eye]:
    """The bundled detector with the auditor, and those of an insightface pack. RoleError when one of them conditions."""
    auditor = Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name=AUDITOR, threads=threads)
    eyes = [Eye(name=AUDITOR, detector_name="face_detector", detector=FaceDetector(BUNDLED / "faces" / "face_detector.onnx"), recogniser=auditor)]
    if pack is not None:
        found = insightface_pack(pack, threads=threads)
        eyes.append(Eye(name=found.recogniser.name, detector_name=found.name, detector=found.detector, recogniser=found.recogniser))
    conditioners = {weight.name: weight.sha256 for weight in read_ledger(BUNDLED).with_role("conditioner")}
    first, *others = [(eye.name, eye.recogniser.sha256) for eye in eyes]
    refuse_shared_models(conditioners, first, others[0] if others else None)
    return eyes


def look(eye: Eye, images_rgb: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> SeenFaces:
    """Finds the faces of N pictures and embeds the best one of each."""
    faces = [eye.detector.detect(image) for image in images_rgb]
    rows = np.array([place for place, found in enumerate(faces) if found], dtype=np.int64)
    crops = recogniser_crops([images_rgb[row] for row in rows], [faces[row][0].landmarks5_px for row in rows])
    return SeenFaces(num_faces=np.array([len(found) for found in faces], dtype=np.int64), rows=rows, embeddings=eye.recogniser.embed(crops))
