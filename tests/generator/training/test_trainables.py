from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generator.patch_autoencoder import PatchAutoencoder
from generator.training.bundle import ROLE_OF, write_bundle_ledger
from generator.training.corpus import Corpus
from generator.training.loop import train
from generator.training.sfsr_parts import fresh_network, load_network
from generator.training.trainables import TRAINABLES, Place, TrainingOptions
from manifests.errors import RoleError, WeightsError
from manifests.ledger import read_ledger, verify_ledger


def silent(line: str) -> None:
    """Says nothing."""


def test_every_part_has_a_role_in_the_ledger():
    for name, part in TRAINABLES.items():
        assert any(part.file.startswith(start) for start, _ in ROLE_OF), name


def test_parts_come_after_what_they_need():
    order = list(TRAINABLES)
    assert order.index("identity_arc") < order.index("expression_encoder") < order.index("sfsr")
    assert order.index("autoencoder") < order.index("sfsr") < order.index("few_steps")
    assert order[-1] == "few_steps"


@pytest.mark.parametrize("name", TRAINABLES)
def test_options_change_the_loop_and_nothing_else_does(name: str):
    part = TRAINABLES[name]
    assert part.loop_config(TrainingOptions()) == part.loop(part.steps)
    config = part.loop_config(TrainingOptions(steps=7, batch_size=3, learning_rate=0.5))
    assert (config.steps, config.batch_size, config.learning_rate) == (7, 3, 0.5)


@pytest.mark.parametrize("name", ["identity_arc", "gate", "expression_estimator", "face_parser", "face_detector"])
def test_each_task_gives_a_loss_on_the_corpus(name: str, drawn_corpus: Corpus, tmp_path: Path):
    place = Place(corpus=tmp_path, work=tmp_path, bundled=tmp_path / "bundled")
    task = TRAINABLES[name].build(drawn_corpus, place, TrainingOptions())
    assert task.name == name
    loss, figures = task.loss(np.random.default_rng(0), 8, 0)
    assert np.isfinite(float(loss.detach()))
    assert all(np.isfinite(value) for value in figures.values())


def test_autoencoder_is_trained_exported_and_read_again(drawn_corpus: Corpus, tmp_path: Path):
    place = Place(corpus=tmp_path, work=tmp_path / "work", bundled=tmp_path / "bundled")
    part, options = TRAINABLES["autoencoder"], TrainingOptions(steps=2, batch_size=2)
    corpus = drawn_corpus.rows(np.array([0, 3, 6, -1]))
    task = part.build(corpus, place, options)
    train(task, part.loop_config(options), place.work, say=silent)
    figures = part.finish(task, part.loop_config(options), corpus, place)
    assert figures["decode_linear_psnr_db_all"] > 5
    assert PatchAutoencoder.load(place.bundled / "core" / "vae").latent_shape == (16, 16, 16)
    assert (place.bundled / part.file).is_file()


def test_trained_network_is_rebuilt_from_its_weights(tmp_path: Path):
    from safetensors.torch import save_file

    widths = {"identity_arc": 8, "identity_metric": 6, "identity_triplet": 4, "expression": 5}
    network = fresh_network({name: np.empty((0, width)) for name, width in widths.items()}, seed=3)
    save_file(network.state_dict(), tmp_path / "sfsr.safetensors")
    loaded = load_network(tmp_path)
    assert loaded.conditions.config == network.conditions.config
    assert all(bool((a == b).all()) for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True))


def test_ledger_names_what_is_there_with_roles(tmp_path: Path):
    files = {"recognisers/identity_arc.onnx": b"a", "recognisers/gate.onnx": b"g", "core/unet/model.safetensors": b"u", "banks/scenes.parquet": b"s"}
    for file, content in {**files, "cards/gate.md": b"no weight", "core/unet/.model.tmp": b"no weight"}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    write_bundle_ledger(tmp_path)
    ledger = read_ledger(tmp_path)
    verify_ledger(ledger)
    roles = {weight.name: weight.role for weight in ledger.weights}
    assert roles == {"identity_arc": "conditioner", "gate": "gate", "core/unet/model": "core", "scenes": "bank"}
    (tmp_path / "recognisers/gate.onnx").write_bytes(b"a")
    with pytest.raises(RoleError, match="gate"):
        write_bundle_ledger(tmp_path)


def test_ledger_of_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match="holds no weights"):
        write_bundle_ledger(tmp_path)
