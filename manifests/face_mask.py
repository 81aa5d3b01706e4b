"""What a face swap replaces: skin, neck, ears, eyes, brows, mouth and beard, from a label map and 68 landmarks."""

# H W pixels

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

# Classes of the label map.
LABELS = ("background", "face_skin", "body_skin", "hair", "eyes", "brows_lashes", "mouth", "ears", "glasses", "clothes")
FACE_LABELS = (1, 2, 4, 5, 6, 7)
HAIR = 3


def face_mask(labels: NDArray[np.uint8], landmarks68_px: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Pixels that belong to the person and not to the scene, 1 inside: (H, W) label map and (68, 2) landmarks to (H, W).

    Skin of the body counts, because its tone belongs to the identity. Hair stays with the scene; a beard, which carries hair's
    label, is told apart by its place: below the eyes and inside the jaw line enlarged by a fifth about the nose. Glasses stay with the scene.
    """
    mask = np.isin(labels, FACE_LABELS)
    points = np.asarray(landmarks68_px, dtype=np.float64)
    jaw, nose = points[:17], points[30]
    eye_line_px = float(points[36:48, 1].mean())
    below = jaw[jaw[:, 1] > eye_line_px]
    if len(below) >= 3:
        outline = nose + (below - nose) * 1.2
        top = [[outline[0, 0], eye_line_px], *outline.tolist(), [outline[-1, 0], eye_line_px]]
        mask |= _polygon(np.asarray(top), labels.shape) & (labels == HAIR)
    return mask.astype(np.uint8)


def dilate(mask: NDArray[np.uint8], radius_px: int) -> NDArray[np.uint8]:
    """The mask grown by `radius_px` pixels (square neighbourhood)."""
    image = Image.fromarray(mask)
    for _ in range(radius_px):  # subtle: Pillow's large maximum filters cost their area, repeated small ones their radius
        image = image.filter(ImageFilter.MaxFilter(3))
    return np.array(image, dtype=np.uint8)


def _polygon(points: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    canvas = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in points], fill=1)
    return np.asarray(canvas, dtype=bool)
