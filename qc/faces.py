"""Finds faces in a picture of any size with the bundled detector, and cuts aligned crops by five points."""

# H W pixels, K faces

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from manifests.errors import InputError
from manifests.geometry import ARCFACE_TEMPLATE_112, PORTRAIT_TEMPLATE, similarity_transform

STRIDE = 8  # picture pixels a cell of the detector's maps covers
MULTIPLE = 32  # the detector's picture sides are multiples of this
TEST_SIDES = (20.0, 190.0)  # face sides in px that one level of the pyramid is trusted with


@dataclass(frozen=True, kw_only=True)
class Face:
    """One found face: box (4,) x0 y0 x1 y1 and five points (5, 2) in px of the picture, pixel centres at half steps; score 0..1."""

    bbox_px: NDArray[np.float32]
    landmarks5_px: NDArray[np.float32]
    score: float


@dataclass(frozen=True, kw_only=True)
class DetectorLimits:
    """What counts as a face, and how large a picture is looked at."""

    min_score: float = 0.65  # upright faces of the held-out portraits score 0.7 and more
    max_overlap: float = 0.35  # intersection over union of two kept boxes
    max_side_px: int = 640  # larger pictures are shrunk to this first
    min_side_px: int = 48  # the pyramid halves a picture until its smaller side would fall below this


class FaceDetector:
    """The bundled detector over a pyramid of halvings, on one CPU thread."""

    def __init__(self, path: Path, limits: DetectorLimits | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.limits = limits or DetectorLimits()

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Faces in a (H, W, 3) picture, best first; those of about 24 px and more, up to the whole picture.

        Raises InputError when the picture isn't (H, W, 3) bytes.
        """
        if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
            raise InputError(f"face detector: got {image_rgb.dtype} of shape {image_rgb.shape}, expected (H, W, 3) uint8. Decode the picture as RGB.")
        height, width = image_rgb.shape[:2]
        scale = min(1.0, self.limits.max_side_px / max(height, width))
        found: list[Face] = []
        while True:
            found += self._level(image_rgb, scale)
            scale /= 2
            if min(height, width) * scale < self.limits.min_side_px:
                break
        return suppress(found, self.limits.max_overlap)

    def _level(self, image_rgb: NDArray[np.uint8], scale: float) -> list[Face]:
        height, width = (max(1, round(side * scale)) for side in image_rgb.shape[:2])
        picture = cv2.resize(image_rgb, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image_rgb
        padded = np.zeros((1, 3, -(-height // MULTIPLE) * MULTIPLE, -(-width // MULTIPLE) * MULTIPLE), dtype=np.float32)
        padded[0, :, :height, :width] = (picture.astype(np.float32).transpose(2, 0, 1) - 127.5) / 127.5
        heat, size, points = self.session.run(["heat", "size", "points"], {"input": padded})
        ratio = np.array([image_rgb.shape[1] / width, image_rgb.shape[0] / height])
        limit = np.array([image_rgb.shape[1], image_rgb.shape[0]], dtype=np.float64)
        return decode(heat[0, 0], size[0, 0], points[0], min_score=self.limits.min_score, ratio=ratio, limit=limit)


def decode(heat: NDArray[np.float32], size: NDArray[np.float32], points: NDArray[np.float32], *, min_score: float, ratio: NDArray[np.float64],
           limit: NDArray[np.float64]) -> list[Face]:  # fmt: skip
    """Faces at the local maxima of `heat` (h, w); size (h, w) and points (10, h, w) in px of the level, times `ratio` those of the picture."""
    highest = cv2.dilate(heat, np.ones((3, 3), np.uint8))
    faces = []
    for y, x in zip(*np.nonzero((heat >= min_score) & (heat == highest)), strict=True):
        side = float(size[y, x])
        if not TEST_SIDES[0] <= side <= TEST_SIDES[1]:
            continue
        cell = np.array([x + 0.5, y + 0.5]) * STRIDE
        landmarks = cell + points[:, y, x].reshape(5, 2).astype(np.float64)
        centre = landmarks[[0, 1, 3, 4]].mean(axis=0)
        box = np.concatenate([np.clip((centre - side / 2) * ratio, 0, limit), np.clip((centre + side / 2) * ratio, 0, limit)])
        faces.append(Face(bbox_px=box.astype(np.float32), landmarks5_px=(landmarks * ratio).astype(np.float32), score=float(heat[y, x])))
    return faces


def suppress(faces: list[Face], max_overlap: float) -> list[Face]:
    """Keeps the best of faces that overlap more than `max_overlap`, or whose middles lie in each other's inner half."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda f: -f.score):
        if all(_overlap(face.bbox_px, other.bbox_px) <= max_overlap and not _nested(face.bbox_px, other.bbox_px) for other in kept):
            kept.append(face)
    return kept


def portrait_crop(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating], *, size: int = 128) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The aligned portrait (size, size, 3) and the map (2, 3) from picture to portrait px; the edge is continued outside the picture."""
    matrix = similarity_transform(np.asarray(landmarks5_px, dtype=np.float64), PORTRAIT_TEMPLATE * size)
    return _cut(image_rgb, matrix, size, cv2.BORDER_REPLICATE), matrix


def recogniser_crop(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The (112, 112, 3) crop that recognisers and expression networks read, by insightface's template; mid grey outside the picture."""
    return _cut(image_rgb, similarity_transform(np.asarray(landmarks5_px, dtype=np.float64), ARCFACE_TEMPLATE_112), 112, cv2.BORDER_CONSTANT)


def _cut(image_rgb: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, border: int) -> NDArray[np.uint8]:
    scale = float(np.linalg.norm(matrix[0, :2]))
    if scale < 0.6:  # shrinking by bilinear taps alone would alias
        image_rgb = np.asarray(cv2.GaussianBlur(image_rgb, (0, 0), 0.4 / scale), dtype=np.uint8)
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # subtle: OpenCV puts pixel centres at whole numbers
    cut = cv2.warpAffine(image_rgb, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=(127, 127, 127))
    return np.asarray(cut, dtype=np.uint8)


def _overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    shared = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / max(1e-6, float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)))


def _nested(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    distance = np.abs((a[:2] + a[2:]) - (b[:2] + b[2:])) / 2
    smaller = min(float((a[2:] - a[:2]).max()), float((b[2:] - b[:2]).max()))
    return bool((distance < max(smaller * 0.5, 0.25 * max(float((a[2:] - a[:2]).max()), float((b[2:] - b[:2]).max())))).all())
