from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from generator.masks import hole
from generator.sampler import SamplerConfig
from jobs.benchmark import EXACT, OURS, PASTE, UNCHANGED, Quadruples, all_methods, naive_paste
from jobs.benchmark_figures import Figure, References, expression_rows, identity_rows, pixel_rows, pose_rows, summarise
from jobs.benchmark_report import markdown, strip_sheet, table_lines
from jobs.evaluation import run_evaluation
from manifests.errors import InputError, WeightsError
from manifests.face_mask import face_mask
from qc.expression import ExpressionReading
from tests.generator.training.drawn import draw_corpus


@pytest.fixture(scope="module")
def quadruples() -> Quadruples:
    drawn = draw_corpus()
    background, identity, expression, target = (drawn.rows(np.arange(start, start + 4)) for start in (0, 12, 24, 40))
    mask = np.stack([face_mask(labels, points) for labels, points in zip(background.labels, background.landmarks68_px, strict=True)])
    return Quadruples(
        background=background, identity=identity, expression=expression, target=target, face_mask=mask, hole=np.stack([hole(m) for m in mask])
    )


def reading(units, pose_deg=(0.0, 0.0, 0.0)) -> ExpressionReading:
    yaw, pitch, roll = pose_deg
    return ExpressionReading(
        units=units, probabilities=np.full(8, 0.125, np.float32), valence=0.0, arousal=0.0, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll
    )


def test_pasting_a_picture_on_itself_changes_nothing(quadruples):
    same = dataclasses.replace(quadruples, identity=quadruples.background)
    assert np.array_equal(naive_paste(same), quadruples.background.images_rgb)


def test_paste_stays_inside_the_face_and_moves_the_eyes_there(quadruples):
    pasted = naive_paste(quadruples)
    changed = (pasted != quadruples.background.images_rgb).any(axis=-1)
    assert changed.any()
    assert not (changed & (quadruples.face_mask == 0)).any()
    for picture, points in zip(pasted, quadruples.background.landmarks5_px, strict=True):
        x, y = points[0].astype(int)
        assert (picture[y - 1 : y + 2, x - 1 : x + 2] > 230).all()  # drawn eyes are white


def test_exact_target_has_no_error_and_the_background_changes_nothing_outside(quadruples):
    exact, unchanged = (pixel_rows(images, quadruples) for images in (quadruples.target.images_rgb, quadruples.background.images_rgb))
    assert (exact["error_hole"] == 0).all()
    assert summarise(exact["psnr_hole_db"]) == Figure(mean=None)
    assert (unchanged["changed_outside_px"] == 0).all()
    assert (unchanged["error_hole"] > 0).all()


def test_identity_figures_of_the_right_and_the_wrong_person():
    people, scenes = np.eye(4, 8, dtype=np.float32), np.eye(4, 8, k=4, dtype=np.float32)
    references = References(identity={"judge": people}, background={"judge": scenes}, background_readings=[])
    right, wrong = identity_rows(people, references, "judge"), identity_rows(scenes, references, "judge")
    assert right["rank1"].tolist() == right["prefers_identity"].tolist() == right["cosine_identity"].tolist() == [1] * 4
    assert wrong["prefers_identity"].tolist() == [0] * 4
    assert wrong["cosine_background"].tolist() == [1] * 4


def test_expression_figures_of_the_requested_and_the_own_expression(quadruples):
    right = expression_rows([reading(units) for units in quadruples.requested_units], quadruples)
    own = expression_rows([reading(units) for units in quadruples.own_units], quadruples)
    assert np.allclose(right["expression_error"], 0)
    assert right["expression_nearer_request"].tolist() == [1] * 4
    assert own["expression_nearer_request"].tolist() == [0] * 4
    wanted = np.sqrt(((quadruples.own_units - quadruples.requested_units) ** 2).mean(axis=1))
    assert np.allclose(own["expression_error"], wanted)


def test_pose_figures_are_degrees():
    units = np.zeros(35, np.float32)
    rows = pose_rows([reading(units, (12.0, 0.0, 0.0))], [reading(units, (3.0, 0.0, 0.0))])
    assert np.isclose(rows["pose_error_deg"][0], 3)
    assert np.isclose(rows["pose_angle_deg"][0], 9)


def test_interval_holds_the_mean_and_is_the_same_again():
    values = np.random.default_rng(0).normal(3, 1, 40)
    figure = summarise(values)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.mean < figure.high
    assert figure == summarise(values)


def test_table_has_a_column_per_method_and_exact_where_there_is_no_error():
    lines = table_lines(["auditor"], ["face_detector"])
    figures = {OURS: {"psnr_hole_db": Figure(mean=18.0, low=17.5, high=18.5)}, EXACT: {"psnr_hole_db": Figure(mean=None)}}
    about = {
        "data": {"quadruples": 150, "files": ["counterpart-000000.tar"]}, "core": {"name": "bundled"}, "device": "a processor", "threads": 1,
        "sampler": {"kind": "dpm++", "steps": 12, "guidance": 2.0}, "dtype": "bfloat16", "batch_size": 8, "versions": {"torch": "2"},
    }  # fmt: skip
    text = markdown(lines, figures, about)
    assert "| figure | facemint | exact target |" in text
    assert "| PSNR in the hole (dB) | 18.00 [17.50, 18.50] | exact |" in text
    assert "150 quadruples" in text


def test_sheet_has_five_columns_and_at_most_twelve_rows(quadruples):
    methods = all_methods(quadruples, quadruples.background.images_rgb)
    assert list(methods) == [OURS, UNCHANGED, PASTE, EXACT]
    sheet = strip_sheet(quadruples, methods[OURS])
    assert sheet.shape[0] > 4 * 128
    assert sheet.shape[1] > 5 * 128


@pytest.mark.parametrize(("shards", "limit"), [([], None), (["missing.tar"], None), (["missing.tar"], 0)])
def test_unusable_shards_are_named(tmp_path, bundled, shards, limit):
    with pytest.raises(InputError, match="evaluation|missing.tar"):
        run_evaluation([tmp_path / name for name in shards], None, limit=limit)


def test_missing_core_is_named(tmp_path):
    with pytest.raises(WeightsError, match="core.json"):
        run_evaluation([tmp_path / "any.tar"], None, core_folder=tmp_path)


def test_benchmark_of_three_quadruples(shared, bundled, tmp_path, capsys):
    shard = shared / "corpus" / "shards" / "counterpart-000000.tar"
    sampler = SamplerConfig(kind="ddim", steps=1, guidance=1.0)
    result = run_evaluation([shard], tmp_path, sampler=sampler, limit=3)
    methods = result["methods"]
    assert list(methods) == [OURS, UNCHANGED, PASTE, EXACT]
    assert methods[EXACT]["error_hole"]["mean"] == 0
    assert methods[EXACT]["expression_error_over_exact"]["mean"] == 1
    for name in (OURS, UNCHANGED, PASTE):
        assert methods[name]["changed_outside_px_max"]["mean"] == 0
    assert methods[UNCHANGED]["pose_error_deg"]["mean"] == 0
    assert methods[PASTE]["auditor.prefers_identity"]["mean"] == 1
    assert "seconds_per_image" in methods[OURS]
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    assert "naive paste" in (tmp_path / "evaluation.md").read_text()
    with Image.open(tmp_path / "evaluation.png") as sheet:
        assert sheet.width > 5 * 128
    assert "Swap benchmark, 3 quadruples" in capsys.readouterr().out
