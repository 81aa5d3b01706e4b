"""The bundled nets, and a bundled scene with a request that it fulfils itself."""

from __future__ import annotations

import dataclasses
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from manifests.verdicts import QCVerdict
from qc.checks import QCRequest, Scene, with_limits
from qc.checks.identity import IdentityCheck
from qc.expression import ExpressionEstimator
from qc.judge import Judge, JudgeConfig
from qc.packs import bundled_pack
from qc.parsing import FaceParser

BUNDLED = Path(__file__).resolve().parents[3] / "generator" / "bundled"


@cache
def judge() -> Judge:
    pack = bundled_pack(BUNDLED)
    estimator = ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx")
    config = JudgeConfig(checks=with_limits(IdentityCheck(min_cosine=0.3)))
    return Judge(config, detector=pack.detector, gate=pack.recogniser, auditor=None, estimator=estimator, conditioners={})


@cache
def parser() -> FaceParser:
    return FaceParser(BUNDLED / "faces" / "face_parser.onnx")


@cache
def scene(number: int = 0) -> Scene:
    row = pq.read_table(BUNDLED / "banks" / "scenes.parquet", columns=["image", "face_mask"]).slice(number, 1).to_pylist()[0]
    mask = np.asarray(Image.open(io.BytesIO(row["face_mask"])))
    return Scene(image_rgb=np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB")), face_mask=(mask > 0).astype(np.uint8))


def request(image_rgb: NDArray[np.uint8], **changes: Any) -> QCRequest:
    """What the picture itself fulfils."""
    (seen,) = judge().observe([image_rgb])
    assert seen.reading is not None
    asked = QCRequest(
        gate_reference=seen.gate_embedding,
        audit_reference=None,
        units=seen.reading.units,
        affectnet8=None,
        pose_deg=seen.reading.pose_deg,
        landmarks5_px=seen.faces[0].landmarks5_px,
        background_sharpness=seen.sharpness,
        size_px=(image_rgb.shape[1], image_rgb.shape[0]),
    )
    return dataclasses.replace(asked, **changes)


def verdict(image_rgb: NDArray[np.uint8], asked: QCRequest) -> QCVerdict:
    observations = judge().observe([image_rgb], parser().parse_pictures([image_rgb]))
    return judge().judge_observed(image_rgb[None], [asked], observations)[0]
