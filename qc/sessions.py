"""Opens ONNX files on one CPU thread, with one readable sentence when a file is missing or of another kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from manifests.errors import InputError, WeightsError


def session_options(threads: int = 1) -> onnxruntime.SessionOptions:
    """Options with a fixed number of threads; one gives the same sums on every machine and is the fastest for small nets."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def require_onnx(path: Path, what: str) -> Path:
    """The path, when it is a file that ends in .onnx."""
    if not path.is_file():
        raise WeightsError(f"{what}: {path} does not exist. Name an ONNX file, or restore the bundled weights.")
    if path.suffix != ".onnx":
        raise WeightsError(f"{what}: {path} is not an ONNX file (its name ends in {path.suffix or 'nothing'}, expected .onnx).")
    return path


class Net:
    """An ONNX net of one image input and named outputs.

    `side_px`  side of its square input; `outputs` name -> shape without the first axis, checked when the file is opened.
    """

    def __init__(self, path: Path, what: str, side_px: int, outputs: Mapping[str, tuple[int, ...]], threads: int = 1) -> None:
        self.what = what
        self.side_px = side_px
        self.outputs = outputs
        require_onnx(path, what)
        try:
            self.session = onnxruntime.InferenceSession(str(path), session_options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common class for its own errors
            raise WeightsError(f"{what}: {path} can't be opened as ONNX ({str(error).splitlines()[0]}). Restore the file.") from error
        self._check(path)

    def run(self, images_rgb: NDArray[np.uint8], batch_size: int) -> dict[str, NDArray[np.float32]]:
        """Outputs of (N, side, side, 3) pictures; pixels enter as (x - 127.5) / 127.5."""
        wanted = (self.side_px, self.side_px, 3)
        if images_rgb.ndim != 4 or images_rgb.shape[1:] != wanted or images_rgb.dtype != np.uint8:
            raise InputError(f"{self.what}: got {images_rgb.dtype} {images_rgb.shape}, expected uint8 (N, *{wanted}). Align the faces first.")
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.outputs}
        for batch in batches(images_rgb, batch_size):
            pixels = (batch.astype(np.float32).transpose(0, 3, 1, 2) - np.float32(127.5)) / np.float32(127.5)
            values = self.session.run(list(self.outputs), {self.session.get_inputs()[0].name: pixels})
            for name, value in zip(self.outputs, values, strict=True):
                parts[name].append(np.asarray(value, dtype=np.float32))
        return {name: np.concatenate(part) if part else np.zeros((0, *self.outputs[name]), np.float32) for name, part in parts.items()}

    def _check(self, path: Path) -> None:
        found = {output.name: tuple(output.shape[1:]) for output in self.session.get_outputs()}
        inputs = self.session.get_inputs()
        shape = tuple(inputs[0].shape[1:])
        if len(inputs) != 1 or shape != (3, self.side_px, self.side_px):
            raise WeightsError(f"{self.what}: {path} has input {shape}, expected (3, {self.side_px}, {self.side_px}). Name a file of the right kind.")
        for name, wanted in self.outputs.items():
            if found.get(name) != wanted:
                raise WeightsError(f'{self.what}: {path} has outputs {found}, expected "{name}" of shape {wanted}. Name a file of the right kind.')


def batches(images_rgb: NDArray[np.uint8], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Successive parts of at most `batch_size` pictures."""
    for start in range(0, len(images_rgb), batch_size):
        yield images_rgb[start : start + batch_size]
