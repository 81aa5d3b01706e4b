"""Distances and zones of a face by its 68 landmarks, as ISO/IEC 29794-5 measures them."""

# points (68, 2) px in iBUG order, viewer's left first; pixel centres at half steps

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.geometry import similarity_transform, transform_points

ALIGNED_SIDE_PX = 616
# Where the standard's aligned picture has the two eyes, the tip of the nose and the corners of the mouth.
ALIGNED_POINTS = np.array([[251, 272], [364, 272], [308, 336], [262, 402], [355, 402]], dtype=np.float64)

CHIN, NOSE_TIP, MOUTH_CORNERS = 8, 30, (48, 54)
EYE_CORNERS = ((36, 39), (42, 45))
INNER_LIPS = ((61, 67), (62, 66), (63, 65))
ZONE_SHARE = 0.3  # side of a cheek zone in inter-eye distances


@dataclass(frozen=True, kw_only=True)
class FaceGeometry:
    """The few lengths that the measures are made of."""

    left_eye: NDArray[np.float64]  # (2,) px, viewer's left
    right_eye: NDArray[np.float64]
    mouth: NDArray[np.float64]  # middle of the inner lips
    eye_distance_px: float
    chin_distance_px: float  # t: from the middle of the eyes to the chin
    mouth_opening: float  # between the inner lips, in t

    @property
    def eyes(self) -> NDArray[np.float64]:
        """Middle of the two eyes (2,)."""
        return (self.left_eye + self.right_eye) / 2


def face_geometry(points: NDArray[np.floating]) -> FaceGeometry:
    """The lengths of a face."""
    points = np.asarray(points, dtype=np.float64)
    left, right = (points[list(corners)].mean(axis=0) for corners in EYE_CORNERS)
    t = max(1e-6, float(np.linalg.norm(points[CHIN] - (left + right) / 2)))
    return FaceGeometry(
        left_eye=left,
        right_eye=right,
        mouth=points[[upper for upper, _ in INNER_LIPS] + [lower for _, lower in INNER_LIPS]].mean(axis=0),
        eye_distance_px=float(np.linalg.norm(right - left)),
        chin_distance_px=t,
        mouth_opening=max(float(np.linalg.norm(points[upper] - points[lower])) for upper, lower in INNER_LIPS) / t,
    )


def five_of_68(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Eyes, tip of the nose and corners of the mouth (5, 2) among the 68."""
    points = np.asarray(points, dtype=np.float64)
    eyes = [points[list(corners)].mean(axis=0) for corners in EYE_CORNERS]
    return np.stack([*eyes, points[NOSE_TIP], *points[list(MOUTH_CORNERS)]])


def aligning_matrix(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The map (2, 3) from px of the picture to px of the standard's aligned picture."""
    return similarity_transform(five_of_68(points), ALIGNED_POINTS)


def cheek_zones(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
    """The two cheek zones in the aligned picture as (x, y, side): below the outer half of each eye, half way down to the mouth."""
    face = face_geometry(transform_points(matrix, np.asarray(points, dtype=np.float64)))
    side = max(2, int(ZONE_SHARE * face.eye_distance_px))
    down = float(np.linalg.norm(face.mouth - face.eyes)) / 2
    return (float(face.left_eye[0]) - side, float(face.left_eye[1]) + down, side), (float(face.right_eye[0]), float(face.right_eye[1]) + down, side)
