"""What the autoencoder alone loses of a face: likeness and expression of held-out portraits before and after it, read by nets that condition nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from generator.patch_autoencoder import PatchAutoencoder
from generator.training.augment import to_unit
from generator.training.corpus import Corpus
from generator.training.crops import plain_crops
from generator.training.export import open_session
from generator.training.expression_labels import unit_labels
from generator.training.verification import unit_rows

AUDITOR = "recognisers/auditor.onnx"
ESTIMATOR = "expression/expression_estimator.onnx"
BATCH = 32


@torch.inference_mode()
def measure_reconstruction(network: PatchAutoencoder, corpus: Corpus, bundled: Path) -> dict[str, float]:
    """Cosine of the auditor's embeddings of a portrait and its reconstruction, and the estimator's error (RMS of 35 units) on both.

    On held-out portraits; nothing where the bundled folder has no auditor or estimator yet.
    """
    if not all((bundled / file).is_file() for file in (AUDITOR, ESTIMATOR)):
        return {}
    held = corpus.rows(corpus.held_out)
    auditor, estimator = (open_session(bundled / file) for file in (AUDITOR, ESTIMATOR))
    wanted = unit_labels(held)
    cosines: list[NDArray[np.float32]] = []
    errors: dict[str, list[NDArray[np.float32]]] = {"portrait": [], "reconstruction": []}
    for start in range(0, len(held), BATCH):
        rows = slice(start, start + BATCH)
        made = network.decode(network.encode(to_unit(held.images_rgb[rows]))).clamp(-1, 1)
        pictures = ((made + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        seen = []
        for kind, images in (("portrait", held.images_rgb[rows]), ("reconstruction", pictures)):
            crops = plain_crops(images, held.landmarks5_px[rows]).contiguous().numpy()
            seen.append(unit_rows(auditor.run(None, {auditor.get_inputs()[0].name: crops})[0]))
            units = np.asarray(estimator.run(["units"], {estimator.get_inputs()[0].name: crops})[0])
            errors[kind].append(np.sqrt(((units - wanted[rows]) ** 2).mean(axis=1)))
        cosines.append((seen[0] * seen[1]).sum(axis=1))
    found = {f"{kind}_expression_error": float(np.concatenate(parts).mean()) for kind, parts in errors.items()}
    return {"reconstruction_auditor_cosine": float(np.concatenate(cosines).mean()), **found}
