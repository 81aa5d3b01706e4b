"""Aligned crops of many pictures at once, and how far a face lies from its requested place."""

# N pictures, H W pixels; points (5, 2) px with pixel centres at half steps, viewer's left eye first

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from manifests.geometry import ARCFACE_TEMPLATE_112, PORTRAIT_TEMPLATE, similarity_transform, transform_points
from qc.faces import portrait_crop, recogniser_crop

RECOGNISER_SIDE_PX = 112
PORTRAIT_SIDE_PX = 128


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """A portrait cut from a picture."""

    image_rgb: NDArray[np.uint8]  # (side, side, 3)
    landmarks5_px: NDArray[np.float64]  # (5, 2) in px of the portrait
    matrix: NDArray[np.float64]  # (2, 3) from px of the picture to px of the portrait


def cut_portrait(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating], side_px: int = PORTRAIT_SIDE_PX) -> Portrait:
    """The portrait about a face; outside the picture its edge is continued."""
    points = _five_points(landmarks5_px)
    crop, matrix = portrait_crop(image_rgb, points, size=side_px)
    return Portrait(image_rgb=crop, landmarks5_px=transform_points(matrix, points), matrix=matrix)


def recogniser_crops(images_rgb: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], landmarks5_px: Sequence[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """Recogniser crops (N, 112, 112, 3) of N pictures by one face each."""
    crops = [recogniser_crop(image, _five_points(points)) for image, points in zip(images_rgb, landmarks5_px, strict=True)]
    return np.stack(crops) if crops else np.zeros((0, RECOGNISER_SIDE_PX, RECOGNISER_SIDE_PX, 3), dtype=np.uint8)


def crop_turn_deg(landmarks5_px: NDArray[np.floating]) -> float:
    """Angle by which the recogniser crop of a face is turned against its picture, degrees, > 0 clockwise."""
    matrix = similarity_transform(_five_points(landmarks5_px), ARCFACE_TEMPLATE_112)
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def template_points(side_px: int) -> NDArray[np.float64]:
    """Where the five points (5, 2) of a portrait of this side are expected."""
    return PORTRAIT_TEMPLATE * side_px


def landmark_offset(landmarks5_px: NDArray[np.floating], expected5_px: NDArray[np.floating]) -> float:
    """Mean distance of the five points from where they are expected, in inter-eye distances of the expected face."""
    expected = _five_points(expected5_px)
    eye_distance = float(np.linalg.norm(expected[1] - expected[0]))
    distances = np.linalg.norm(_five_points(landmarks5_px) - expected, axis=1)
    return float(distances.mean() / max(eye_distance, 1e-6))


def _five_points(points: NDArray[np.floating]) -> NDArray[np.float64]:
    array = np.asarray(points, dtype=np.float64)
    if array.shape != (5, 2) or not np.isfinite(array).all():
        raise InputError(f"alignment: got points of shape {array.shape}, expected five finite points (5, 2) in px.")
    return array
