"""The gallery of the people that the bundled model learned from: what the leakage check compares a data set with."""

# N pictures, I people, D width of an embedding

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from generator.training.corpus import Corpus

TRAINING, HELD_OUT = "training", "held-out"


def write_gallery(
    corpus: Corpus,
    embeddings: Mapping[str, NDArray[np.float32]],
    phashes: NDArray[np.uint64],
    fine_phashes: Sequence[bytes],
    path: Path,
    *,
    tiles: Mapping[int, bytes] | None = None,
) -> int:
    """One row per person of the corpus; returns the rows.

    embeddings  judge -> (N, D) unit embeddings of the portraits
    phashes     (N,) perceptual hashes of the portraits, as qc computes them
    fine_phashes  their hashes of 256 bits, 32 bytes each
    Columns: identity_id; set, "training" or "held-out" (nothing was trained on those: they say what a chance resemblance looks like);
    a unit centre per judge in 16-bit floats; phash64 and phash256, one per portrait in one order. Pictures of the corpus are not kept.
    tiles  person -> a WebP picture of 64 x 64 pixels and at most 4,096 bytes, which a report shows beside a made picture that is near to the person; it
    becomes the column `tile`, null for a person without one. The bundled tiles are no pictures of the corpus: each person was rendered once more with the
    corpus' own renderer (neutral, nearly frontal, without glasses, one studio light, 4 samples at 80 x 80) and reduced.
    """
    rows = []
    for person in np.unique(corpus.identity):
        members = np.flatnonzero(corpus.identity == person)
        centres = {name: _unit(values[members].mean(axis=0)).astype(np.float16) for name, values in embeddings.items()}
        rows.append(
            {
                "identity_id": f"corpus-{int(person):06d}",
                "set": HELD_OUT if bool(corpus.held_out[members[0]]) else TRAINING,
                **centres,
                "phash64": phashes[members].tolist(),
                "phash256": [fine_phashes[int(member)] for member in members],
                "tile": None if tiles is None else tiles.get(int(person)),
            }
        )
    fields = [pa.field("identity_id", pa.string()), pa.field("set", pa.string())]
    fields += [pa.field(name, pa.list_(pa.float16())) for name in embeddings]
    fields += [pa.field("phash64", pa.list_(pa.uint64())), pa.field("phash256", pa.list_(pa.binary(32)))]
    if tiles is not None:
        fields.append(pa.field("tile", pa.binary()))
    table = pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in fields}, schema=pa.schema(fields))
    pq.write_table(table, path, compression="zstd")
    return len(rows)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
