"""Is the face where it was asked for: offset of the five points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.alignment import landmark_offset, template_points
from qc.checks.context import CheckContext, QCRequest, measured


@dataclass(frozen=True, kw_only=True)
class AlignmentCheck:
    """Refuses faces whose points lie away from the background's person, or from a portrait's template."""

    max_offset: float = 0.3  # mean of five points, in inter-eye distances
    name: str = "alignment"
    unit: str = "inter-eye distances"
    source: str = "our own: a mouth that opens wide moves the points, and detectors err by up to 0.24 on the corpus"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Mean offset of the five points, and the inter-eye distance in px."""
        if context.face is None:
            return {}
        points = context.face.landmarks5_px
        requested = context.request.landmarks5_px
        expected = template_points(image_rgb.shape[1]) if requested is None else requested.astype(np.float64)
        return {
            "landmark_offset": landmark_offset(points, expected),
            "inter_eye_px": float(np.linalg.norm(points[1] - points[0])),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Too far away."""
        offset = measured(measurements, "landmark_offset")
        return "alignment" if offset is not None and offset > self.max_offset else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_offset:g}"
