from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jobs.cli import main
from jobs.conditions import ShownExpression
from jobs.figure_config import figure_config
from jobs.sheet_layout import ALARM, INK, Tile, tile_sheet
from jobs.sheet_pictures import Stage, Step
from jobs.sheet_tables import by_step, nearest_words, progress, read_step, summary
from jobs.sheets import centres_of, words_sheet
from manifests.errors import ConfigError
from manifests.vocabulary import AFFECTNET8, vocabulary
from qc.expression import ExpressionReading

QUICK = ("sampler.kind=ddim", "sampler.steps=1", "sampler.guidance=1", "batch_size=2")


@pytest.fixture(scope="module")
def stage(bundled) -> Stage:
    return Stage.of(figure_config(), num_people=2, scene_id=None)


def units(*places: int) -> np.ndarray:
    values = np.zeros(35, np.float32)
    values[list(places)] = 1
    return values


def reading(shown: np.ndarray, expression: str) -> ExpressionReading:
    probabilities = np.full(8, 0.05, np.float32)
    probabilities[AFFECTNET8.index(expression)] = 0.65
    return ExpressionReading(units=shown, probabilities=probabilities, valence=0.0, arousal=0.0, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0)


def step(word: str, shown: np.ndarray) -> Step:
    return Step(caption=word, word=word, shown=ShownExpression(word=word, embedding=np.zeros(32, np.float32), units=shown))


def test_stage_has_every_word_once_and_the_most_frontal_scene(stage):
    steps = stage.words()
    assert [one.word for one in steps] == [word.word for word in vocabulary()]
    assert steps[0].word == "neutral"
    assert np.hypot(*stage.scene.pose_deg[:2]) < 3
    assert [one.word for one in stage.words(["joy", "Fear", "joy"])] == ["joy", "fear"]
    assert set(centres_of(stage)) == {one.word for one in steps}


def test_way_starts_at_one_word_and_ends_at_the_other(stage):
    steps = stage.way("sadness", "joy", 5)
    assert [one.caption for one in steps] == ["sadness", "25%", "50%", "75%", "joy"]
    for end, word in ((steps[0], "sadness"), (steps[-1], "joy")):
        assert np.array_equal(end.shown.embedding, stage.find(word).embedding)
        assert np.array_equal(end.shown.units, stage.find(word).units)
    with pytest.raises(ConfigError, match="to itself"):
        stage.way("joy", "joy", 5)


def test_dial_starts_at_the_mean_neutral_face(stage):
    none, half, full = stage.dial("joy", (0.0, 0.5, 1.0))
    rest = np.mean([shown.units for shown in stage.tables.expressions["neutral"]], axis=0)
    assert np.allclose(none.shown.units, rest, atol=1e-6)
    assert np.allclose(half.shown.units, (none.shown.units + full.shown.units) / 2, atol=1e-6)


def test_unknown_scene_is_named(bundled):
    with pytest.raises(ConfigError, match='no scene "nowhere"'):
        Stage.of(figure_config(), num_people=1, scene_id="nowhere")


def test_reading_is_compared_with_reference_class_and_words():
    centres = {"joy": units(1, 2), "fear": units(5), "neutral": units()}
    row = read_step("someone", step("joy", units(1, 2)), reading(units(1), "happiness"), centres=centres, way=(units(), units(1, 2)))
    assert row.error == pytest.approx(np.sqrt(1 / 35))
    assert (row.asked_class, row.read_class, row.class_right) == ("happiness", "happiness", True)
    assert row.class_probability == pytest.approx(0.65)
    assert (row.nearest_word, row.rank) == ("joy", 1)
    assert nearest_words(units(), centres) == ["neutral", "fear", "joy"]
    wrong = read_step("someone", step("fear", units(5)), reading(units(1, 2), "happiness"), centres=centres, way=(units(), units(5)))
    assert wrong.class_right is False and wrong.rank == 3 and wrong.reference_rank == 1


def test_picture_without_a_face_has_no_reading_and_counts_as_not_found():
    centres = {"joy": units(1)}
    found = read_step("a", step("joy", units(1)), reading(units(1), "anger"), centres=centres, way=(units(), units(1)))
    missing = read_step("b", step("joy", units(1)), None, centres=centres, way=(units(), units(1)))
    assert (missing.error, missing.class_right, missing.rank, missing.face_found) == (None, None, None, False)
    told = summary([found, missing])
    assert (told["pictures"], told["people"], told["faces_found"], told["error_mean"], told["class_right"]) == (2, 2, 0.5, 0.0, 0.0)
    (row,) = by_step([found, missing])
    assert row["read_classes"] == ["anger", None]


def test_progress_is_the_share_of_the_way():
    assert progress(units(1) / 4, units(), units(1)) == pytest.approx(0.25)
    assert progress(units(3), units(), units(1)) == 0
    assert progress(units(3), units(1), units(1)) is None


def test_sheet_shows_tiles_row_by_row_with_their_captions():
    pictures = [np.full((20, 20, 3), value, np.uint8) for value in (10, 90, 170)]
    tiles = [Tile(image_rgb=picture, lines=("wwww", "x"), alarm=place == 2) for place, picture in enumerate(pictures)]
    sheet = tile_sheet(tiles, columns=2, title="t")
    assert (sheet == 10).all(axis=-1).sum() == (sheet == 90).all(axis=-1).sum() == (sheet == 170).all(axis=-1).sum() == 400
    assert np.argwhere((sheet == 90).all(axis=-1))[0][1] > 20
    assert np.argwhere((sheet == 170).all(axis=-1))[0][0] > np.argwhere((sheet == 90).all(axis=-1))[-1][0]
    assert (sheet == ALARM).all(axis=-1).any() and (sheet == INK).all(axis=-1).any()


def test_words_sheet_is_the_same_again(bundled, tmp_path):
    for folder in ("a", "b"):
        words_sheet(figure_config(QUICK), tmp_path / folder, people=1, scene=None, words=("neutral", "joy"))
    for name in ("words.png", "words.json", "words.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    record = json.loads((tmp_path / "a" / "words.json").read_text())
    assert [row["caption"] for row in record["steps"]] == ["neutral", "joy"]
    assert record["summary"]["pictures"] == 2
    assert (tmp_path / "a" / "words.csv").read_text().startswith("identity_id,caption,asked_class")


def test_travel_is_a_strip_for_each_person(bundled, tmp_path):
    command = ["sheet", "travel", "sadness", "joy", "--steps", "2", "--people", "2", "--out", str(tmp_path), *QUICK]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "travel-sadness-joy.png") as sheet:
        assert sheet.width > 2 * 128 and sheet.height > 2 * 128
    assert json.loads((tmp_path / "travel-sadness-joy.json").read_text())["people"] == ["sampled-000000", "sampled-000001"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["travel", "joy", "fear", "--steps", "1"], "2 to 33"),
        (["travel", "joy", "nothing"], "is not one of the 136"),
        (["intensity", "joy", "--at", "2", "--at", "0"], "from 0 to 1"),
        (["words", "qc.gate_fmr=0.1"], "this command doesn't read"),
    ],
)
def test_unusable_wishes_are_one_sentence(bundled, tmp_path, words, message):
    result = CliRunner().invoke(main, ["sheet", *words, "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output
    assert not list(tmp_path.iterdir())
