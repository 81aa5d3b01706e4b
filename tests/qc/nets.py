"""Small real ONNX nets and a detector that knows where a portrait has its face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from qc.alignment import template_points
from qc.faces import Face


def write_net(path: Path, outputs: dict[str, tuple[int, ...]], *, side: int = 112, seed: int = 0) -> Path:
    """A net that averages the picture over an 8 x 8 grid and multiplies by fixed random numbers."""
    generator = np.random.default_rng(seed)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["pooled"], kernel_shape=[side // 8] * 2, strides=[side // 8] * 2),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
    ]
    weights, declared = [], []
    for name, shape in outputs.items():
        size = int(np.prod(shape))
        matrix = generator.standard_normal((192, size)).astype(np.float32) / 14
        weights += [numpy_helper.from_array(matrix, f"w_{name}"), numpy_helper.from_array(np.array([-1, *shape], np.int64), f"s_{name}")]
        nodes += [helper.make_node("MatMul", ["flat", f"w_{name}"], [f"m_{name}"]), helper.make_node("Reshape", [f"m_{name}", f"s_{name}"], [name])]
        declared.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, side, side])]
    model = helper.make_model(helper.make_graph(nodes, "small", inputs, declared, weights), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


ESTIMATOR_OUTPUTS = {"units": (35,), "basic": (8,), "valence_arousal": (2,), "pose_deg": (3,)}


class CentreDetector:
    """Finds one face where a portrait has it, and none in a picture of one colour."""

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        if np.ptp(image_rgb) == 0:
            return []
        side = image_rgb.shape[1]
        box = np.array([0.2, 0.2, 0.8, 0.9], np.float32) * side
        return [Face(bbox_px=box, landmarks5_px=template_points(side).astype(np.float32), score=0.9)]


def pictures(count: int, seed: int = 0, side: int = 128) -> NDArray[np.uint8]:
    """Pictures of coloured noise, sharp and evenly lit."""
    return np.random.default_rng(seed).integers(40, 220, (count, side, side, 3), dtype=np.uint8)
