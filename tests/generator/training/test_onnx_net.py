from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from generator.training.embeddings import CONDITIONER_FILES
from generator.training.export import run_onnx
from generator.training.onnx_net import OnnxNet
from jobs.bundle import BUNDLED
from manifests.errors import WeightsError


def graph(path: Path, *nodes: onnx.NodeProto, inputs: int = 1) -> Path:
    names = ["input", "second"][:inputs]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3, 8, 8]) for name in names]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph(nodes, "small", values, [output]), opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


@pytest.mark.parametrize("file", CONDITIONER_FILES.values())
def test_a_bundled_encoder_computes_what_onnx_runtime_does(file: str) -> None:
    crops = np.random.default_rng(0).uniform(-1, 1, (3, 3, 112, 112)).astype(np.float32)
    expected = run_onnx(BUNDLED / file, crops)[0]
    made = OnnxNet(BUNDLED / file)(torch.from_numpy(crops)).numpy()
    np.testing.assert_allclose(made, expected, atol=1e-4 * np.abs(expected).max())


def test_gradients_reach_the_picture_and_nothing_else() -> None:
    net = OnnxNet(BUNDLED / CONDITIONER_FILES["identity_arc"])
    crops = torch.zeros(1, 3, 112, 112, requires_grad=True)
    net(crops).square().sum().backward()
    assert crops.grad is not None
    assert float(crops.grad.abs().max()) > 0
    assert list(net.parameters()) == []


def test_another_operation_is_refused_by_name(tmp_path: Path) -> None:
    path = graph(tmp_path / "net.onnx", helper.make_node("Softplus", ["input"], ["embedding"]))
    with pytest.raises(WeightsError, match="operation Softplus"):
        OnnxNet(path)


def test_a_second_input_is_refused(tmp_path: Path) -> None:
    path = graph(tmp_path / "net.onnx", helper.make_node("Add", ["input", "second"], ["embedding"]), inputs=2)
    with pytest.raises(WeightsError, match="2 inputs and 1 outputs"):
        OnnxNet(path)


def test_uneven_padding_is_refused(tmp_path: Path) -> None:
    pool = helper.make_node("AveragePool", ["input"], ["embedding"], kernel_shape=[2, 2], pads=[0, 0, 1, 1])
    net = OnnxNet(graph(tmp_path / "net.onnx", pool))
    with pytest.raises(WeightsError, match="pads one side more"):
        net(torch.zeros(1, 3, 8, 8))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x00\x01 no protobuf" * 20)
    with pytest.raises(WeightsError, match="no readable ONNX file"):
        OnnxNet(path)
