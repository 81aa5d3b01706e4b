"""A closed outline around the face: a step of one sign along an ellipse, as a badly blended face has."""

# H W pixels; S sizes, D distances from the ellipse, A angles

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qc.faces import Face

SIZES = np.arange(0.9, 1.45, 0.03)  # half widths, in inter-eye distances
HEIGHTS = np.arange(1.2, 1.61, 0.1)  # half height to half width
SHIFTS_PX = tuple((x, y) for y in (-2, 0, 2) for x in (-1, 0, 1))  # of the middle; the detector errs
DISTANCES_PX = np.array([-3.0, -1.0, 1.0, 3.0])
ANGLES = np.linspace(0, 2 * np.pi, 72, endpoint=False)
UNSEEN = 0.2  # share of the angles at which the step may be hidden, by hair or by what has the same grey


def outline_step(image_rgb: NDArray[np.uint8], face: Face) -> float:
    """Largest step, grey levels over 2 px, that 80 % of an ellipse about the face reach with one sign.

    From the step the mean slope beside it is taken, so that shading and soft edges of a face don't count. Portraits of 128 px are meant.
    """
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    points = face.landmarks5_px.astype(np.float64)
    eyes = max(1.0, float(np.linalg.norm(points[1] - points[0])))
    middle, across = points[[0, 1, 3, 4]].mean(axis=0), (points[1] - points[0]) / eyes
    axes = np.array([across, [-across[1], across[0]]])
    largest = -np.inf
    for height in HEIGHTS:
        wide, high = (SIZES[:, None] * eyes * ratio + DISTANCES_PX for ratio in (1.0, height))  # (S, D)
        ellipse = np.stack([wide[..., None] * np.cos(ANGLES), high[..., None] * np.sin(ANGLES)], axis=-1) @ axes + middle  # (S, D, A, 2)
        for shift in SHIFTS_PX:
            where = (ellipse + shift).astype(np.float32).reshape(-1, len(ANGLES), 2)
            levels = cv2.remap(grey, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            far_in, near_in, near_out, far_out = np.moveaxis(levels.reshape(len(SIZES), len(DISTANCES_PX), -1), 1, 0)
            steps = np.sort((near_in - near_out) - 0.5 * ((far_in - near_in) + (near_out - far_out)), axis=1)  # (S, A)
            hidden = round(UNSEEN * len(ANGLES))
            largest = max(largest, float(steps[:, hidden].max()), float(-steps[:, -1 - hidden].min()))
    return largest
