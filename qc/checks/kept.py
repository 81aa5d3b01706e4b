"""What is kept of the scene: where its pixels should be the scene's own, and how far they are from them."""

# H W pixels

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, Scene
from qc.iso.light import lab_d50, linear_picture

AWAY = 5 / 128  # of the height from the mask, so that what the model blends doesn't count
COARSE = 3 / 128  # of the height to either side, over which grey is averaged before pictures are compared: a pixel's move doesn't count
MIN_SHARE = 0.02  # of the picture; where less is kept, nothing is said
GRAIN = 2.0  # variance of the Laplacian that storing as JPEG adds or takes in a plain backdrop


def kept_mask(scene: Scene) -> NDArray[np.uint8]:
    """Pixels (H, W) away from what was made anew."""

    def make() -> NDArray[np.uint8]:
        side = 2 * round(AWAY * scene.face_mask.shape[0]) + 1
        return (cv2.dilate(scene.face_mask, np.ones((side, side), np.uint8)) == 0).astype(np.uint8)

    return scene.once("kept_mask", make)


def comparable_scene(image_rgb: NDArray[np.uint8], context: CheckContext) -> Scene | None:
    """The scene, where it is as large as the picture and enough of it is kept."""
    scene = context.request.scene
    return scene if scene is not None and scene.image_rgb.shape == image_rgb.shape and kept_mask(scene).mean() >= MIN_SHARE else None


def lightness_shift(image_rgb: NDArray[np.uint8], scene: Scene) -> float:
    """Difference of the mean colours' L*, picture less scene."""
    mask = kept_mask(scene)
    return mean_lab(image_rgb, mask)[0] - scene.once("kept_lightness", lambda: mean_lab(scene.image_rgb, mask)[0])


def mean_lab(image_rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> tuple[float, float, float]:
    """L*, a*, b* (D50) of the mean linear colour under the mask."""
    lightness, a, b = lab_d50(linear_picture(image_rgb)[mask > 0].mean(axis=0, dtype=np.float64))  # subtle: cv2.mean's sum depends on its threads
    return float(lightness), float(a), float(b)


def detail_ratio(image_rgb: NDArray[np.uint8], scene: Scene) -> float:
    """Variance of the Laplacian, picture to scene."""
    mask = kept_mask(scene)
    return (_detail(image_rgb, mask) + GRAIN) / (scene.once("kept_detail", lambda: _detail(scene.image_rgb, mask)) + GRAIN)


def coarse_difference(image_rgb: NDArray[np.uint8], scene: Scene) -> float | None:
    """Mean distance of the coarse grey, levels; None where too little lies that far inside what is kept."""
    px = max(1, round(COARSE * image_rgb.shape[0]))
    inside = scene.once("kept_inside", lambda: cv2.erode(kept_mask(scene), np.ones((2 * px + 1, 2 * px + 1), np.uint8)) > 0)
    if inside.mean() < MIN_SHARE:
        return None
    before = scene.once("kept_coarse", lambda: _coarse(scene.image_rgb, px))
    return float(np.abs(_coarse(image_rgb, px) - before)[inside].mean(dtype=np.float64))


def _detail(image_rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), cv2.CV_64F)[mask > 0].var())


def _coarse(image_rgb: NDArray[np.uint8], px: int) -> NDArray[np.int16]:
    return np.asarray(cv2.blur(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), (2 * px + 1, 2 * px + 1)), dtype=np.int16)
