from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from generator.masks import hole
from generator.travel import reenact_only, swap_only
from jobs.benchmark import EXACT, OURS, PASTE, TASKS, UNCHANGED, Quadruples, all_methods, conditions_of, naive_paste, task_of
from jobs.benchmark_figures import Figure, Seen, expression_rows, feature_rows, five_points, identity_rows, pose_rows, ratio, summarise
from jobs.benchmark_pixels import pixel_rows, ssim_map
from jobs.benchmark_report import markdown, strip_sheet, table_lines
from jobs.commands.models import TASK_CHOICES
from jobs.evaluation import run_evaluation
from jobs.figure_config import figure_config
from manifests.errors import InputError, WeightsError
from manifests.face_mask import face_mask
from qc.expression import ExpressionEncoder, ExpressionReading
from qc.recognition import Recogniser
from tests.generator.training.drawn import draw_corpus


@pytest.fixture(scope="module")
def quadruples() -> Quadruples:
    drawn = draw_corpus()
    background, identity, expression, target = (drawn.rows(np.arange(start, start + 4)) for start in (0, 12, 24, 40))
    target = dataclasses.replace(target, units=expression.units, lateral=expression.lateral)
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


def test_similarity_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, 256, (2, 40, 32, 3), dtype=np.uint8)
    second[:20] = first[:20]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": 2, "full": True}
    wanted = metrics.structural_similarity(first, second, **settings)[1].mean(axis=-1)
    assert np.allclose(ssim_map(first, second), wanted, atol=1e-9)
    assert np.allclose(ssim_map(first, first), 1)


def test_identity_figures_of_the_right_and_the_wrong_person():
    people, scenes = np.eye(4, 8, dtype=np.float32), np.eye(4, 8, k=4, dtype=np.float32)
    right, wrong = identity_rows(people, people, scenes), identity_rows(scenes, people, scenes)
    assert right["rank1"].tolist() == right["prefers_identity"].tolist() == right["cosine_margin"].tolist() == [1] * 4
    assert wrong["prefers_identity"].tolist() == [0] * 4
    assert wrong["cosine_background"].tolist() == [1] * 4
    assert "cosine_shown" in identity_rows(people, people, scenes, "shown")


def test_expression_figures_of_the_requested_and_the_own_expression(quadruples):
    right, own = expression_rows(quadruples.requested_units, quadruples), expression_rows(quadruples.other_units, quadruples)
    assert np.allclose(right["expression_error"], 0)
    assert right["expression_nearer_request"].tolist() == [1] * 4
    assert own["expression_nearer_request"].tolist() == [0] * 4
    wanted = np.sqrt(((quadruples.other_units - quadruples.requested_units) ** 2).mean(axis=1))
    assert np.allclose(own["expression_error"], wanted)


def test_tasks_ask_for_what_the_background_has(quadruples):
    swap, reenact = task_of(quadruples, "swap-id"), task_of(quadruples, "swap-expression")
    assert task_of(quadruples, "swap-all") is quadruples
    assert swap.expression is quadruples.background and swap.identity is quadruples.identity
    assert reenact.identity is quadruples.background and reenact.expression is quadruples.expression
    assert reenact.other_person is quadruples.expression
    assert swap.target is None and reenact.target is None
    assert len(swap) == len(reenact) == 4
    for task in (swap, reenact):
        assert list(all_methods(task, quadruples.background.images_rgb)) == [OURS, UNCHANGED, PASTE]
        assert list(pixel_rows(quadruples.background.images_rgb, task)) == ["changed_outside_px"]
    assert not np.array_equal(naive_paste(reenact), quadruples.background.images_rgb)


def test_conditions_of_tasks_are_those_of_the_paper(quadruples, bundled):
    encoders = {"identity_arc": Recogniser(bundled / "recognisers" / "identity_arc.onnx")}
    expressions = ExpressionEncoder(bundled / "expression" / "expression_encoder.onnx")
    asked, swap, reenact = (conditions_of(task_of(quadruples, task), encoders, expressions) for task in TASKS)
    wanted = swap_only(asked, swap.expression_embedding), reenact_only(asked, reenact.identity_embeddings)
    for made, same in zip((swap, reenact), wanted, strict=True):
        assert np.array_equal(made.expression_embedding, same.expression_embedding)
        assert np.array_equal(made.identity_embeddings["identity_arc"], same.identity_embeddings["identity_arc"])


def test_five_points_are_those_of_the_corpus():
    drawn = draw_corpus()
    points68 = np.zeros((68, 2), np.float32)
    eyes, nose, mouth = drawn.landmarks5_px[0][:2], drawn.landmarks5_px[0][2], drawn.landmarks5_px[0][3:]
    points68[36:42], points68[42:48], points68[30], points68[48], points68[54] = eyes[0], eyes[1], nose, mouth[0], mouth[1]
    assert np.allclose(five_points(points68), drawn.landmarks5_px[0])


