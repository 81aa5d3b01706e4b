"""What a check is given: the request for one picture, and what the nets saw in it."""

# H W pixels

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qc.expression import ExpressionReading
from qc.faces import Face


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


@dataclass(frozen=True, kw_only=True)
class CheckContext:
    """What was seen in one picture."""

    request: QCRequest
    faces: tuple[Face, ...]  # best first
    gate_cosine: float  # nan without a face or a reference
    audit_cosine: float
    reading: ExpressionReading | None  # None without a face

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
