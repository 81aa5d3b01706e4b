"""Is the whole face in the picture: room beside the eyes, above and below, and how large the face is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.mapping import graded


@dataclass(frozen=True, kw_only=True)
class CropCheck:
    """Refuses faces that the edge of the picture cuts, and faces too small to be recognised.

    Judged by the detector's five points, which follow a face to the edge. The standard's margins, by the parser's landmarks, are measured
    only: they are those of a document portrait, and the parser knows centred faces only.
    """

    min_side: float = 0.6  # from an eye to the nearest side, in face lengths
    min_above: float = 0.8  # from the eyes to the upper edge
    min_below: float = 0.45  # from the mouth to the lower edge; the chin is about 0.6 below it
    min_inter_eye_px: float = 16.0
    name: str = "crop"
    unit: str = "face lengths (the longer of eyes to mouth and eye to eye); px"
    source: str = "our own: the tightest of 600 clean portraits have 0.99, 1.31, 0.67 and 17.9 px; recognisers read 35 px between the eyes"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Room about the five points; by the 68 landmarks the standard's inter-eye distance, head size and margins."""
        if context.face is None:
            return {}
        height, width = image_rgb.shape[:2]
        points = context.face.landmarks5_px.astype(np.float64)
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        between_px = float(np.linalg.norm(points[1] - points[0]))
        length = max(between_px, float(np.linalg.norm(mouth - eyes)), 1e-6)
        values = {
            "room_side": min(float(points[:, 0].min()), width - float(points[:, 0].max())) / length,
            "room_above": float(eyes[1]) / length,
            "room_below": (height - float(mouth[1])) / length,
            "inter_eye_points_px": between_px,
        }
        face = context.geometry
        if face is None:
            return values
        yaw_deg = 0.0 if context.reading is None else context.reading.yaw_deg
        turned_away = max(0.2, math.cos(math.radians(yaw_deg)))  # subtle: an estimate near 90 degrees must not blow the distance up
        distance, t = max(1e-6, face.eye_distance_px), face.chin_distance_px
        return {
            **values,
            **graded("inter_eye_distance", distance / turned_away),
            **graded("head_size", t / height),
            **graded("leftward_crop", float(face.left_eye[0]) / distance),
            **graded("rightward_crop", (width - float(face.right_eye[0])) / distance),
            **graded("margin_above", float(face.eyes[1]) / t),
            **graded("margin_below", (height - float(face.eyes[1])) / t),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Cut, or too small."""
        least = {
            "room_side": self.min_side,
            "room_above": self.min_above,
            "room_below": self.min_below,
            "inter_eye_points_px": self.min_inter_eye_px,
        }
        values = {name: measured(measurements, name) for name in least}
        return "crop" if any(value is not None and value < least[name] for name, value in values.items()) else None

    def limit(self) -> str:
        """The limit as people read it."""
        return (
            f"at least {self.min_side:g} face lengths beside the eyes, {self.min_above:g} above them, {self.min_below:g} below the mouth, "
            f"{self.min_inter_eye_px:g} px between the eyes"
        )
