"""Similarity transforms between point sets, and the two face templates everything is aligned to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# insightface's five-point template for 112 x 112 recogniser crops: viewer's-left eye, right eye, nose tip, mouth corners.
ARCFACE_TEMPLATE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    dtype=np.float64,
)

# Mean five points of the portrait crop that the bundled model was trained on, as fractions of the side.
PORTRAIT_TEMPLATE = np.array(
    [[0.3911, 0.4734], [0.6086, 0.4734], [0.5016, 0.6253], [0.4114, 0.7364], [0.5891, 0.7364]],
    dtype=np.float64,
)


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity (rotation, uniform scale, shift) that takes source points to target points.

    source, target  (..., P, 2) points, P >= 2, not all equal
    returns         (..., 2, 3) matrix A with target ~ A[:, :2] @ source + A[:, 2]

    Umeyama (1991), eqs. 40-42, for two dimensions without reflection, where the solution is linear.
    """
    source = np.asarray(source, dtype=np.float64)
    target = np.broadcast_to(np.asarray(target, dtype=np.float64), source.shape)
    source_mean = source.mean(axis=-2)
    target_mean = target.mean(axis=-2)
    s = source - source_mean[..., None, :]
    t = target - target_mean[..., None, :]
    variance = (s**2).sum(axis=(-1, -2))
    a = (s * t).sum(axis=(-1, -2)) / variance
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(axis=-1) / variance
    rotation = np.stack([np.stack([a, -b], axis=-1), np.stack([b, a], axis=-1)], axis=-2)
    shift = target_mean - np.einsum("...ij,...j->...i", rotation, source_mean)
    return np.concatenate([rotation, shift[..., None]], axis=-1)


def invert_affine(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inverse of (..., 2, 3) affine maps."""
    linear = np.linalg.inv(np.asarray(matrix, dtype=np.float64)[..., :2])
    shift = -np.einsum("...ij,...j->...i", linear, matrix[..., 2])
    return np.concatenate([linear, shift[..., None]], axis=-1)


def transform_points(matrix: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Applies (..., 2, 3) affine maps to (..., P, 2) points."""
    return np.einsum("...ij,...pj->...pi", matrix[..., :2], points) + matrix[..., None, :, 2]
