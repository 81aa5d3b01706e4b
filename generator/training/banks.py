"""Builds the banks of the bundled model: scenes with their masks and own conditions, and expression references per word."""

# N pictures

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from generator.training.corpus import Corpus
from manifests.face_mask import face_mask

NUM_SCENES = 72
MAX_SCENE_YAW_DEG = 28.0
GLASSES = 8  # class of the label map


def write_scenes(corpus: Corpus, embeddings: Mapping[str, NDArray[np.float32]], path: Path) -> int:
    """One row per picture: the picture, its face mask, tags, and the conditions of the person in it; returns the number of rows.

    Columns beside those of the embeddings: scene_id, tags, image (PNG), face_mask (PNG, 0 and 255), yaw, pitch, roll in degrees,
    units (35: the corpus' 34 and the lateral shift), landmarks5 and landmarks68 in pixels (x0, y0, x1 ...).
    """
    rows = []
    for i in range(len(corpus)):
        mask = face_mask(corpus.labels[i], corpus.landmarks68_px[i])
        yaw, pitch, roll = (float(v) for v in corpus.pose_deg[i])
        row = {
            "scene_id": f"bundled-{i:03d}",
            "tags": scene_tags(corpus.images_rgb[i], mask, yaw),
            "image": _png(corpus.images_rgb[i]),
            "face_mask": _png(mask * np.uint8(255)),
            "yaw": yaw, "pitch": pitch, "roll": roll,
            "units": [*corpus.units[i].tolist(), float(corpus.lateral[i])],
            "landmarks5": corpus.landmarks5_px[i].ravel().tolist(),
            "landmarks68": corpus.landmarks68_px[i].ravel().tolist(),
        }  # fmt: skip
        rows.append({**row, **{name: values[i].tolist() for name, values in embeddings.items()}})
    floats = pa.list_(pa.float32())
    fields = [("scene_id", pa.string()), ("tags", pa.list_(pa.string())), ("image", pa.binary()), ("face_mask", pa.binary())]
    fields += [(name, pa.float32()) for name in ("yaw", "pitch", "roll")]
    fields += [(name, floats) for name in ("units", "landmarks5", "landmarks68", *embeddings)]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), path, compression="zstd")
    return len(rows)


def choose_scenes(corpus: Corpus, *, count: int = NUM_SCENES) -> NDArray[np.int64]:
    """Row numbers of portraits that make good backgrounds: heads turned by at most 28 degrees, no glasses, one a person, spread evenly."""
    fits = (np.abs(corpus.pose_deg[:, 0]) <= MAX_SCENE_YAW_DEG) & ~(corpus.labels == GLASSES).any(axis=(1, 2))
    rows = np.flatnonzero(fits)
    one_each = rows[np.unique(corpus.identity[rows], return_index=True)[1]]
    return one_each[np.linspace(0, len(one_each) - 1, min(count, len(one_each))).round().astype(np.int64)]


def scene_tags(image_rgb: NDArray[np.uint8], mask: NDArray[np.uint8], yaw_deg: float) -> list[str]:
    """Words measured on the picture: how bright and how colourful the part outside the face is, and where the head looks."""
    outside = image_rgb[mask == 0].astype(np.float32)
    brightness = float(outside.mean())
    saturation = float((outside.max(axis=1) - outside.min(axis=1)).mean())
    return [
        "dark" if brightness < 60 else "bright" if brightness > 130 else "medium",
        "colourful" if saturation > 50 else "muted",
        "frontal" if abs(yaw_deg) < 12 else "turned-right" if yaw_deg > 0 else "turned-left",
    ]


def write_expressions(corpus: Corpus, embedding: NDArray[np.float32], path: Path, *, per_word: int = 24) -> int:
    """Reference embeddings per emotion word: one row per rendered expression, averaged over the people who wear it; returns the rows."""
    rows, taken = [], dict.fromkeys(np.unique(corpus.word), 0)
    for expression in np.unique(corpus.expression):
        members = np.flatnonzero(corpus.expression == expression)
        word = str(corpus.word[members[0]])
        if taken[word] < per_word:
            taken[word] += 1
            units = [*corpus.units[members[0]].tolist(), float(corpus.lateral[members[0]])]
            rows.append({"word": word, "embedding": embedding[members].mean(axis=0).tolist(), "units": units})
    floats = pa.list_(pa.float32())
    schema = pa.schema([("word", pa.string()), ("embedding", floats), ("units", floats)])
    rows.sort(key=lambda row: str(row["word"]))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")
    return len(rows)


def _png(array: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, format="PNG", optimize=True)
    return out.getvalue()
