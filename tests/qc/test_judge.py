from __future__ import annotations

import cv2
import numpy as np
import pytest

from manifests.errors import ConfigError, InputError, RoleError
from manifests.verdicts import REJECT_REASONS
from qc.checks import CHECKS, CheckContext, QCRequest, with_limits
from qc.checks.exposure import ExposureCheck, face_region
from qc.checks.expression import ExpressionCheck
from qc.checks.identity import IdentityCheck
from qc.checks.pose import PoseCheck, pose_angle_deg
from qc.checks.single_face import SingleFaceCheck
from qc.expression import ExpressionEstimator, ExpressionReading
from qc.faces import Face
from qc.iso.light import linear_luminance
from qc.judge import Judge, JudgeConfig
from qc.recognition import Recogniser
from tests.qc.nets import ESTIMATOR_OUTPUTS, CentreDetector, pictures, write_net

NOTHING = QCRequest(gate_reference=None, audit_reference=None, units=None, affectnet8=None, pose_deg=None, landmarks5_px=None, background_sharpness=None)


def face(box: tuple[float, ...]) -> Face:
    x0, y0, x1, _ = box
    points = np.array([[x0, y0], [x1, y0], [(x0 + x1) / 2, y0 + 10], [x0, y0 + 20], [x1, y0 + 20]], np.float32)
    return Face(bbox_px=np.array(box, np.float32), landmarks5_px=points, score=0.9)


def context(*faces: Face, request: QCRequest = NOTHING) -> CheckContext:
    return CheckContext(request=request, faces=faces, gate_cosine=float("nan"), audit_cosine=float("nan"), reading=None)


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Judge:
    folder = tmp_path_factory.mktemp("nets")
    return Judge(
        JudgeConfig(
            checks=with_limits(IdentityCheck(min_cosine=0.5), ExpressionCheck(max_error=0.2, min_probability=0.0), PoseCheck(max_angle_deg=10.0)),
            rejecting=tuple(check.name for check in CHECKS),
        ),
        detector=CentreDetector(),
        gate=Recogniser(write_net(folder / "gate.onnx", {"embedding": (16,)}, seed=1)),
        auditor=Recogniser(write_net(folder / "auditor.onnx", {"embedding": (8,)}, seed=2)),
        estimator=ExpressionEstimator(write_net(folder / "estimator.onnx", ESTIMATOR_OUTPUTS, seed=3)),
        conditioners={"identity_arc": "a" * 64},
    )


def request_of(judge: Judge, image: np.ndarray) -> QCRequest:
    """A request that the picture itself fulfils."""
    (seen,) = judge.observe(image[None])
    assert seen.reading is not None
    return QCRequest(
        gate_reference=seen.gate_embedding,
        audit_reference=seen.audit_embedding,
        units=seen.reading.units,
        affectnet8="neutral",
        pose_deg=seen.reading.pose_deg,
        landmarks5_px=None,
        background_sharpness=seen.sharpness,
    )


def test_a_picture_that_is_as_asked_is_accepted_with_all_measurements(judge):
    images = pictures(3)
    verdicts = judge.judge(images, [request_of(judge, image) for image in images])
    for verdict in verdicts:
        assert verdict.accepted, verdict.reasons
        assert verdict.measurements["sim_gate_ref"] == pytest.approx(1, abs=1e-5)
        assert verdict.measurements["sim_audit_ref"] == pytest.approx(1, abs=1e-5)
        assert verdict.measurements["expression_error"] == pytest.approx(0, abs=1e-6)
        assert verdict.measurements["sharpness_ratio"] == pytest.approx(1)
        for name in ("grey_entropy", "face_count", "bbox_w", "landmark5_x0", "landmark_offset", "obs_yaw", "obs_valence", "obs_prob_anger", "q_sharpness"):
            assert name in verdict.measurements


def planted(judge: Judge, fault: str) -> tuple[np.ndarray, QCRequest]:
    image = pictures(1)[0]
    asked = vars(request_of(judge, image))
    if fault == "no_face":
        image = np.full_like(image, 90)
    elif fault == "identity":
        asked["gate_reference"] = -asked["gate_reference"]
    elif fault == "expression":
        asked["units"] = asked["units"] + 0.5
    elif fault == "pose":
        asked["pose_deg"] = (asked["pose_deg"][0] + 20, *asked["pose_deg"][1:])
    elif fault == "alignment":
        asked["landmarks5_px"] = np.array([[20, 20], [50, 20], [35, 40], [22, 55], [48, 55]], np.float32)
    elif fault == "sharpness":
        asked["background_sharpness"] = asked["background_sharpness"] * 100
    return image, QCRequest(**asked)


@pytest.mark.parametrize("fault", ["identity", "expression", "pose", "alignment", "sharpness"])
def test_a_planted_fault_is_the_only_reason(judge, fault):
    image, request = planted(judge, fault)
    (verdict,) = judge.judge(image[None], [request])
    assert verdict.reasons == (fault,)
    assert "sim_audit_ref" in verdict.measurements


def test_a_picture_of_one_colour_is_blank_and_has_no_face(judge):
    image, request = planted(judge, "no_face")
    (verdict,) = judge.judge(image[None], [request])
    assert verdict.reject_reason == "blank" and "no_face" in verdict.reasons
    assert "sim_gate_ref" not in verdict.measurements


def test_the_auditor_has_no_say(judge):
    image = pictures(1)[0]
    asked = vars(request_of(judge, image))
    asked["audit_reference"] = -asked["audit_reference"]
    (verdict,) = judge.judge(image[None], [QCRequest(**asked)])
    assert verdict.accepted
    assert verdict.measurements["sim_audit_ref"] == pytest.approx(-1, abs=1e-5)


