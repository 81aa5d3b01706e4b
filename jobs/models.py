"""The nets that read a reference picture: face finder, parser, identity encoders, gate, auditor and expression nets, opened together."""

# H W pixels, D width of an embedding

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.bundle import BUNDLED
from jobs.conditions import AUDITOR, GATE
from jobs.config import RunConfig
from jobs.judging import open_pack
from jobs.references import Screener
from manifests.errors import WeightsError
from manifests.face_mask import face_mask
from qc.alignment import PORTRAIT_SIDE_PX, crop_turn_deg, cut_portrait, recogniser_crops
from qc.expression import ExpressionEncoder, ExpressionEstimator
from qc.packs import FacePack
from qc.parsing import FaceParser
from qc.recognition import Recogniser

MIN_FACE_SHARE = 0.05  # of an aligned portrait; the corpus' portraits have 0.2 and more


@dataclass(frozen=True, kw_only=True)
class PortraitReading:
    """A face cut from a picture, and everything that the nets say about it."""

    image_rgb: NDArray[np.uint8]  # (S, S, 3) aligned portrait
    face_mask: NDArray[np.uint8]  # (S, S) of 0 and 1
    landmarks5_px: NDArray[np.float32]  # (5, 2) px of the portrait
    embeddings: dict[str, NDArray[np.float32]]  # recogniser -> (D,), unit length
    expression: NDArray[np.float32]  # (32,)
    units: NDArray[np.float32]  # (35,)
    pose_deg: tuple[float, float, float]  # yaw, pitch, roll


def open_screener(config: RunConfig) -> Screener:
    """The face finder of the recipe's pack, and the parser's word on whether the face can be told from its surroundings."""
    parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx", threads=config.threads)

    def objection(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.float32]) -> str | None:
        parsed = parser.parse(cut_portrait(image_rgb, landmarks5_px, side_px=PORTRAIT_SIDE_PX).image_rgb[None])
        share = float(face_mask(parsed.labels[0], parsed.landmarks68_px[0]).mean())
        return None if share >= MIN_FACE_SHARE else f"its face can't be told from its surroundings, {share:.0%} of the portrait are face"

    estimator = ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx", threads=config.threads)

    def yaw_deg(image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.float32]) -> float:
        portrait = cut_portrait(image_rgb, landmarks5_px, side_px=PORTRAIT_SIDE_PX)
        crops = recogniser_crops([portrait.image_rgb], [portrait.landmarks5_px])
        return float(estimator.read(crops)[0].in_picture(crop_turn_deg(portrait.landmarks5_px)).pose_deg[0])

    return Screener(detect=open_pack(config).detector.detect, objection=objection, yaw_deg=yaw_deg if config.scenes.poses else None)


class ReferenceNets:
    """Reads pictures of people. Every net sees the portrait of 128 px, or a recogniser crop of it, as the bundled nets were trained."""

    def __init__(self, pack: FacePack, *, size: int, threads: int = 1) -> None:
        self.pack = pack
        self.size = size
        self.parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx", threads=threads)
        encoders = sorted((BUNDLED / "recognisers").glob("identity_*.onnx"))
        if not encoders:
            raise WeightsError(f"bundled weights: {BUNDLED / 'recognisers'} has no identity encoders. Install facemint again, or restore the folder.")
        self.recognisers = {path.stem: Recogniser(path, threads=threads) for path in encoders}
        self.recognisers |= {GATE: pack.recogniser, AUDITOR: Recogniser(BUNDLED / "recognisers" / "auditor.onnx", threads=threads)}
        self.encoder = ExpressionEncoder(BUNDLED / "expression" / "expression_encoder.onnx", threads=threads)
        self.estimator = ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx", threads=threads)

    def read(self, image_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating]) -> PortraitReading:
        """Everything about the face at these points (5, 2) of a picture (H, W, 3)."""
        portrait = cut_portrait(image_rgb, landmarks5_px, side_px=PORTRAIT_SIDE_PX)
        parsed = self.parser.parse(portrait.image_rgb[None])
        mask = face_mask(parsed.labels[0], parsed.landmarks68_px[0])
        crops = recogniser_crops([portrait.image_rgb], [portrait.landmarks5_px])
        reading = self.estimator.read(crops)[0].in_picture(crop_turn_deg(portrait.landmarks5_px))
        shown, points = portrait.image_rgb, portrait.landmarks5_px
        if self.size != PORTRAIT_SIDE_PX:
            larger = cut_portrait(image_rgb, landmarks5_px, side_px=self.size)
            shown, points = larger.image_rgb, larger.landmarks5_px
            mask = np.asarray(Image.fromarray(mask).resize((self.size, self.size), Image.Resampling.NEAREST))
        return PortraitReading(
            image_rgb=shown,
            face_mask=mask,
            landmarks5_px=np.asarray(points, dtype=np.float32),
            embeddings={name: recogniser.embed(crops)[0] for name, recogniser in self.recognisers.items()},
            expression=self.encoder.encode(crops)[0],
            units=reading.units,
            pose_deg=reading.pose_deg,
        )
