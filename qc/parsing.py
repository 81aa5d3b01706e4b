"""The face parser: portraits to label maps and 68 landmarks."""

# N portraits, H W pixels

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manifests.face_mask import LABELS
from manifests.ledger import file_sha256
from qc.alignment import PORTRAIT_SIDE_PX
from qc.sessions import Net


@dataclass(frozen=True, kw_only=True)
class ParsedFaces:
    """Label maps and landmarks of N portraits."""

    labels: NDArray[np.uint8]  # (N, 128, 128), values index manifests.face_mask.LABELS
    landmarks68_px: NDArray[np.float32]  # (N, 68, 2) in px of the portrait


@dataclass(frozen=True, kw_only=True)
class ParsedPicture:
    """What the parser sees in one picture, in the picture's own pixels."""

    label_map: NDArray[np.uint8]  # (H, W)
    landmarks68_px: NDArray[np.float32]  # (68, 2)


class FaceParser:
    """The bundled parser on portraits of 128 x 128 px."""

    def __init__(self, path: Path, *, threads: int = 1, batch_size: int = 1) -> None:
        side = PORTRAIT_SIDE_PX
        self.net = Net(path, "face parser", side, {"labels": (len(LABELS), side, side), "landmarks": (68, 2)}, threads)
        self.sha256 = file_sha256(path)
        self.batch_size = batch_size

    def parse(self, portraits_rgb: NDArray[np.uint8]) -> ParsedFaces:
        """Most probable label of each pixel, and the landmarks: (N, 128, 128, 3) uint8 RGB in."""
        outputs = self.net.run(portraits_rgb, self.batch_size)
        return ParsedFaces(labels=outputs["labels"].argmax(axis=1).astype(np.uint8), landmarks68_px=outputs["landmarks"])

    def parse_pictures(self, images_rgb: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[ParsedPicture]:
        """The same of portraits of any size (H, W, 3), which the parser sees at its own."""
        side = self.net.side_px
        if not len(images_rgb):
            return []
        sizes = [(image.shape[1], image.shape[0]) for image in images_rgb]
        shown = [image if size == (side, side) else _resized(image, (side, side), Image.Resampling.BOX) for image, size in zip(images_rgb, sizes, strict=True)]
        parsed = self.parse(np.stack(shown))
        return [
            ParsedPicture(
                label_map=labels if size == (side, side) else _resized(labels, size, Image.Resampling.NEAREST),
                landmarks68_px=points * np.array([size[0] / side, size[1] / side], dtype=np.float32),
            )
            for labels, points, size in zip(parsed.labels, parsed.landmarks68_px, sizes, strict=True)
        ]


def _resized(image: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize(size, how), dtype=np.uint8)
