from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from manifests.quality import QUALITY_COLUMNS
from qc.checks import CHECKS, QCRequest, Scene, with_limits
from qc.checks.identity_rank import IdentityRankCheck
from qc.checks.outline import outline_step
from qc.checks.seam import SeamCheck
from qc.judge import Judge, JudgeConfig, identity_rank
from tests.qc.checks.bundled import judge, request, scene, verdict

NUMBERS = (0, 20, 40)  # scenes


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def faulty(fault: str, number: int) -> tuple[np.ndarray, QCRequest]:
    background = scene(number)
    clean = background.image_rgb
    asked = request(clean, scene=background)
    if fault == "compression":
        return jpeg(clean, 25), asked
    if fault == "colour":
        return np.clip(clean * np.array([1.12, 1.0, 0.88]), 0, 255).astype(np.uint8), asked
    if fault == "seam":
        lifted = cv2.dilate(background.face_mask, np.ones((11, 11), np.uint8))[..., None] * 24
        return np.clip(clean.astype(int) + lifted, 0, 255).astype(np.uint8), asked
    if fault == "crop":
        cut = np.ascontiguousarray(clean[38:])
        return cut, request(cut)
    if fault == "integrity":
        return clean, request(clean, scene=background, size_px=(256, 256))
    if fault == "exposure":
        dark = (clean * 0.25).astype(np.uint8)
        return dark, request(dark)
    if fault == "sharpness":
        soft = cv2.GaussianBlur(clean, (0, 0), 2.2)
        return soft, request(soft, background_sharpness=asked.background_sharpness)
    raise AssertionError(fault)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_clean_scene_is_accepted_with_every_component_measured(bundled, number):
    found = verdict(scene(number).image_rgb, request(scene(number).image_rgb, scene=scene(number)))
    assert found.accepted, found.reasons
    expected = set(QUALITY_COLUMNS) - {"obs_identity_rank"}  # no people were given
    assert expected - set(found.measurements) == set()
    assert all(0 <= value <= 100 for name, value in found.measurements.items() if name.startswith("q_"))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("fault", ["compression", "colour", "seam", "crop", "integrity", "exposure", "sharpness"])
def test_a_planted_fault_fails_its_check_and_no_other(bundled, fault, number):
    image, asked = faulty(fault, number)
    found = verdict(image, asked)
    assert found.reasons == (fault,)
    assert judge().judge_again(dict(found.measurements), asked) == found


@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_large_hole_is_no_whole_picture(bundled, value):
    holed = scene().image_rgb.copy()
    holed[:, :70] = value
    assert "integrity" in verdict(holed, request(scene().image_rgb, scene=scene())).reasons


def test_a_plain_backdrop_of_the_scene_is_no_hole(bundled):
    white = scene().image_rgb.copy()
    white[cv2.dilate(scene().face_mask, np.ones((15, 15), np.uint8)) == 0] = 255
    background = type(scene())(image_rgb=white, face_mask=scene().face_mask)
    found = verdict(white, request(white, scene=background))
    assert found.measurements["clipped"] > 0.2 and "integrity" not in found.reasons


def test_ranks_count_those_who_are_nearer():
    people = np.eye(4, dtype=np.float32)
    seen = np.array([0.9, 0.4, 0.1, 0.0], np.float32)
    assert [identity_rank(seen, people[k], people) for k in range(4)] == [1, 2, 3, 4]
    assert identity_rank(None, people[0], people) is None and identity_rank(seen, people[0], None) is None


def test_the_rank_rejects_only_when_a_limit_is_set(bundled):
    image = scene().image_rgb
    asked = request(image)
    assert asked.gate_reference is not None
    other = np.roll(asked.gate_reference, 1)
    wanted = request(image, gate_reference=other, people=np.stack([other, asked.gate_reference]))
    strict = Judge(
        JudgeConfig(checks=with_limits(IdentityRankCheck(max_rank=1)), rejecting=("identity_rank",)),
        detector=judge().detector, gate=judge().gate, auditor=None, estimator=judge().estimator, conditioners={},
    )  # fmt: skip
    (found,) = strict.judge(image[None], [wanted])
    assert found.measurements["obs_identity_rank"] == 2 and found.reasons == ("identity_rank",)
    assert "identity_rank" not in verdict(image, wanted).reasons


