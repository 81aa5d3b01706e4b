"""Face packs: where a run's face detector and identity gate come from, the bundled files or a user's insightface folder."""

# H W pixels

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError, WeightsError
from manifests.ledger import file_sha256
from qc.faces import Face, FaceDetector
from qc.recognition import Recogniser, load_insightface

# Pictures up to this side are looked at with SMALL_SIDE_PX first: SCRFD at 640 px misses faces that fill a small picture.
SMALL_PICTURE_PX = 256
SMALL_SIDE_PX = 128
LARGE_SIDES_PX = (320, 640)


class Detector(Protocol):
    """Anything that finds faces in a (H, W, 3) uint8 RGB picture, best first."""

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Faces, best first."""
        ...


@dataclass(frozen=True, kw_only=True)
class FacePack:
    """A detector and a recogniser that belong together."""

    name: str
    detector: Detector
    recogniser: Recogniser
    hashes: dict[str, str]  # file name -> sha256


class ScrfdDetector:
    """insightface's SCRFD at a size that fits the picture; larger sizes are tried only when nothing is found."""

    def __init__(self, path: Path, *, min_score: float = 0.5, threads: int = 1) -> None:
        self.path = path
        self.model: Any = load_insightface(path, threads)
        if getattr(self.model, "taskname", None) != "detection" or not getattr(self.model, "use_kps", False):
            raise WeightsError(f"face pack: {path} is not a detector with five points. Name a pack with an SCRFD detector such as det_500m.onnx.")
        self.model.prepare(ctx_id=0, det_thresh=min_score)  # subtle: a context below 0 would open the session again, with its own threads

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Faces with boxes and five points in px of the picture, best first."""
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
            raise InputError(f"face pack: got {image_rgb.dtype} {image_rgb.shape}, expected (H, W, 3) uint8. Decode the picture as RGB.")
        bgr = np.ascontiguousarray(image_rgb[:, :, ::-1])
        sides = (SMALL_SIDE_PX, LARGE_SIDES_PX[0]) if max(image_rgb.shape[:2]) <= SMALL_PICTURE_PX else LARGE_SIDES_PX
        for side in sides:
            with contextlib.redirect_stdout(io.StringIO()):
                boxes, points = self.model.detect(bgr, input_size=(side, side))
            if len(boxes):
                break
        faces = [
            Face(bbox_px=np.asarray(box[:4], np.float32), landmarks5_px=np.asarray(five, np.float32), score=float(box[4]))
            for box, five in zip(boxes, points if points is not None else [], strict=True)
        ]
        return sorted(faces, key=lambda face: -face.score)


def bundled_pack(folder: Path, *, threads: int = 1) -> FacePack:
    """The detector and the identity gate of the bundled weights folder."""
    detector, gate = folder / "faces" / "face_detector.onnx", folder / "recognisers" / "gate.onnx"
    for path in (detector, gate):
        if not path.is_file():
            raise WeightsError(f"bundled weights: {path} does not exist. Install facemint again, or restore the folder.")
    return FacePack(
        name="bundled",
        detector=FaceDetector(detector),
        recogniser=Recogniser(gate, name="gate", threads=threads),
        hashes={path.name: file_sha256(path) for path in (detector, gate)},
    )


def insightface_pack(folder: Path, *, threads: int = 1) -> FacePack:
    """The detector and the recogniser of an insightface pack: a folder of ONNX files such as buffalo_l; nothing is ever downloaded."""
    files = _pack_files(folder)
    found: dict[str, Path] = {}
    unknown: list[str] = []
    for path in files:
        try:
            task = str(getattr(load_insightface(path, threads), "taskname", ""))
        except WeightsError:
            unknown.append(path.name)
            continue
        found.setdefault(task, path)  # the first file of a task wins, as in insightface
    missing = [task for task in ("detection", "recognition") if task not in found]
    if missing:
        others = f" ({', '.join(unknown)} can't be opened)" if unknown else ""
        names = ", ".join(path.name for path in files)
        raise WeightsError(f"face pack: {folder} holds {names}{others} and no {' and no '.join(missing)} model. Name a whole pack such as buffalo_l.")
    return FacePack(
        name=folder.name,
        detector=ScrfdDetector(found["detection"], threads=threads),
        recogniser=Recogniser(found["recognition"], threads=threads),
        hashes={found[task].name: file_sha256(found[task]) for task in ("detection", "recognition")},
    )


def _pack_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise WeightsError(f"face pack: {folder} is not a folder. Name the folder that holds the pack's ONNX files.")
    files = sorted(folder.glob("*.onnx"))
    if files:
        return files
    nested = sorted({path.parent for path in folder.glob("*/*.onnx")})
    if nested:
        raise WeightsError(f"face pack: {folder} holds no ONNX files itself, its folder {nested[0].name} does. Name {nested[0]}.")
    raise WeightsError(f"face pack: {folder} holds no ONNX files. Name the folder that holds the pack's ONNX files.")
