"""A closed outline around the face: a step of one sign along an ellipse, as a badly blended face has."""

# H W pixels; M places of the middle, R half widths, A angles

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.checks.context import Scene
from qc.checks.kept import kept_mask

WIDTHS = (0.9, 1.45)  # least and greatest half width, in inter-eye distances; every pixel between is tried
LONGER = np.arange(0.2, 0.71, 0.1)  # half height less half width, in inter-eye distances
SHIFTS_PX = np.array([(x, y) for y in (-2, 0, 2) for x in (-1, 0, 1)], np.float64)  # of the middle; the detector errs
NEAR_PX, FAR_PX = 1, 3  # to either side of the ellipse
ANGLES = np.linspace(0, 2 * np.pi, 48, endpoint=False)
UNSEEN = 0.2  # share of the angles inside the picture at which the step may be hidden, by hair or by what has the same grey
INSIDE = 0.6  # share of the angles that must be inside the picture
OUTSIDE = 2  # beside 0, made anew, and 1, kept
ALIKE_DEG = 2.0  # a face that is turned by less is looked at as if it were upright


def outline_step(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating], scene: Scene) -> float | None:
    """Largest step, grey levels over 2 px, that 80 % of an ellipse about the face reach with one sign, upright or turned as the eyes are.

    From the step the mean slope beside it is taken, so that shading and soft edges of a face don't count. Where the ellipse runs through what is kept of
    the scene, the scene's own step is taken off, and what lies outside the picture doesn't count. Portraits of 128 px are meant. None where no ellipse
    is inside the picture.
    """
    grey, before = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (image_rgb, scene.image_rgb))
    points = landmarks5_px.astype(np.float64)
    eyes = max(2.0, float(np.linalg.norm(points[1] - points[0])))
    middles, across = points[[0, 1, 3, 4]].mean(axis=0) + SHIFTS_PX, (points[1] - points[0]) / eyes
    turned = np.array([across, [-across[1], across[0]]])
    widths = np.arange(WIDTHS[0] * eyes - FAR_PX, WIDTHS[1] * eyes + FAR_PX)[:, None]
    steps = [
        _step(grey, grey - before, kept_mask(scene), np.stack([widths * np.cos(ANGLES), (widths + longer * eyes) * np.sin(ANGLES)], axis=-1) @ axes, middles)
        for axes in ((np.eye(2),) if across[0] > np.cos(np.radians(ALIKE_DEG)) else (np.eye(2), turned))
        for longer in LONGER
    ]
    largest = max(steps)
    return None if np.isneginf(largest) else largest


def _step(
    grey: NDArray[np.float32], change: NDArray[np.float32], kept: NDArray[np.uint8], ellipses: NDArray[np.float64], middles: NDArray[np.float64]
) -> float:
    """The largest step of one sign along nested ellipses (R, A, 2), a pixel apart, about each middle (M, 2).

    grey, change, kept (H, W)  of the picture; less the scene's, which counts where all of a step is in what is kept; 1 there
    """
    where = (ellipses + middles[:, None, None]).astype(np.float32)  # (M, R, A, 2)
    shape, x, y = where.shape[:3], *np.ascontiguousarray(np.moveaxis(where, -1, 0)).reshape(2, -1, len(ANGLES))
    place = cv2.remap(kept, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE).reshape(shape)
    parts = [slice(FAR_PX + by, shape[1] - FAR_PX + by) for by in (-FAR_PX, -NEAR_PX, NEAR_PX, FAR_PX)]
    places = [place[:, part] for part in parts]
    counted = (np.maximum.reduce(places) < OUTSIDE).reshape(-1, len(ANGLES))
    usable = counted.mean(axis=1) >= INSIDE
    if not usable.any():
        return -np.inf
    seen = (np.asarray(cv2.remap(levels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)) for levels in (grey, change))
    steps, changes = (_second_less_slope(levels.reshape(shape), parts) for levels in seen)
    still = np.minimum.reduce(places) > 0
    steps, counted = np.where(still, changes, steps).reshape(-1, len(ANGLES))[usable], counted[usable]
    hidden = np.rint(UNSEEN * counted.sum(axis=1)).astype(np.int64)
    rows = np.arange(len(steps))
    return max(float(np.sort(np.where(counted, sign * steps, np.float32(np.inf)), axis=1)[rows, hidden].max()) for sign in (1, -1))


def _second_less_slope(levels: NDArray[Any], parts: list[slice]) -> NDArray[np.float32]:
    """Step between the near points, less the mean slope beside it."""
    far_in, near_in, near_out, far_out = (levels[:, part] for part in parts)
    return 1.5 * (near_in - near_out) - 0.5 * (far_in - far_out)
