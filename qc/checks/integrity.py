"""Are the pixels whole: the size asked for, no large part of one colour or driven to black or white, and the scene where it was kept."""

# H W pixels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.checks.kept import coarse_difference, comparable_scene

BLOCK_PX = 8
CONSTANT = 1  # levels between the least and the greatest value of a block that counts as one colour


@dataclass(frozen=True, kw_only=True)
class IntegrityCheck:
    """Refuses pictures of another size or around another scene, and those with holes: painted-over blocks, or latents that ran to their ends."""

    max_constant: float = 0.25  # share of blocks of one colour, more than in the scene
    max_clipped: float = 0.25  # share of pixels with a channel at 0 or 255, more than in the scene
    max_difference: float = 3.0  # grey levels, of the coarse kept background from the scene's
    name: str = "integrity"
    unit: str = "share of the picture"
    source: str = (
        "our own: 110 pictures of the bundled model have at most 0.05 and 0.08 more than their scenes; the kept background of 745 accepted ones "
        "is at most 0.11 levels off; turned by 15 degrees the median is 19"
    )

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Share of 8 x 8 blocks of one colour, share of pixels with a channel at its end, and whether the size is right."""
        scene, values = context.request.scene, _shares(image_rgb)
        if scene is not None:
            before = scene.once("integrity", lambda: _shares(scene.image_rgb))
            values |= {f"{name}_added": value - before[name] for name, value in values.items()}
        comparable = comparable_scene(image_rgb, context)
        difference = None if comparable is None else coarse_difference(image_rgb, comparable)
        if difference is not None:
            values["scene_difference"] = difference
        if context.request.size_px is not None:
            values["size_as_asked"] = float(image_rgb.shape[1::-1] == context.request.size_px)
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Of another size, or with holes that the scene doesn't have; without a scene a plain backdrop can't be told from a hole."""
        for name, limit in (
            ("constant_blocks_added", self.max_constant),
            ("clipped_added", self.max_clipped),
            ("scene_difference", self.max_difference),
        ):
            share = measured(measurements, name)
            if share is not None and share > limit:
                return "integrity"
        return "integrity" if measured(measurements, "size_as_asked") == 0 else None

    def limit(self) -> str:
        """The limit as people read it."""
        constant, clipped = f"{self.max_constant:.0%} more blocks of one colour", f"{self.max_clipped:.0%} more pixels at 0 or 255"
        return f"the size asked for; at most {constant} and {clipped} than the scene has, {self.max_difference:g} grey levels off it where it is kept"


def _shares(image_rgb: NDArray[np.uint8]) -> dict[str, float]:
    ends = (image_rgb == 0) | (image_rgb == 255)
    return {"constant_blocks": constant_blocks(image_rgb), "clipped": float((ends[..., 0] | ends[..., 1] | ends[..., 2]).mean())}


def constant_blocks(image_rgb: NDArray[np.uint8]) -> float:
    """Share of whole 8 x 8 blocks whose channels each vary by at most one level; 0 for pictures smaller than a block."""
    rows, columns = image_rgb.shape[0] // BLOCK_PX, image_rgb.shape[1] // BLOCK_PX
    if not rows or not columns:
        return 0.0
    blocks = image_rgb[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, -1)
    highest = blocks.max(axis=1).reshape(rows, columns, BLOCK_PX, 3).max(axis=2).astype(np.int16)
    lowest = blocks.min(axis=1).reshape(rows, columns, BLOCK_PX, 3).min(axis=2)
    return float(((highest - lowest) <= CONSTANT).all(axis=2).mean())
