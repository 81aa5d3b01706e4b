"""Embeddings of every corpus portrait and of its mirror image, by the bundled ONNX files."""

# N rows, D width

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.training.corpus import Corpus
from generator.training.crops import plain_crops
from generator.training.export import open_session
from generator.training.verification import unit_rows
from manifests.errors import WeightsError

IDENTITY_FILES = {name: f"recognisers/{name}.onnx" for name in ("identity_arc", "identity_metric", "identity_triplet")}
EXPRESSION_FILES = {"expression": "expression/expression_encoder.onnx"}
BATCH = 64


def embed_corpus(corpus: Corpus, bundled_folder: Path) -> dict[str, NDArray[np.float32]]:
    """One (2, N, D) array per encoder: [0] the portraits, [1] their mirror images.

    The three identity encoders' rows have unit length; "expression" has the 32 numbers as they are. One CPU thread; about
    10 ms a portrait. Raises WeightsError when a file is missing.
    """
    files = IDENTITY_FILES | EXPRESSION_FILES
    for file in files.values():
        if not (bundled_folder / file).exists():
            raise WeightsError(f'embedding the corpus: "{bundled_folder / file}" is missing. Train it, or restore the bundled weights.')
    sessions = {name: open_session(bundled_folder / file) for name, file in files.items()}
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in files}
    for start in range(0, len(corpus), BATCH):
        crops = plain_crops(corpus.images_rgb[start : start + BATCH], corpus.landmarks5_px[start : start + BATCH]).contiguous().numpy()
        both = np.concatenate([crops, crops[..., ::-1]])  # (2B, 3, 112, 112)
        for name, session in sessions.items():
            embedding = session.run(None, {session.get_inputs()[0].name: both})[0]
            rows = unit_rows(embedding) if name in IDENTITY_FILES else np.asarray(embedding, dtype=np.float32)
            parts[name].append(rows.reshape(2, -1, rows.shape[1]))
    return {name: np.concatenate(chunks, axis=1) for name, chunks in parts.items()}
