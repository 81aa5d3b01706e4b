"""A corpus of drawn heads, in memory and as a shard."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from generator.training.corpus import BASICS, Corpus
from manifests.geometry import PORTRAIT_TEMPLATE

TRAIN, AUDIT, HELD_OUT = range(12), range(60, 68), range(197, 201)
CORPUS_SIDE_PX = 160  # of the pictures in shards


def draw_corpus() -> Corpus:
    """72 pictures of drawn heads: 12 identities to train on, 8 of the audit blocks and 4 held out, three pictures each."""
    draw = np.random.default_rng(0)
    identities = np.repeat([*TRAIN, *AUDIT, *HELD_OUT], 3)
    count = len(identities)
    images = draw.integers(0, 256, (count, 128, 128, 3), dtype=np.uint8)
    labels = np.zeros((count, 128, 128), dtype=np.uint8)
    points5 = np.repeat(PORTRAIT_TEMPLATE[None] * 128, count, axis=0) + draw.normal(0, 1.0, (count, 1, 2))
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([64 + 28 * np.cos(angle), 66 + 38 * np.sin(angle)], axis=-1)
    points68 = np.repeat(np.concatenate([jaw, np.full((51, 2), 64.0)])[None], count, axis=0)
    for image, label, five in zip(images, labels, points5, strict=True):
        cv2.ellipse(label, (64, 66), (42, 50), 0, 0, 360, 3, -1)
        cv2.ellipse(label, (64, 72), (28, 34), 0, 0, 360, 1, -1)
        for x, y in five.astype(int):
            label[y - 2 : y + 3, x - 3 : x + 4] = 4
        image[label > 0] = image[0, 0]
        image[label == 4] = 255
    units = draw.random((count, 34)).astype(np.float32)
    return Corpus(
        sample_id=np.array([f"{i:06d}" for i in range(count)]), images_rgb=images, labels=labels,
        landmarks5_px=points5.astype(np.float32), landmarks68_px=points68.astype(np.float32),
        units=units, lateral=draw.uniform(-1, 1, count).astype(np.float32), pose_deg=draw.normal(0, 8, (count, 3)).astype(np.float32),
        identity=identities.astype(np.int64), expression=np.arange(count) // 36 * 100 + np.arange(count) % 12, basic=np.arange(count) % 8,
        word=np.repeat(np.array(["joy"]), count), attributes=np.repeat(draw.random((count // 3, 16)), 3, axis=0).astype(np.float32),
    )  # fmt: skip


def write_shard(corpus: Corpus, path: Path) -> None:
    """The pictures as a corpus shard; attributes are left to the defaults."""
    with tarfile.open(path, "w") as archive:
        for row in range(len(corpus)):
            files = {"jpg": png(corpus.images_rgb[row]), "seg.png": png(corpus.labels[row]), "json": json.dumps(label_of(corpus, row)).encode()}
            for ending, content in files.items():
                add(archive, f"{corpus.sample_id[row]}.{ending}", content)


def label_of(corpus: Corpus, row: int) -> dict[str, Any]:
    """The label of a picture as the corpus writes it."""
    scale = CORPUS_SIDE_PX / corpus.images_rgb.shape[1]
    yaw, pitch, roll = corpus.pose_deg[row].tolist()
    return {
        "sample_id": str(corpus.sample_id[row]),
        "landmarks5": (corpus.landmarks5_px[row] * scale).tolist(),
        "landmarks": (corpus.landmarks68_px[row] * scale).tolist(),
        "expression": {
            "units": corpus.units[row].tolist(), "lateral": float(corpus.lateral[row]), "expression_id": int(corpus.expression[row]),
            "basic": BASICS[corpus.basic[row]], "word": str(corpus.word[row]),
        },
        "pose": {"yaw": yaw, "pitch": pitch, "roll": roll},
        "identity_id": int(corpus.identity[row]),
        "identity": {
            "gender": 0.5, "age": 0.5, "ethnicity": {"african": 0.3, "asian": 0.3, "caucasian": 0.4}, "muscle": 0.5, "weight": 0.5, "dark": 0.5,
            "eye_rgb": [0.4, 0.3, 0.2], "brow_density": 0.5, "beard": "none",
        },
    }  # fmt: skip


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def png(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()
