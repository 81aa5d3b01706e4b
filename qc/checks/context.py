"""What a check is given: the request for one picture, and what the nets saw in it."""

# H W pixels

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from qc.expression import ExpressionReading
from qc.faces import Face
from qc.iso.geometry import FaceGeometry, face_geometry, five_of_68

T = TypeVar("T")

# Farther from the detector's five points than this, in inter-eye distances, the 68 landmarks are of something else.
LANDMARKS_AGREE = 0.5


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The picture whose person is replaced, and where; of the same size as the picture that is judged."""

    image_rgb: NDArray[np.uint8]  # (H, W, 3)
    face_mask: NDArray[np.uint8]  # (H, W), 1 where the person is replaced
    memory: dict[str, object] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` measures on the scene, once for all pictures of it."""
        if name not in self.memory:
            self.memory[name] = make()
        return self.memory[name]  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class QCRequest:
    """What was asked of one picture. None: nothing was asked, so it is measured and not judged."""

    gate_reference: NDArray[np.float32] | None  # (D,) unit embedding of the person by the gate
    audit_reference: NDArray[np.float32] | None  # (D,) by the auditor
    units: NDArray[np.float32] | None  # (35,) expression units
    affectnet8: str | None  # expression class
    pose_deg: tuple[float, float, float] | None  # yaw, pitch, roll of the background's person
    landmarks5_px: NDArray[np.float32] | None  # (5, 2) px of the picture; None: where a portrait has them
    background_sharpness: float | None  # of the background's face, by checks.sharpness.face_sharpness
    size_px: tuple[int, int] | None = None  # width, height
    valence: float | None = None  # -1 .. 1
    arousal: float | None = None
    people: NDArray[np.float32] | None = None  # (P, D) gate embeddings of all people of the run, unit length
    scene: Scene | None = None  # what the face was set into


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What was seen in one picture."""

    request: QCRequest
    faces: tuple[Face, ...]  # best first
    gate_cosine: float  # nan without a face or a reference
    audit_cosine: float
    reading: ExpressionReading | None  # None without a face
    label_map: NDArray[np.uint8] | None = None  # (H, W) of manifests.face_mask.LABELS; None where the picture was not parsed
    landmarks68_px: NDArray[np.float32] | None = None  # (68, 2)
    sharpness: float | None = None  # of the face, where it is known already
    identity_rank: int | None = None  # of the asked person among the people of the run, 1 is nearest
    memory: dict[str, object] = field(default_factory=dict)  # what several checks need of this picture

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` returns, made by the first check that asks."""
        if name not in self.memory:
            self.memory[name] = make()
        return self.memory[name]  # type: ignore[return-value]

    @property
    def landmarks(self) -> NDArray[np.float32] | None:
        """The 68 landmarks (68, 2), where they are of the best face; the parser gives some for whatever it is shown."""
        points, face = self.landmarks68_px, self.face
        if points is None or face is None:
            return None
        five = face.landmarks5_px.astype(np.float64)
        distance = np.linalg.norm(five_of_68(points)[[0, 1, 3, 4]] - five[[0, 1, 3, 4]], axis=1).mean()
        return points if distance <= LANDMARKS_AGREE * max(1.0, float(np.linalg.norm(five[1] - five[0]))) else None

    @property
    def geometry(self) -> FaceGeometry | None:
        """Lengths of the best face; None without its landmarks."""
        points = self.once("landmarks", lambda: self.landmarks)
        return None if points is None else self.once("geometry", lambda: face_geometry(points))

    @property
    def face(self) -> Face | None:
        """The best face."""
        return self.faces[0] if self.faces else None


class Check(Protocol):
    """One check: measures every picture, judges by the measurements alone, so that stored ones can be judged again."""

    @property
    def name(self) -> str:
        """Name, also the key of its limits."""
        ...

    @property
    def unit(self) -> str:
        """Unit of its limits."""
        ...

    @property
    def source(self) -> str:
        """Where the limits come from."""
        ...

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Numbers of a (H, W, 3) picture; nan where they can't be measured."""
        ...

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """The reject reason, None when the picture passes or nothing was asked."""
        ...

    def limit(self) -> str:
        """The limit as people read it."""
        ...


def measured(measurements: Mapping[str, float], name: str) -> float | None:
    """The value of a measurement; None where it is missing or nan."""
    value = measurements.get(name, math.nan)
    return None if math.isnan(value) else value
