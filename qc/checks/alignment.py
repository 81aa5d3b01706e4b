"""Is the face where it was asked for: offset, size and turn of the five points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.geometry import similarity_transform
from qc.alignment import landmark_offset, template_points
from qc.checks.context import CheckContext, QCRequest, measured


@dataclass(frozen=True, kw_only=True)
class AlignmentCheck:
    """Refuses faces whose points lie away from the background's person, or from a portrait's template, or that are of another size or turn."""

    max_offset: float = 0.3  # mean of five points, in inter-eye distances
    max_scale: float = 1.45  # larger or smaller than asked
    max_turn_deg: float = 17.0  # in the picture plane
    name: str = "alignment"
    unit: str = "inter-eye distances"
    source: str = (
        "our own: a mouth that opens wide moves the points, and detectors err by up to 0.24 on the corpus; 745 accepted pictures of the bundled model "
        "are at most 1.31 times smaller or larger and 13 degrees turned"
    )

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Mean offset of the five points, and the inter-eye distance in px."""
        if context.face is None:
            return {}
        points = context.face.landmarks5_px
        requested = context.request.landmarks5_px
        expected = template_points(image_rgb.shape[1]) if requested is None else requested.astype(np.float64)
        matrix = similarity_transform(expected, points.astype(np.float64))
        return {
            "landmark_offset": landmark_offset(points, expected),
            "landmark_scale": float(np.hypot(matrix[0, 0], matrix[1, 0])),
            "landmark_turn_deg": float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))),
            "inter_eye_px": float(np.linalg.norm(points[1] - points[0])),
        }

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Too far away, too large or small, or turned."""
        offset = measured(measurements, "landmark_offset")
        scale, turn_deg = measured(measurements, "landmark_scale"), measured(measurements, "landmark_turn_deg")
        resized = scale is not None and not 1 / self.max_scale <= scale <= self.max_scale
        turned = turn_deg is not None and abs(turn_deg) > self.max_turn_deg
        return "alignment" if resized or turned or (offset is not None and offset > self.max_offset) else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_offset:g}; at most {self.max_scale:g} times larger or smaller, turned by at most {self.max_turn_deg:g} degrees"
