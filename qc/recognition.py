"""Face recognisers in insightface's conventions, loaded through insightface: crops to unit embeddings."""

# N crops, D width of an embedding

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from insightface import model_zoo
from numpy.typing import NDArray

from manifests.errors import InputError, WeightsError
from manifests.ledger import file_sha256
from qc.alignment import RECOGNISER_SIDE_PX
from qc.sessions import batches, require_onnx, session_options


class Recogniser:
    """One recogniser file: (N, 112, 112, 3) uint8 RGB crops to (N, D) float32 embeddings of unit length.

    `batch_size` 1 makes a row's numbers independent of its neighbours, and costs nothing on one CPU thread.
    """

    def __init__(self, path: Path, *, name: str | None = None, threads: int = 1, batch_size: int = 1) -> None:
        self.path = require_onnx(path, "recogniser")
        self.name = name or path.stem
        self.sha256 = file_sha256(path)
        self.batch_size = batch_size
        self.model = load_insightface(path, threads)
        if getattr(self.model, "taskname", None) != "recognition":
            kind = getattr(self.model, "taskname", "no face model")
            raise WeightsError(f"recogniser: {path} is {kind}, expected a recognition model with one 112 x 112 input. Name another file.")
        if tuple(self.model.input_size) != (RECOGNISER_SIDE_PX, RECOGNISER_SIDE_PX):
            raise WeightsError(f"recogniser: {path} reads {self.model.input_size} px, expected 112 x 112. Name another file.")

    @property
    def width(self) -> int:
        """D, numbers of an embedding."""
        return int(self.model.output_shape[-1])

    def embed(self, crops_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit embeddings (N, D) of recogniser crops (N, 112, 112, 3)."""
        side = RECOGNISER_SIDE_PX
        if crops_rgb.ndim != 4 or crops_rgb.shape[1:] != (side, side, 3) or crops_rgb.dtype != np.uint8:
            raise InputError(f"recogniser: got {crops_rgb.dtype} {crops_rgb.shape}, expected uint8 (N, {side}, {side}, 3). Align the faces first.")
        parts = []
        for batch in batches(crops_rgb, self.batch_size):
            bgr = [np.ascontiguousarray(crop[:, :, ::-1]) for crop in batch]  # insightface reads pictures as OpenCV does
            parts.append(np.asarray(self.model.get_feat(bgr), dtype=np.float32))
        if not parts:
            return np.zeros((0, self.width), dtype=np.float32)
        raw = np.concatenate(parts).astype(np.float64)  # (N, D)
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        if not np.isfinite(raw).all() or (length < 1e-12).any():
            raise WeightsError(f"recogniser: {self.path} gave an embedding that is zero or not finite. Restore the file.")
        return (raw / length).astype(np.float32)


def load_insightface(path: Path, threads: int = 1) -> Any:
    """The insightface model of an ONNX file that exists, on CPU threads; nothing is downloaded and nothing is printed."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            model = model_zoo.get_model(
                str(path),
                download=False,
                providers=["CPUExecutionProvider"],
                provider_options=None,
                sess_options=session_options(threads),
                static_shape_sessions=False,  # else a session with its own threads is opened for each picture size
            )
        except Exception as error:  # onnxruntime, onnx and insightface have no common class
            raise WeightsError(f"insightface model: {path} can't be opened ({str(error).splitlines()[0] if str(error) else type(error).__name__}).") from error
    if model is None:
        raise WeightsError(f"insightface model: {path} is none of the kinds that insightface knows (detector, recogniser, landmarks). Name another file.")
    return model
