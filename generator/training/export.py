"""Writes a network as an ONNX file with weights stored in half precision, and checks that it computes the same."""

# B batch

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from manifests.errors import WeightsError

OPSET = 17
SMALLEST_HALVED = 256  # elements; smaller tensors stay in single precision
MAX_COSINE_LOSS = 1e-3


def export_onnx(network: nn.Module, path: Path, *, example: NDArray[np.float32], outputs: Sequence[str] = ("embedding",), spatial: bool = False,
                half: bool = True) -> dict[str, float]:  # fmt: skip
    """Writes `path` and returns its parity figures; the batch axis is free, and height and width too with `spatial`.

    example (B, 3, H, W) in -1..1 is what parity is checked on: the largest absolute difference from PyTorch over the size of
    the output with single-precision weights (must stay below 1e-3), and the cosine lost by half-precision storage.
    Raises WeightsError when either is too large.
    """
    network = network.eval().float()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    axes = {0: "batch"} | ({2: "height", 3: "width"} if spatial else {})
    dynamic = {"input": axes, **{name: ({0: "batch"} | ({2: f"{name}_h", 3: f"{name}_w"} if spatial else {})) for name in outputs}}
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracing exporter announces its successor, which needs more opsets than we allow
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        sample = torch.from_numpy(example)
        torch.onnx.export(network, (sample,), str(temporary), input_names=["input"], output_names=list(outputs), dynamic_axes=dynamic,
                          opset_version=OPSET, dynamo=False)  # fmt: skip
        wanted = network(sample)
    logging.getLogger("torch.onnx").setLevel(level)
    expected = [part.numpy() for part in (wanted if isinstance(wanted, tuple) else (wanted,))]
    exact = run_onnx(temporary, example)
    error = max(float(np.abs(a - b).max() / (np.abs(b).max() + 1e-6)) for a, b in zip(exact, expected, strict=True))
    figures = {"parity_error": error, "half_cosine_loss": 0.0}
    if half:
        store_half(temporary)
        stored = run_onnx(temporary, example)
        figures["half_cosine_loss"] = max(1 - _cosine(a, b) for a, b in zip(stored, expected, strict=True))
    if error > 1e-3 or figures["half_cosine_loss"] > MAX_COSINE_LOSS:
        temporary.unlink()
        raise WeightsError(f'exporting "{path.name}": ONNX differs from PyTorch ({figures}, at most 1e-3 each). Export with half=False.')
    os.replace(temporary, path)
    return figures | {"bytes": float(path.stat().st_size)}


def store_half(path: Path) -> None:
    """Rewrites large float initialisers as half precision behind a Cast, so that the graph still computes in single precision."""
    model = onnx.load(str(path))
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < SMALLEST_HALVED:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        graph.initializer.remove(tensor)
        graph.initializer.append(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], name=f"widen.{name}", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_onnx(path: Path, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """All outputs of a file for one batch."""
    session = open_session(path)
    return session.run(None, {session.get_inputs()[0].name: images})


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float((a * b).sum() / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))
