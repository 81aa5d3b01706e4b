"""The face parser: portraits to label maps and 68 landmarks."""

# N portraits

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manifests.face_mask import LABELS
from manifests.ledger import file_sha256
from qc.alignment import PORTRAIT_SIDE_PX
from qc.sessions import Net


@dataclass(frozen=True, kw_only=True)
class ParsedFaces:
    """Label maps and landmarks of N portraits."""

    labels: NDArray[np.uint8]  # (N, 128, 128), values index manifests.face_mask.LABELS
    landmarks68_px: NDArray[np.float32]  # (N, 68, 2) in px of the portrait


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
