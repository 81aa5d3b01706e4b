"""Exactly one face."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.mapping import graded

LANDMARK_COLUMNS = tuple(f"landmark5_{axis}{point}" for point in range(5) for axis in "xy")
BOX_COLUMNS = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")


@dataclass(frozen=True, kw_only=True)
class SingleFaceCheck:
    """Refuses pictures without a face and with more than one.

    A second face counts from a share of the first one's area, so that specks which a detector takes for faces don't.
    """

    min_second_area: float = 0.1
    name: str = "single_face"
    unit: str = "faces"
    source: str = "ISO/IEC 29794-5:2025 single face present: area ratio of the second to the largest face"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Number of faces; score, box and five points of the best one; area of the second to the largest."""
        face = context.face
        if face is None:
            return {"face_count": 0.0, "second_face_area": 0.0}
        areas = sorted((float((f.bbox_px[2:] - f.bbox_px[:2]).prod()) for f in context.faces), reverse=True)
        second = areas[1] / max(areas[0], 1e-6) if len(areas) > 1 else 0.0
        x0, y0, x1, y1 = (float(value) for value in face.bbox_px)
        points = [float(value) for value in face.landmarks5_px.reshape(-1)]
        return {
            "face_count": float(len(context.faces)),
            "second_face_area": second,
            **graded("single_face", second),
            "face_score": face.score,
            **dict(zip(BOX_COLUMNS, (x0, y0, x1 - x0, y1 - y0), strict=True)),
            **dict(zip(LANDMARK_COLUMNS, points, strict=True)),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """No face, or a second one that counts."""
        if measured(measurements, "face_count") == 0:
            return "no_face"
        second = measured(measurements, "second_face_area") or 0.0
        return "many_faces" if not math.isclose(second, 0.0) and second >= self.min_second_area else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"exactly one; a second face counts from {self.min_second_area:.0%} of the first one's area"
