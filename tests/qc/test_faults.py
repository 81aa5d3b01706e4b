from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.bundle import BUNDLED, SCENE_BANK
from jobs.config import config_from_words
from jobs.images import decode_grey, decode_rgb, encode
from jobs.judging import open_judge
from qc.checks import QCRequest, Scene
from qc.images import Refused, decode_picture
from qc.parsing import FaceParser
from tests.qc.faults import FAULTS, FILE_FAULTS, HARD, SOFT

IMAGES = 5
# What the checks miss in some pictures or in all; the benchmark has the shares.
MISSED = ("seam around the face",)
MIN_COSINE = 0.6  # between a portrait and itself there is 1


class Portraits:
    """Bundled portraits that the checks accept, each asked to be what it is; tests need no generated pictures."""

    def __init__(self) -> None:
        self.judge = open_judge(config_from_words([]), min_cosine=MIN_COSINE)
        self.parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx")
        rows = pq.read_table(SCENE_BANK).slice(0, 24).to_pylist()
        images = [decode_rgb(row["image"]) for row in rows]
        seen = self.judge.observe(images, self.parser.parse_pictures(np.stack(images)))
        masks = [(decode_grey(row["face_mask"]) > 0).astype(np.uint8) for row in rows]
        self.images, self.points, self.requests = [], [], []
        for row, image, mask, one in zip(rows, images, masks, seen, strict=True):
            if len(one.faces) != 1:
                continue
            request = QCRequest(
                gate_reference=one.gate_embedding,
                audit_reference=None,
                units=None,
                affectnet8=None,
                pose_deg=(row["yaw"], row["pitch"], row["roll"]),
                landmarks5_px=np.reshape(row["landmarks5"], (5, 2)).astype(np.float32),
                background_sharpness=one.sharpness,
                size_px=image.shape[1::-1],
                scene=Scene(image_rgb=image, face_mask=mask),
            )
            if not self.reasons(image, request):
                self.images.append(image)
                self.points.append(request.landmarks5_px)
                self.requests.append(request)

    def reasons(self, image, request):
        shown = decode_rgb(encode(image, "jpeg"))
        verdict = self.judge.judge_observed(shown[None], [request], self.judge.observe([shown], self.parser.parse_pictures(shown[None])))
        return verdict[0].reasons


@pytest.fixture(scope="module")
def portraits(bundled):
    return Portraits()


def test_there_are_twenty_five_types_of_fault_at_least():
    assert len(FAULTS) + len(FILE_FAULTS) >= 25


def test_good_portraits_pass(portraits):
    assert len(portraits.images) >= IMAGES


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_faults_of_files_are_refused_with_their_reason(portraits, fault):
    refused = decode_picture(fault.apply(encode(portraits.images[0], "jpeg")))
    assert isinstance(refused, Refused)
    assert refused.reason in fault.expected


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.kind == HARD and fault.name not in MISSED], ids=lambda fault: fault.name)
def test_hard_faults_are_rejected(portraits, fault):
    draw = np.random.default_rng(1)
    for k in range(IMAGES):
        changed = fault.apply(portraits.images[k], portraits.points[k], portraits.images[k - 1], draw)
        assert portraits.reasons(changed, portraits.requests[k]), k


def test_soft_faults_are_rejected_in_nineteen_of_twenty_cases(portraits):
    draw = np.random.default_rng(1)
    found = []
    for fault in FAULTS:
        if fault.kind == SOFT and fault.name not in MISSED:
            found += [
                bool(portraits.reasons(fault.apply(portraits.images[k], portraits.points[k], portraits.images[k - 1], draw), portraits.requests[k]))
                for k in range(IMAGES)
            ]
    assert np.mean(found) >= 0.95