@pytest.mark.parametrize(
    ("name", "limit", "key", "value"),
    [
        ("eyes", {"max_error": 0.02}, "eyes_error", 0.03),
        ("mouth", {"max_error": 0.1}, "mouth_error", 0.2),
        ("illumination", {"min_overlap": 0.2}, "n_illumination_uniformity", 0.1),
        ("background", {"max_gradient": 50.0}, "n_background_uniformity", 60.0),
        ("affect", {"max_valence_error": 0.3}, "valence_error", 0.5),
        ("affect", {"max_arousal_error": 0.3}, "arousal_error", 0.5),
        ("colour", {"max_unnatural": 5.0}, "n_natural_colour", 6.0),
    ],
)
def test_what_is_measured_only_rejects_when_a_limit_is_set(name, limit, key, value):
    asked = QCRequest(
        gate_reference=None, audit_reference=None, units=None, affectnet8=None, pose_deg=None, landmarks5_px=None, background_sharpness=None
    )
    check = next(check for check in CHECKS if check.name == name)
    strict = type(check)(**limit)
    assert check.judge({key: value}, asked) is None
    assert strict.judge({key: value}, asked) == name
    assert strict.judge({}, asked) is None
    assert str(next(iter(limit.values()))).rstrip("0").rstrip(".") in strict.limit()


FAULTS_OF_WHAT_IS_KEPT = {
    "integrity": lambda image: np.ascontiguousarray(np.roll(image, 10, axis=1)),
    "exposure": lambda image: (image * 0.6).astype(np.uint8),
    "sharpness": lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("fault", FAULTS_OF_WHAT_IS_KEPT)
def test_a_fault_of_the_whole_picture_shows_in_what_is_kept_of_the_scene(bundled, fault, number):
    clean = scene(number).image_rgb
    assert fault in verdict(FAULTS_OF_WHAT_IS_KEPT[fault](clean), request(clean, scene=scene(number))).reasons


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_face_of_another_size_than_asked_is_misaligned_without_a_scene_too(bundled, factor, number):
    clean = scene(number).image_rgb
    asked = request(clean)
    assert asked.landmarks5_px is not None
    middle = asked.landmarks5_px.mean(axis=0)
    assert "alignment" in verdict(clean, request(clean, landmarks5_px=(asked.landmarks5_px - middle) * factor + middle)).reasons


@pytest.mark.parametrize("degrees", [-20, 20])
def test_a_face_turned_against_the_request_is_misaligned(bundled, degrees):
    clean = scene().image_rgb
    asked = request(clean)
    assert asked.landmarks5_px is not None
    x, y = asked.landmarks5_px.mean(axis=0).tolist()
    matrix = cv2.getRotationMatrix2D((x, y), degrees, 1)
    turned = (asked.landmarks5_px @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    assert abs(verdict(clean, request(clean, landmarks5_px=turned)).measurements["landmark_turn_deg"]) == pytest.approx(20, abs=0.1)
    assert "alignment" in verdict(clean, request(clean, landmarks5_px=turned)).reasons


PLAIN = np.full((128, 128, 3), 120, np.uint8)
POINTS = np.array([[50, 55], [78, 55], [64, 70], [53, 84], [75, 84]], np.float32)


def stepped(step: int, degrees: float, down_px: int = 0) -> np.ndarray:
    ellipse = cv2.ellipse(np.zeros((128, 128), np.uint8), (64, 69 + down_px), (32, 44), degrees, 0, 360, 1, -1)
    return (PLAIN + np.int16(step) * ellipse[..., None]).astype(np.uint8)


def face_at(degrees: float, down_px: int = 0) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((64, 69), -degrees, 1)
    return (POINTS @ matrix[:, :2].T + matrix[:, 2] + (0, down_px)).astype(np.float32)


def in_scene(kept: bool) -> Scene:
    """A plain scene of which everything was made anew, or nothing."""
    return Scene(image_rgb=PLAIN, face_mask=np.full((128, 128), int(not kept), np.uint8))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("turned", "face"), [(0, 0), (10, 10), (0, 10), (0, -10)])
@pytest.mark.parametrize("step", [-30, 30])
def test_a_step_around_a_face_is_a_seam_upright_or_turned_as_the_face(step, turned, face, kept):
    assert outline_step(PLAIN, face_at(face), in_scene(kept)) == 0
    assert outline_step(stepped(step, turned), face_at(face), in_scene(kept)) > 2 * SeamCheck().max_outline


def test_a_step_that_leaves_the_picture_is_a_seam_by_what_is_inside():
    assert outline_step(stepped(30, 0, down_px=26), face_at(0, down_px=26), in_scene(False)) > 2 * SeamCheck().max_outline


def test_an_outline_that_the_scene_has_where_it_is_kept_is_no_seam():
    outlined = stepped(30, 0)
    assert outline_step(outlined, face_at(0), Scene(image_rgb=outlined, face_mask=np.zeros((128, 128), np.uint8))) == 0


def test_a_face_far_outside_its_picture_has_no_outline():
    assert outline_step(PLAIN, POINTS + 500, in_scene(False)) is None
