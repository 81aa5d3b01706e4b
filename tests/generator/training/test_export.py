from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from insightface.model_zoo import get_model

from generator.training.export import Storage, export_onnx, run_onnx
from generator.training.nets import Embedder, Trunk
from manifests.errors import WeightsError


@pytest.fixture
def example() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (3, 3, 112, 112)).astype(np.float32)


def test_exported_recogniser_computes_the_same_and_takes_any_batch(tmp_path: Path, example: np.ndarray):
    torch.manual_seed(0)
    network = Embedder(Trunk("residual", (8, 16, 32), (1, 1)), 16, pool="mean").eval()
    figures = export_onnx(network, tmp_path / "net.onnx", example=example)
    assert figures["parity_error"] < 1e-3
    assert figures["storage_cosine_loss"] < 1e-3
    assert run_onnx(tmp_path / "net.onnx", example[:1])[0].shape == (1, 16)
    model = onnx.load(str(tmp_path / "net.onnx"))
    assert model.opset_import[0].version <= 17
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize(("storage", "bytes_per_weight"), [("half", 2), ("byte", 1)])
def test_narrower_storage_is_smaller_by_its_width(tmp_path: Path, example: np.ndarray, storage: Storage, bytes_per_weight: int):
    torch.manual_seed(0)
    network = Embedder(Trunk("plain", (8, 64), (1,)), 128).eval()
    size = {kind: export_onnx(network, tmp_path / kind, example=example, storage=kind)["bytes"] for kind in ("single", storage)}
    assert size[storage] < size["single"] * (bytes_per_weight / 4 + 0.1)


def test_insightface_opens_it_as_an_arcface_model_with_symmetric_input(tmp_path: Path, example: np.ndarray):
    export_onnx(Embedder(Trunk("plain", (8, 16), (1,)), 16), tmp_path / "net.onnx", example=example)
    model = get_model(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert type(model).__name__ == "ArcFaceONNX"
    assert (model.input_mean, model.input_std, model.input_size) == (127.5, 127.5, (112, 112))
    assert model.get_feat([np.zeros((112, 112, 3), np.uint8)] * 2).shape == (2, 16)


def test_network_that_half_precision_ruins_is_refused(tmp_path: Path, example: np.ndarray):
    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(3, 400, bias=False)
            torch.nn.init.constant_(self.linear.weight, 1e-9)  # below what half precision holds

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.mean(dim=(2, 3)))

    with pytest.raises(WeightsError, match="differs from PyTorch"):
        export_onnx(Tiny(), tmp_path / "net.onnx", example=example)
    assert not list(tmp_path.iterdir())
