"""The expression estimator that judges pictures, and the expression encoder that conditions them: two different nets."""

# N crops

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from manifests.ledger import file_sha256
from manifests.vocabulary import AFFECTNET8
from qc.alignment import RECOGNISER_SIDE_PX
from qc.sessions import Net

NUM_UNITS = 35  # 34 expression units 0..1, then the sideways shift of the mouth -1..1
ENCODING_WIDTH = 32


@dataclass(frozen=True, kw_only=True)
class ExpressionReading:
    """What the estimator reads from one crop."""

    units: NDArray[np.float32]  # (35,)
    probabilities: NDArray[np.float32]  # (8,) in the order of AFFECTNET8, sums to 1
    valence: float  # -1 .. 1
    arousal: float  # -1 .. 1
    yaw_deg: float  # > 0 turns to image right
    pitch_deg: float  # > 0 looks up
    roll_deg: float  # > 0 is clockwise in the crop; see in_picture

    def in_picture(self, turn_deg: float) -> ExpressionReading:
        """The reading with the roll as in the picture, from whose crop it was made by a turn of `turn_deg` degrees."""
        return dataclasses.replace(self, roll_deg=self.roll_deg - turn_deg)

    @property
    def pose_deg(self) -> tuple[float, float, float]:
        """Yaw, pitch and roll."""
        return self.yaw_deg, self.pitch_deg, self.roll_deg

    @property
    def expression(self) -> str:
        """Most probable class, of AFFECTNET8."""
        return AFFECTNET8[int(self.probabilities.argmax())]


class ExpressionEstimator:
    """Recogniser crops (N, 112, 112, 3) to expression units, classes, valence, arousal and pose."""

    def __init__(self, path: Path, *, threads: int = 1, batch_size: int = 1) -> None:
        outputs = {"units": (NUM_UNITS,), "basic": (len(AFFECTNET8),), "valence_arousal": (2,), "pose_deg": (3,)}
        self.net = Net(path, "expression estimator", RECOGNISER_SIDE_PX, outputs, threads)
        self.sha256 = file_sha256(path)
        self.batch_size = batch_size

    def read(self, crops_rgb: NDArray[np.uint8]) -> list[ExpressionReading]:
        """A reading of each crop."""
        outputs = self.net.run(crops_rgb, self.batch_size)
        probabilities = softmax(outputs["basic"])
        readings = []
        for row in range(len(crops_rgb)):
            valence, arousal = outputs["valence_arousal"][row].tolist()
            yaw, pitch, roll = outputs["pose_deg"][row].tolist()
            readings.append(
                ExpressionReading(
                    units=outputs["units"][row],
                    probabilities=probabilities[row],
                    valence=valence,
                    arousal=arousal,
                    yaw_deg=yaw,
                    pitch_deg=pitch,
                    roll_deg=roll,
                )
            )
        return readings


class ExpressionEncoder:
    """Recogniser crops (N, 112, 112, 3) to the embeddings (N, 32) that condition the generator; not of unit length."""

    def __init__(self, path: Path, *, threads: int = 1, batch_size: int = 1) -> None:
        self.net = Net(path, "expression encoder", RECOGNISER_SIDE_PX, {"embedding": (ENCODING_WIDTH,)}, threads)
        self.sha256 = file_sha256(path)
        self.batch_size = batch_size

    def encode(self, crops_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (N, 32)."""
        return self.net.run(crops_rgb, self.batch_size)["embedding"]


def unit_error(units: NDArray[np.floating], requested: NDArray[np.floating]) -> float:
    """Root mean square difference of two vectors of 35 units."""
    if np.shape(units) != (NUM_UNITS,) or np.shape(requested) != (NUM_UNITS,):
        raise InputError(f"expression: got unit vectors of shapes {np.shape(units)} and {np.shape(requested)}, expected ({NUM_UNITS},) each.")
    return float(np.sqrt(np.mean((np.asarray(units, np.float64) - np.asarray(requested, np.float64)) ** 2)))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
