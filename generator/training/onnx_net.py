"""A small ONNX file as a frozen PyTorch network, so that losses can be taken through the very recognisers that a core is conditioned by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from torch import Tensor, nn

from manifests.errors import WeightsError

Attributes = Mapping[str, Any]
Operation = Callable[[list[Tensor | None], Attributes], Tensor]


class OnnxNet(nn.Module):
    """Computes what the file's graph does, with gradients to its input; the weights are constants.

    Takes graphs of the operations in OPERATIONS (convolutional recognisers and classifiers) with one input and one output.
    Nodes that depend on constants only are computed once, when the file is read.
    Raises WeightsError when the file can't be read or has another operation.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            graph = onnx.load(str(path), load_external_data=False).graph
            known = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
        except Exception as error:  # subtle: protobuf and onnx raise many kinds for a damaged file
            raise WeightsError(f'"{path}" is no readable ONNX file ({type(error).__name__}). Fetch it again and compare its sha256.') from error
        unknown = sorted({node.op_type for node in graph.node} - OPERATIONS.keys())
        if unknown:
            raise WeightsError(f'"{path}" has the operation {unknown[0]}, which has no counterpart here. Take another net for the loss.')
        inputs = [value.name for value in graph.input if value.name not in known]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise WeightsError(f'"{path}" has {len(inputs)} inputs and {len(graph.output)} outputs, expected one of each.')
        self.input, self.output = inputs[0], graph.output[0].name
        self.nodes: list[tuple[Operation, list[str], str, dict[str, Any]]] = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            operation = OPERATIONS[node.op_type]
            if all(name in known or not name for name in node.input):
                known[node.output[0]] = operation([known.get(name) for name in node.input], attributes)
            else:
                self.nodes.append((operation, list(node.input), node.output[0], attributes))
        used = {name for _, names, _, _ in self.nodes for name in names}
        self.names = {name: f"constant_{i}" for i, name in enumerate(sorted(used & known.keys()))}
        for name, buffer in self.names.items():
            self.register_buffer(buffer, known[name])

    def forward(self, x: Tensor) -> Tensor:
        """The graph's output for its input."""
        values: dict[str, Tensor | None] = {name: getattr(self, buffer) for name, buffer in self.names.items()}
        values[self.input] = x
        for operation, names, output, attributes in self.nodes:
            values[output] = operation([values.get(name) for name in names], attributes)
        result = values[self.output]
        assert result is not None
        return result


def _need(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise WeightsError("an ONNX file leaves out an input that its operation needs. Fetch the file again and compare its sha256.")
    return tensor


def _both(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda inputs, attributes: operation(_need(inputs[0]), _need(inputs[1]))


def _cast(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    return _need(inputs[0]).to(torch.from_numpy(np.zeros(1, helper.tensor_dtype_to_np_dtype(attributes["to"]))).dtype)


def _symmetric(attributes: Attributes) -> tuple[int, int]:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right) or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise WeightsError("an ONNX file pads one side more than the other, which is not supported here. Take another net for the loss.")
    return top, left


def _conv(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    return F.conv2d(
        _need(inputs[0]), _need(inputs[1]), inputs[2] if len(inputs) > 2 else None, stride=tuple(attributes.get("strides", (1, 1))),
        padding=_symmetric(attributes), dilation=tuple(attributes.get("dilations", (1, 1))), groups=attributes.get("group", 1),
    )  # fmt: skip


def _average_pool(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    return F.avg_pool2d(
        _need(inputs[0]), tuple(attributes["kernel_shape"]), tuple(attributes.get("strides", (1, 1))), _symmetric(attributes),
        ceil_mode=bool(attributes.get("ceil_mode", 0)), count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )  # fmt: skip


def _batch_norm(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    x, weight, bias, mean, variance = (_need(tensor) for tensor in inputs)
    return F.batch_norm(x, mean, variance, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _gemm(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    a, b = _need(inputs[0]), _need(inputs[1])
    product = attributes.get("alpha", 1.0) * ((a.T if attributes.get("transA") else a) @ (b.T if attributes.get("transB") else b))
    return product if len(inputs) < 3 or inputs[2] is None else product + attributes.get("beta", 1.0) * inputs[2]


def _pad(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    x, pads = _need(inputs[0]), _need(inputs[1]).tolist()
    value = float(inputs[2]) if len(inputs) > 2 and inputs[2] is not None else 0.0
    sides = [pads[i + end] for i in reversed(range(x.dim())) for end in (0, x.dim())]  # torch counts from the last axis on
    return F.pad(x, sides, mode="constant", value=value)


def _slice(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    x, starts, ends = _need(inputs[0]), _need(inputs[1]).tolist(), _need(inputs[2]).tolist()
    axes = _need(inputs[3]).tolist() if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    steps = _need(inputs[4]).tolist() if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # subtle: torch has no negative steps; the exporter writes them to reverse small constant tables
        index = range(x.shape[axis])[slice(start, end if end >= -x.shape[axis] else None, step)]
        x = x.index_select(axis, torch.tensor(list(index), dtype=torch.long, device=x.device))
    return x


def _reshape(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    x = _need(inputs[0])
    shape = [x.shape[i] if side == 0 else side for i, side in enumerate(_need(inputs[1]).tolist())]
    return x.reshape(shape)


def _constant_of_shape(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    value = torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy()) if "value" in attributes else torch.zeros(1)
    return value.expand(_need(inputs[0]).tolist()).clone()


def _flatten(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    x, axis = _need(inputs[0]), attributes.get("axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _mean(inputs: list[Tensor | None], attributes: Attributes) -> Tensor:
    return _need(inputs[0]).mean(dim=tuple(attributes["axes"]), keepdim=bool(attributes.get("keepdims", 1)))


# One line for each operation that the recognisers and the expression encoder are made of, as opset 17 defines them.
OPERATIONS: dict[str, Operation] = {
    "Add": _both(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Concat": lambda inputs, attributes: torch.cat([_need(tensor) for tensor in inputs], dim=attributes["axis"]),
    "Constant": lambda inputs, attributes: torch.from_numpy(numpy_helper.to_array(attributes["value"]).copy()),
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "Div": _both(torch.div),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "Mul": _both(torch.mul),
    "Pad": _pad,
    "PRelu": lambda inputs, attributes: F.prelu(_need(inputs[0]), _need(inputs[1]).flatten()),
    "ReduceMean": _mean,
    "Relu": lambda inputs, attributes: F.relu(_need(inputs[0])),
    "Reshape": _reshape,
    "Slice": _slice,
    "Sub": _both(torch.sub),
    "Transpose": lambda inputs, attributes: _need(inputs[0]).permute(attributes["perm"]),
}