def test_feature_distances_to_the_exact_target():
    ones, other = np.eye(2, 3, dtype=np.float32), np.eye(2, 3, k=1, dtype=np.float32)
    units = np.zeros(35, np.float32)
    target = Seen(embeddings={"judge": ones}, readings=[reading(units)] * 2)
    far = feature_rows(Seen(embeddings={"judge": other}, readings=[reading(units + 0.5)] * 2), target)
    assert feature_rows(target, target)["judge.distance_exact"].tolist() == [0, 0]
    assert far["judge.distance_exact"].tolist() == [1, 1]
    assert far["units_distance_exact"].tolist() == [0.5, 0.5]


def test_pose_figures_are_degrees():
    units = np.zeros(35, np.float32)
    rows = pose_rows([reading(units, (12.0, 0.0, 0.0))], [reading(units, (3.0, 0.0, 0.0))])
    assert np.isclose(rows["pose_error_deg"][0], 3)
    assert np.isclose(rows["pose_angle_deg"][0], 9)
    assert np.isclose(rows["pose_distance_deg"][0], 9)


def test_interval_holds_the_mean_and_is_the_same_again():
    values = np.random.default_rng(0).normal(3, 1, 40)
    figure = summarise(values)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.mean < figure.high
    assert figure == summarise(values)


def test_share_that_all_agree_on_is_not_certain():
    agreed = summarise(np.ones(150), share=True)
    assert agreed.mean == agreed.high == 1
    assert agreed.low is not None and 0.97 < agreed.low < 0.98


def test_multiples_draw_both_methods_together():
    base = np.random.default_rng(0).uniform(1, 2, 30)
    assert ratio(base, base) == Figure(mean=1.0, low=1.0, high=1.0)
    twice = ratio(base * 2 + 0.1 * np.arange(30), base)
    assert twice.low is not None and twice.mean is not None and twice.low < twice.mean < (twice.high or 0)
    assert ratio(base, np.zeros(30)) == Figure(mean=None)


def test_table_has_a_column_per_method_and_exact_where_there_is_no_error():
    lines = table_lines(["auditor"], ["face_detector"])
    figures = {OURS: {"psnr_hole_db": Figure(mean=18.0, low=17.5, high=18.5)}, EXACT: {"psnr_hole_db": Figure(mean=None)}}
    about = {
        "data": {"quadruples": 150, "files": ["counterpart-000000.tar"]}, "core": {"name": "bundled"}, "device": "a processor", "threads": 1,
        "sampler": {"kind": "dpm++", "steps": 12, "guidance": 2.0}, "dtype": "bfloat16", "batch_size": 8, "seed": 0, "versions": {"torch": "2"},
    }  # fmt: skip
    text = markdown(lines, {"swap-all": figures}, about)
    assert "| figure | facemint | exact target |" in text
    assert "| PSNR in the hole (dB) | 18.00 [17.50, 18.50] | exact |" in text
    assert "150 quadruples" in text
    assert "SSIM" not in text.partition("## How")[0]  # no method has it


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
        run_evaluation([tmp_path / "any.tar"], None, figure_config([f"models.core={tmp_path}"]))


def test_choices_of_the_command_are_the_tasks():
    assert ("all", *TASKS) == TASK_CHOICES


def test_benchmark_of_three_quadruples(shared, bundled, tmp_path, capsys):
    shard = shared / "corpus" / "shards" / "counterpart-000000.tar"
    config = figure_config(["sampler.kind=ddim", "sampler.steps=1", "sampler.guidance=1", "batch_size=3"])
    result = run_evaluation([shard], tmp_path, config, limit=3)
    methods = result["methods"]
    assert list(methods) == [OURS, UNCHANGED, PASTE, EXACT]
    assert methods[EXACT]["error_hole"]["mean"] == methods[EXACT]["auditor.distance_exact"]["mean"] == 0
    assert methods[EXACT]["expression_error_over_exact"]["mean"] == methods[EXACT]["ssim_hole"]["mean"] == 1
    for name in (OURS, UNCHANGED, PASTE):
        assert methods[name]["changed_outside_px_max"]["mean"] == 0
    assert methods[UNCHANGED]["pose_error_deg"]["mean"] == 0
    assert methods[PASTE]["auditor.prefers_identity"]["mean"] == 1
    assert "seconds_per_image" in methods[OURS]
    swap, reenact = (result["tasks"][name] for name in ("swap-id", "swap-expression"))
    assert list(swap) == list(reenact) == [OURS, UNCHANGED, PASTE]
    assert swap[UNCHANGED]["pose_distance_deg"]["mean"] == reenact[UNCHANGED]["pose_distance_deg"]["mean"] == 0
    assert swap[UNCHANGED]["expression_error_over_own"]["mean"] == pytest.approx(1, abs=0.5)  # its points are read, those of its own error are true
    assert reenact[UNCHANGED]["auditor.cosine_identity"]["mean"] > 0.9
    assert "ssim_hole" not in swap[OURS]
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    assert "naive paste" in (tmp_path / "evaluation.md").read_text()
    for name in ("evaluation.png", "evaluation-swap-id.png", "evaluation-swap-expression.png"):
        with Image.open(tmp_path / name) as sheet:
            assert sheet.width > 4 * 128
    assert "Swap benchmark, 3 quadruples. Swap ID" in capsys.readouterr().out
