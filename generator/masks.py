"""The area of a picture that is made anew: its hole, the emptied background, and the composite that leaves the rest untouched."""

# B N pictures, H W pixels, h w latent cells

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from manifests.face_mask import dilate

# Pixels of a 128-pixel picture that the hole reaches beyond the face, so that no rim of the old face is left.
HOLE_MARGIN_PX = 4
REFERENCE_SIDE_PX = 128


def margin_px(height: int) -> int:
    """The hole's margin for a picture of this height, at least one pixel."""
    return max(1, round(HOLE_MARGIN_PX * height / REFERENCE_SIDE_PX))


def hole(face_mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels to fill: the face mask (H, W) of 0 and 1, grown by the margin."""
    return dilate(face_mask, margin_px(face_mask.shape[0]))


def alpha(hole: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Weight of the generated picture, (H, W) in 0..1: exactly 0 outside the hole, rising to 1 at one margin inside its edge.

    The ramp lies within the margin, so the face that is replaced never shines through. At the picture's border there is no ramp.
    """
    depth_px = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # 1 at the hole's outermost pixels
    return (depth_px / margin_px(hole.shape[0])).clip(0, 1).astype(np.float32)


def empty_background(images: Tensor, hole: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in -1..1 with the hole (B, 1, H, W) painted mid-grey, which is 0."""
    return images.masked_fill(hole > 0.5, 0.0)


def composite(generated: NDArray[np.uint8], background: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Generated over background, (..., H, W, 3) each, by weight (..., H, W); where the weight is 0 the background's bytes stay."""
    below = background.astype(np.float32)
    mixed = below + alpha[..., None].astype(np.float32) * (generated.astype(np.float32) - below)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def latent_mask(hole: Tensor, factor: int) -> Tensor:
    """Share of each latent cell that is hole: (B, 1, H, W) of 0 and 1 to (B, 1, h, w) in 0..1, H = h * factor."""
    return F.avg_pool2d(hole.to(torch.float32), factor)
