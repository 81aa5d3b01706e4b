from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from manifests.errors import InputError, RoleError, WeightsError
from qc.alignment import template_points
from qc.calibration import calibrate, calibrate_corpus, calibrate_folder, calibrate_references, find_calibration, read_calibrations, write_calibrations
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models
from tests.qc.nets import CentreDetector, pictures, write_net


def people(count: int, each: int, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((count, width))
    labels = np.repeat(np.arange(count), each)
    raw = centres[labels] + 0.3 * generator.standard_normal((len(labels), width))
    return raw / np.linalg.norm(raw, axis=1, keepdims=True), labels


def test_thresholds_grow_as_the_false_match_rate_falls():
    rows = calibrate(*people(30, 4), model_sha256="a" * 64, source="drawn people")
    assert [row.target_fmr for row in rows] == [0.1, 0.05, 0.01, 0.001]
    assert [row.threshold for row in rows] == sorted(row.threshold for row in rows)
    assert all(row.achieved_fmr <= row.target_fmr for row in rows)
    assert all(row.num_identities == 30 and row.num_comparisons == 120 * 119 // 2 - 30 * 6 for row in rows)
    assert [row.estimable for row in rows] == [True, True, True, False]
    with pytest.raises(WeightsError, match="30,000 comparisons"):
        rows[3].require()
    assert rows[2].require() is rows[2]


def test_calibrations_survive_json_and_are_found_by_model_and_rate(tmp_path):
    rows = calibrate(*people(10, 3), model_sha256="a" * 64, source="drawn people")
    write_calibrations(tmp_path / "qc" / "calibration.json", rows)
    again = read_calibrations(tmp_path / "qc" / "calibration.json")
    assert sorted(again, key=lambda row: row.threshold) == rows
    assert find_calibration(again, "a" * 64, 0.01) == rows[2]
    with pytest.raises(WeightsError, match="it has 0.1, 0.05, 0.01, 0.001"):
        find_calibration(again, "a" * 64, 0.02)
    with pytest.raises(WeightsError, match="has not been calibrated"):
        find_calibration(again, "b" * 64, 0.01)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(WeightsError, match="isn't a calibration file"):
        read_calibrations(tmp_path / "bad.json")


def test_references_of_a_run_are_impostors_to_each_other():
    embeddings, _ = people(40, 1)
    rows = calibrate_references(embeddings, model_sha256="a" * 64, targets=(0.1,))
    assert rows[0].num_comparisons == 40 * 39 // 2 and rows[0].estimable and rows[0].fnmr is None


def test_one_person_calibrates_nothing():
    with pytest.raises(InputError, match="two or more people"):
        calibrate(np.eye(3), [1, 1, 1], model_sha256="a" * 64, source="one person")


def test_pictures_and_folders_calibrate_a_recogniser(tmp_path):
    recogniser = Recogniser(write_net(tmp_path / "gate.onnx", {"embedding": (16,)}))
    images = list(pictures(6))
    rows = calibrate_corpus(images, [template_points(128)] * 6, ["a", "a", "b", "b", "c", "c"], recogniser, source="noise", targets=(0.1,))
    assert rows[0].model_sha256 == recogniser.sha256
    for number, image in enumerate(images):
        (tmp_path / "photos" / f"person{number // 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "photos" / f"person{number // 2}" / f"{number}.png")
    (tmp_path / "photos" / "person0" / "notes.txt").write_text("no picture")
    again = calibrate_folder(tmp_path / "photos", CentreDetector(), recogniser, targets=(0.1,))
    assert again[0].threshold == pytest.approx(rows[0].threshold, abs=1e-3) and again[0].num_identities == 3
    with pytest.raises(InputError, match="is not a folder"):
        calibrate_folder(tmp_path / "none", CentreDetector(), recogniser)


def test_one_model_in_two_roles_is_refused_with_both_names():
    refuse_shared_models({"identity_arc": "a" * 64}, ("gate", "b" * 64), ("auditor", "c" * 64))
    refuse_shared_models({"identity_arc": "a" * 64, "identity_copy": "a" * 64}, ("gate", "b" * 64), None)
    with pytest.raises(RoleError, match='"identity_arc".*"gate"'):
        refuse_shared_models({"identity_arc": "a" * 64}, ("gate", "a" * 64), None)
    with pytest.raises(RoleError, match='"gate".*"auditor"'):
        refuse_shared_models({}, ("gate", "b" * 64), ("auditor", "b" * 64))
