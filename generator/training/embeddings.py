"""Embeddings of every corpus portrait and of its mirror image, by the bundled ONNX files, kept on disk under the files' hashes."""

# N rows, D width

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from generator.training.corpus import Corpus
from generator.training.crops import plain_crops
from generator.training.export import open_session
from generator.training.verification import unit_rows
from manifests.errors import WeightsError
from manifests.ledger import file_sha256

IDENTITY_FILES = {name: f"recognisers/{name}.onnx" for name in ("identity_arc", "identity_metric", "identity_triplet")}
EXPRESSION_FILES = {"expression": "expression/expression_encoder.onnx"}
CONDITIONER_FILES = IDENTITY_FILES | EXPRESSION_FILES
JUDGE_FILES = {name: f"recognisers/{name}.onnx" for name in ("gate", "auditor")}
BATCH = 64


def kept_embeddings(corpus: Corpus, bundled_folder: Path, cache: Path, files: Mapping[str, str] = CONDITIONER_FILES) -> dict[str, NDArray[np.float32]]:
    """embed_corpus, computed once for these pictures and these files and kept in the folder `cache`."""
    digest = hashlib.sha256("".join(corpus.sample_id.tolist()).encode())
    for file in files.values():
        digest.update(file_sha256(_existing(bundled_folder, file)).encode())
    path = cache / f"embeddings-{digest.hexdigest()[:12]}.safetensors"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        save_file({name: np.ascontiguousarray(rows) for name, rows in embed_corpus(corpus, bundled_folder, files).items()}, path)
    return dict(load_file(path))


def embed_corpus(corpus: Corpus, bundled_folder: Path, files: Mapping[str, str] = CONDITIONER_FILES) -> dict[str, NDArray[np.float32]]:
    """One (2, N, D) array per encoder: [0] the portraits, [1] their mirror images.

    files  name -> ONNX file below the folder
    Recognisers' rows have unit length; "expression" has the 32 numbers as they are. One CPU thread; about 10 ms a portrait.
    Raises WeightsError when a file is missing.
    """
    for file in files.values():
        _existing(bundled_folder, file)
    sessions = {name: open_session(bundled_folder / file) for name, file in files.items()}
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in files}
    for start in range(0, len(corpus), BATCH):
        crops = plain_crops(corpus.images_rgb[start : start + BATCH], corpus.landmarks5_px[start : start + BATCH]).contiguous().numpy()
        both = np.concatenate([crops, crops[..., ::-1]])  # (2B, 3, 112, 112)
        for name, session in sessions.items():
            embedding = session.run(None, {session.get_inputs()[0].name: both})[0]
            rows = unit_rows(embedding) if name not in EXPRESSION_FILES else np.asarray(embedding, dtype=np.float32)
            parts[name].append(rows.reshape(2, -1, rows.shape[1]))
    return {name: np.concatenate(chunks, axis=1) for name, chunks in parts.items()}


def _existing(folder: Path, file: str) -> Path:
    if not (folder / file).is_file():
        raise WeightsError(f'embedding the corpus: "{folder / file}" is missing. Train it, or restore the bundled weights.')
    return folder / file