def test_checks_that_may_not_reject_still_measure(judge):
    image, request = planted(judge, "identity")
    lenient = Judge(
        JudgeConfig(checks=judge.config.checks, rejecting=("blank", "single_face")),
        detector=judge.detector, gate=judge.gate, auditor=judge.auditor, estimator=judge.estimator, conditioners={},
    )  # fmt: skip
    (verdict,) = lenient.judge(image[None], [request])
    assert verdict.accepted and verdict.measurements["sim_gate_ref"] < 0


def test_stored_measurements_are_judged_as_the_picture_was(judge):
    for fault in ("identity", "expression", "pose"):
        image, request = planted(judge, fault)
        (verdict,) = judge.judge(image[None], [request])
        assert judge.judge_again(dict(verdict.measurements), request) == verdict


def test_nothing_passes_the_identity_check_until_it_is_calibrated(judge):
    image = pictures(1)[0]
    asked = vars(request_of(judge, image))
    asked["gate_reference"] = np.roll(asked["gate_reference"], 1)
    assert IdentityCheck().judge({"sim_gate_ref": 0.99}, QCRequest(**asked)) == "identity"
    assert IdentityCheck().judge({"sim_gate_ref": 0.0}, NOTHING) is None


def test_one_file_as_gate_and_auditor_is_refused(judge):
    with pytest.raises(RoleError, match="same model"):
        Judge(JudgeConfig(), detector=judge.detector, gate=judge.gate, auditor=judge.gate, estimator=judge.estimator, conditioners={})
    with pytest.raises(RoleError, match="identity_arc"):
        Judge(JudgeConfig(), detector=judge.detector, gate=judge.gate, auditor=None, estimator=judge.estimator,
              conditioners={"identity_arc": judge.gate.sha256})  # fmt: skip


def test_wrong_arguments_are_explained(judge):
    with pytest.raises(ConfigError, match="is not a check"):
        JudgeConfig(rejecting=("sharpnes",))
    with pytest.raises(InputError, match="N requests"):
        judge.judge(pictures(2), [NOTHING])
    with pytest.raises(InputError, match="different recognisers"):
        judge.judge(pictures(1), [QCRequest(**{**vars(NOTHING), "gate_reference": np.ones(3, np.float32)})])


def test_a_second_large_face_rejects_and_a_speck_does_not():
    check = SingleFaceCheck()
    large, small = face((60, 10, 110, 70)), face((0, 0, 9, 9))
    first = face((0, 10, 60, 80))
    assert check.judge(check.measure(pictures(1)[0], context(first, large)), NOTHING) == "many_faces"
    assert check.judge(check.measure(pictures(1)[0], context(first, small)), NOTHING) is None
    assert check.judge(check.measure(pictures(1)[0], context()), NOTHING) == "no_face"


@pytest.mark.parametrize(("value", "reason"), [(0, "exposure"), (255, "exposure"), (128, None)])
def test_black_and_burnt_faces_fail_the_exposure_check(value, reason):
    noise = np.random.default_rng(0).integers(-40, 40, (128, 128, 3))
    image = np.clip(noise * (value == 128) + value, 0, 255).astype(np.uint8)
    check = ExposureCheck()
    assert check.judge(check.measure(image, context(face((40, 40, 90, 90)))), NOTHING) == reason


def test_a_neutral_face_does_not_pass_for_a_mild_expression():
    asked = QCRequest(**{**vars(NOTHING), "units": np.full(35, 0.15, np.float32)})
    neutral = ExpressionReading(
        units=np.zeros(35, np.float32), probabilities=np.full(8, 0.125, np.float32), valence=0, arousal=0, yaw_deg=0, pitch_deg=0, roll_deg=0
    )
    check = ExpressionCheck(max_share=0.9)
    seen = CheckContext(request=asked, faces=(), gate_cosine=float("nan"), audit_cosine=float("nan"), reading=neutral)
    values = check.measure(pictures(1)[0], seen)
    assert values["expression_error"] < check.max_error
    assert values["expression_error_share"] == pytest.approx(1)
    assert check.judge(values, asked) == "expression"


def test_luminance_is_linear_light():
    assert linear_luminance(np.array([[255, 255, 255], [0, 0, 0]], np.uint8)) == pytest.approx([1.0, 0.0])
    assert linear_luminance(np.array([188, 188, 188], np.uint8)) == pytest.approx(0.5, abs=0.01)  # half the light is far above half the value


def test_the_face_region_is_in_the_face():
    region = face_region((128, 128), face((40, 40, 90, 90)))
    assert region[60, 65] and not region[5, 5]
    assert face_region((16, 16), None).all()


def test_pose_angle_of_one_axis_is_its_difference():
    assert pose_angle_deg((10, 0, 0), (-5, 0, 0)) == pytest.approx(15)
    assert pose_angle_deg((0, 12, 0), (0, 0, 0)) == pytest.approx(12)
    assert pose_angle_deg((30, 10, 5), (30, 10, 5)) == pytest.approx(0, abs=1e-5)


def test_a_blurred_face_is_less_sharp(judge):
    sharp = pictures(1)[0]
    soft = cv2.GaussianBlur(sharp, (0, 0), 3)
    values = [judge.observe(image[None])[0].sharpness for image in (sharp, soft)]
    assert values[1] is not None and values[0] is not None and values[1] < 0.05 * values[0]


def test_every_check_names_its_limit_and_source_and_known_reasons():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.limit() and check.source and check.unit
    assert {"blank", "no_face", "many_faces", "alignment", "identity", "expression", "pose", "exposure", "sharpness"} <= set(REJECT_REASONS)
