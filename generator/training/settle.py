"""What follows a training: batch-norm statistics of the averaged weights, and a card with the figures that were measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from generator.training.corpus import Corpus
from generator.training.loop import LoopConfig, Task
from generator.training.nets import recalibrate


def settle(task: Task, config: LoopConfig, folder: Path, *, num_batches: int = 24) -> nn.Module:
    """Recomputes batch-norm statistics on fresh batches and rewrites NAME.safetensors; returns the network in evaluation mode."""

    def run(i: int) -> None:
        with torch.autocast(config.device, torch.bfloat16, enabled=config.bf16):
            task.loss(np.random.default_rng([config.seed, config.steps, i]), config.batch_size, config.steps)

    recalibrate(task.network, [lambda i=i: run(i) for i in range(num_batches)])  # type: ignore[misc]
    weights = {name: value.detach().contiguous().clone() for name, value in task.network.state_dict().items()}
    save_file(weights, folder / f"{task.name}.safetensors")
    return task.network


def write_card(folder: Path, name: str, *, trained_on: Corpus, batch_size: int, progress_file: Path, figures: Mapping[str, float], notes: str,
               command: str | None = None) -> Path:  # fmt: skip
    """Writes cards/NAME.json: what a net learned from, for how long, and what was measured; `command` None: the part's own."""
    progress = json.loads(progress_file.read_text())
    seconds = max(1, progress["seconds"])
    card = {
        "name": name,
        "data": "rendered face corpus with exact labels; no real person",
        "command": command or f"facemint train {name} --corpus CORPUS",
        "device": f"{os.cpu_count()} CPU cores",
        "pictures": len(trained_on),
        "identities": len(np.unique(trained_on.identity)),
        "steps": progress["step"],
        "batch_size": batch_size,
        "seconds": seconds,
        "seed": progress.get("config", {}).get("seed"),
        "images_per_second": round(progress["step"] * batch_size / seconds, 1),
        "figures": {key: round(float(value), 5) for key, value in figures.items()},
        "notes": notes,
    }
    path = folder / "cards" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(card, indent=1))
    return path
