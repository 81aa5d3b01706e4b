from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.training.corpus import Corpus
from generator.training.counterparts import load_counterparts
from generator.training.crops import plain_crops
from generator.training.embeddings import EXPRESSION_FILES, IDENTITY_FILES, embed_corpus
from generator.training.export import export_onnx
from generator.training.nets import Embedder, Trunk
from generator.training.settle import write_card
from manifests.errors import InputError, WeightsError


def test_corpus_is_embedded_plain_and_mirrored(drawn_corpus: Corpus, tmp_path: Path):
    corpus = drawn_corpus.rows(np.arange(0, 72, 7))
    crops = plain_crops(corpus.images_rgb, corpus.landmarks5_px).contiguous()
    networks = {}
    for k, (name, file) in enumerate((IDENTITY_FILES | EXPRESSION_FILES).items()):
        torch.manual_seed(k)
        networks[name] = Embedder(Trunk("plain", (8, 16), (1,)), 6 + k).eval()
        export_onnx(networks[name], tmp_path / file, example=crops.numpy(), storage="single")
    embedding = embed_corpus(corpus, tmp_path)
    assert {name: rows.shape for name, rows in embedding.items()} == {
        "identity_arc": (2, 11, 6), "identity_metric": (2, 11, 7), "identity_triplet": (2, 11, 8), "expression": (2, 11, 9),
    }  # fmt: skip
    assert np.allclose(np.linalg.norm(embedding["identity_metric"], axis=2), 1, atol=1e-5)
    with torch.no_grad():
        assert np.allclose(embedding["expression"][1], networks["expression"](crops.flip(-1)).numpy(), atol=1e-4)


def test_missing_encoder_is_named(drawn_corpus: Corpus, tmp_path: Path):
    with pytest.raises(WeightsError, match=r"identity_arc\.onnx"):
        embed_corpus(drawn_corpus, tmp_path)


def test_counterpart_target_has_the_pose_of_the_background_and_the_expression_of_the_lender(shared: Path, tmp_path: Path):
    with tarfile.open(shared / "corpus" / "shards" / "counterpart-000000.tar") as source, tarfile.open(tmp_path / "counterpart-0.tar", "w") as few:
        for member in source.getmembers()[:18]:
            few.addfile(member, io.BytesIO(source.extractfile(member).read()))
    parts = load_counterparts(tmp_path)
    assert {name: len(rows) for name, rows in parts.items()} == {"background": 2, "identity": 2, "expression": 2, "target": 2}
    assert np.array_equal(parts["target"].pose_deg, parts["background"].pose_deg)
    assert np.array_equal(parts["target"].units, parts["expression"].units)
    assert np.array_equal(parts["target"].identity, parts["identity"].identity)


def test_folder_without_counterparts_is_an_input_error(tmp_path: Path):
    with pytest.raises(InputError, match=r"no counterpart-\*\.tar"):
        load_counterparts(tmp_path)


def test_card_counts_identities_and_rounds_figures(drawn_corpus: Corpus, tmp_path: Path):
    progress = tmp_path / "net.json"
    progress.write_text(json.dumps({"step": 10, "seconds": 20, "log": []}))
    path = write_card(tmp_path, "net", trained_on=drawn_corpus, batch_size=8, progress_file=progress, figures={"eer": 0.123456789}, notes="")
    card = json.loads(path.read_text())
    assert (card["pictures"], card["identities"], card["images_per_second"], card["figures"]) == (72, 24, 4.0, {"eer": 0.12346})
