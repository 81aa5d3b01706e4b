"""Writes a network as an ONNX file with weights stored in few bits, and checks that it computes the same."""

# B batch

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from manifests.errors import WeightsError

OPSET = 17
SMALLEST_NARROWED = 256  # elements; smaller tensors stay in single precision
MAX_COSINE_LOSS = 1e-3

Storage = Literal["single", "half", "byte"]


def export_onnx(network: nn.Module, path: Path, *, example: NDArray[np.float32], outputs: Sequence[str] = ("embedding",), spatial: bool = False,
                storage: Storage = "half") -> dict[str, float]:  # fmt: skip
    """Writes `path` and returns its parity figures; the batch axis is free, and height and width too with `spatial`.

    example (B, 3, H, W) in -1..1 is what parity is checked on: the largest absolute difference from PyTorch over the size of
    the output with single-precision weights (must stay below 1e-3), and the cosine lost by narrower `storage`.
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
    figures = {"parity_error": error, "storage_cosine_loss": 0.0}
    if storage != "single":
        narrow(temporary, storage)
        stored = run_onnx(temporary, example)
        figures["storage_cosine_loss"] = max(1 - _cosine(a, b) for a, b in zip(stored, expected, strict=True))
    if error > 1e-3 or figures["storage_cosine_loss"] > MAX_COSINE_LOSS:
        temporary.unlink()
        raise WeightsError(f'exporting "{path.name}": ONNX differs from PyTorch ({figures}, at most 1e-3 each). Export with storage="single".')
    os.replace(temporary, path)
    return figures | {"bytes": float(path.stat().st_size)}


def narrow(path: Path, storage: Literal["half", "byte"]) -> None:
    """Rewrites large float initialisers in half precision, or as bytes with one scale per first axis; the graph still computes in single.

    A Cast, and for bytes a Mul, widens each again; ONNX Runtime folds both once when it opens the file.
    """
    model = onnx.load(str(path))
    graph = model.graph
    widen = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < SMALLEST_NARROWED:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        graph.initializer.remove(tensor)
        if storage == "half":
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            widen.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"widen.{name}", to=TensorProto.FLOAT))
        else:
            scale = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127 + 1e-12
            graph.initializer.append(numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}.byte"))
            graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
            widen.append(helper.make_node("Cast", [f"{name}.byte"], [f"{name}.wide"], name=f"widen.{name}", to=TensorProto.FLOAT))
            widen.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name], name=f"scale.{name}"))
    nodes = [*widen, *graph.node]
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
