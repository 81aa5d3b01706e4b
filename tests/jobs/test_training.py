from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from generator.training.trainables import Place, TrainingOptions
from jobs.bundle import BUNDLED
from jobs.training import CHOICES, is_finished, parse_options, run_training
from manifests.errors import ConfigError, InputError
from tests.generator.training.drawn import draw_corpus, write_shard

QUICK = ["steps=2", "batch_size=4"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    drawn = draw_corpus()
    write_shard(drawn.rows(drawn.identity != 61), folder / "cg-000000.tar")
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_unknown_part_is_named_with_the_choices_and_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match='"face_pasrer".*face_parser, face_detector.*Did you mean "face_parser"'):
        run_training("face_pasrer", tmp_path, tmp_path)
    assert CHOICES[-3:] == ("banks", "ledger", "all")


@pytest.mark.parametrize(
    ("what", "word", "message"),
    [
        ("gate", "stepps=3", 'no key "stepps".*Did you mean "steps"'),
        ("gate", "steps", "expected key=value"),
        ("gate", "steps=many", "expected a whole number"),
        ("gate", "steps=0", "expected 1 or more"),
        ("gate", "perceptual_every=4", 'gate has no key "perceptual_every"'),
        ("face_parser", "start=bundled", 'face_parser has no key "start"'),
        ("all", "start=bundled", 'all has no key "start"'),
        ("sfsr", "identity_weight=-1", "identity_weight is -1, expected 0.0 or more"),
        ("banks", "steps=3", 'banks has no key "steps"'),
    ],
)
def test_bad_override_is_explained(tmp_path, what, word, message):
    with pytest.raises(ConfigError, match=message):
        run_training(what, tmp_path, tmp_path, [word])


def test_overrides_become_options():
    words = ["steps=5", "learning_rate=3e-4", "perceptual_every=4"]
    assert parse_options("sfsr", words) == TrainingOptions(steps=5, learning_rate=3e-4, perceptual_every=4)
    assert parse_options("all", words) == parse_options("sfsr", words) == parse_options("few_steps", words)


def test_start_is_a_core_folder_or_the_one_that_comes_with_facemint():
    assert parse_options("sfsr", ["start=bundled"]).start == BUNDLED / "core"
    assert parse_options("few_steps", ["start=bundled"]).start == BUNDLED / "core"
    assert parse_options("sfsr", ["start=some/core"]).start == Path("some/core")


def test_corpus_without_shards_is_refused(tmp_path):
    with pytest.raises(InputError, match="no cg-"):
        run_training("face_parser", tmp_path, tmp_path / "work")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves shards to the garbage collector
def test_same_command_again_leaves_it_and_more_steps_go_on(corpus, tmp_path):
    lines: list[str] = []
    (card,) = run_training("face_parser", corpus, tmp_path, QUICK, threads=1, say=lines.append)
    record = json.loads(card.read_text())
    assert record["steps"] == 2
    assert record["identities"] == 19  # not the held-out ones
    place = Place(corpus=corpus, work=tmp_path, bundled=tmp_path / "bundled")
    exported = place.bundled / "faces" / "face_parser.onnx"
    assert exported.is_file()
    assert is_finished("face_parser", TrainingOptions(steps=2), place)
    assert not is_finished("face_parser", TrainingOptions(steps=3), place)

    assert run_training("face_parser", corpus, tmp_path, QUICK, threads=1, say=lines.append) == []
    assert lines[-1] == "face_parser is finished"

    progress = tmp_path / "face_parser.json"
    progress.write_text(json.dumps({**json.loads(progress.read_text()), "seconds": 7200}))
    before = exported.read_bytes()
    (card,) = run_training("face_parser", corpus, tmp_path, ["steps=3", "batch_size=4"], threads=1, say=lines.append)
    record = json.loads(card.read_text())
    assert record["steps"] == 3
    assert record["seconds"] >= 7200  # counted on from the state, so it was taken up
    assert exported.read_bytes() != before

    run_training("ledger", corpus, tmp_path, say=lines.append)
    assert lines[-1].startswith("ledger: 1 files")
    assert "2.0 hours" in (place.bundled / "cards" / "face_parser.md").read_text()
