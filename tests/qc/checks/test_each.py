"""Pictures that fail exactly one check, for the checks that planted faults of tests.qc.checks.test_faults don't cover."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from qc.checks import CHECKS, Check, QCRequest, with_limits
from qc.checks.affect import AffectCheck
from qc.checks.background import BackgroundCheck
from qc.checks.eyes import CLOSURE, EyesCheck
from qc.checks.illumination import IlluminationCheck
from qc.checks.mouth import OPEN, MouthCheck
from qc.judge import Judge, JudgeConfig
from tests.qc.checks.bundled import judge, parser, request, scene, verdict
from tests.qc.nets import CentreDetector, pictures

NUMBERS = (0, 20, 40)  # scenes


def with_check(check: Check) -> Judge:
    """The bundled judge with other limits of one check."""
    config = JudgeConfig(checks=with_limits(check, checks=judge().config.checks))
    return Judge(config, detector=judge().detector, gate=judge().gate, auditor=None, estimator=judge().estimator, conditioners={})


def reasons(judging: Judge, image: np.ndarray, asked: QCRequest) -> tuple[str, ...]:
    return judging.judge_observed(image[None], [asked], judging.observe([image], parser().parse_pictures([image])))[0].reasons


def lit_from_one_side(number: int) -> tuple[np.ndarray, QCRequest]:
    clean = scene(number).image_rgb
    image = (clean * np.linspace(1.0, 0.35, clean.shape[1])[None, :, None]).astype(np.uint8)
    return image, request(image)


def before_a_pattern(number: int) -> tuple[np.ndarray, QCRequest]:
    clean, mask = scene(number).image_rgb, cv2.dilate(scene(number).face_mask, np.ones((15, 15), np.uint8)) == 0
    stripes = np.where(np.arange(clean.shape[1]) % 6 < 3, 60, -60)[None, :, None] * mask[..., None]
    image = np.clip(clean.astype(int) // 2 + 64 * mask[..., None] + clean * ~mask[..., None] // 2 + stripes, 0, 255).astype(np.uint8)
    return image, request(image)


def asked_for_units(number: int, units: tuple[int, ...], change: float) -> tuple[np.ndarray, QCRequest]:
    image = scene(number).image_rgb
    asked = request(image)
    assert asked.units is not None
    wanted = asked.units.copy()
    wanted[list(units)] = np.where(wanted[list(units)] > 0.5, wanted[list(units)] - change, wanted[list(units)] + change)
    return image, dataclasses.replace(asked, units=wanted)


def asked_for_displeasure(number: int) -> tuple[np.ndarray, QCRequest]:
    return scene(number).image_rgb, request(scene(number).image_rgb, valence=-1.0, arousal=0.0)


# Check -> its measurement, the picture, the check with its limit there.
FAILING = {
    "illumination": ("n_illumination_uniformity", lit_from_one_side, lambda limit: IlluminationCheck(min_overlap=limit)),
    "background": ("n_background_uniformity", before_a_pattern, lambda limit: BackgroundCheck(max_gradient=limit)),
    "eyes": ("eyes_error", lambda number: asked_for_units(number, CLOSURE, 0.75), lambda limit: EyesCheck(max_error=limit)),
    "mouth": ("mouth_error", lambda number: asked_for_units(number, (OPEN,), 0.9), lambda limit: MouthCheck(max_error=limit)),
    "affect": ("valence_error", asked_for_displeasure, lambda limit: AffectCheck(max_valence_error=limit)),
}


# The other two scenes are lit from one side already.
@pytest.mark.parametrize(("name", "number"), [(name, number) for name in FAILING for number in NUMBERS if name != "illumination" or number == 0])
def test_with_a_limit_a_picture_fails_exactly_the_check_that_only_measures_without_one(bundled, name, number):
    measurement, planted, check = FAILING[name]
    clean, (image, asked) = scene(number).image_rgb, planted(number)
    own = request(clean) if name != "affect" else request(clean, valence=request_valence(clean), arousal=0.0)
    values = verdict(clean, own).measurements[measurement], verdict(image, asked).measurements[measurement]
    limit = check(sum(values) / 2)
    assert reasons(judge(), image, asked) == ()
    assert reasons(with_check(limit), image, asked) == (name,)
    assert reasons(with_check(limit), clean, own) == ()


def request_valence(image: np.ndarray) -> float:
    (seen,) = judge().observe([image])
    assert seen.reading is not None
    return float(seen.reading.valence)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_second_face_in_the_corner_is_one_too_many_and_nothing_else(bundled, number):
    image = scene(number).image_rgb.copy()
    side = image.shape[0] // 2 - 5  # off the grid of JPEG's blocks
    image[3 : 3 + side, 3 : 3 + side] = cv2.resize(scene(number + 1).image_rgb, (side, side), interpolation=cv2.INTER_AREA)
    assert verdict(image, request(image)).reasons == ("many_faces",)


def test_a_picture_of_clouds_has_no_face_and_no_other_fault(bundled):
    noise = np.random.default_rng(3).normal(0, 1, (128, 128, 3)).astype(np.float32)
    clouds = cv2.GaussianBlur(noise, (0, 0), 9)
    image = np.clip(130 + 50 * clouds / clouds.std(), 0, 255).astype(np.uint8)
    assert verdict(image, request(scene().image_rgb)).reasons == ("no_face",)


def test_a_face_of_five_grey_values_is_blank_and_has_no_other_fault(bundled):
    """A detector that finds a face wherever there is contrast shows that the check itself looks at the grey values."""
    levels = np.random.default_rng(0).choice(np.array([60, 90, 120, 150, 180], np.uint8), (128, 128, 1))
    image = np.repeat(levels, 3, axis=2)
    blind = Judge(judge().config, detector=CentreDetector(), gate=judge().gate, auditor=None, estimator=judge().estimator, conditioners={})
    nothing = QCRequest(gate_reference=None, audit_reference=None, units=None, affectnet8=None, pose_deg=None, landmarks5_px=None, background_sharpness=None)
    assert blind.judge(image[None], [nothing])[0].reasons == ("blank",)
    assert blind.judge(pictures(1), [nothing])[0].accepted
    assert "blank" in {check.name for check in CHECKS}
