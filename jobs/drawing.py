"""Pictures of attempts for commands that measure them: first attempts, made in this process, unjudged."""

# N attempts, H W pixels

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from generator.loading import load_core
from jobs.attempts import Attempt
from jobs.bundle import core_folder
from jobs.conditions import ConditionTables
from jobs.config import RunConfig
from jobs.figure_config import sampler_of
from jobs.generating import Generate
from manifests.rows import ManifestRow


def draw_attempts(config: RunConfig, tables: ConditionTables, attempts: Sequence[Attempt], *, tick: Callable[[int], None]) -> NDArray[np.uint8]:
    """Pictures (N, H, W, 3) of the attempts, in their order; `tick` hears of rows that are done.

    Where the core's numbers were not finite the hole is black, as in a run, whose checks refuse such a picture.
    """
    import torch

    torch.set_num_threads(config.threads)
    core = load_core(core_folder(config.models), device=config.device, dtype=config.models.dtype)
    generate = Generate(tables, core, sampler_of(config), encoders=list(core.conditions.config.identity_dims), batch_size=config.batch_size)
    made = []
    for start in range(0, len(attempts), config.batch_size):
        made.append(generate(attempts[start : start + config.batch_size]).images_rgb)
        tick(len(made[-1]))
    return np.concatenate(made)


def lone_row(slot: int, identity_id: str, place: int, expression: str, scene_id: str, intensity: float = 1.0) -> ManifestRow:
    """A row that belongs to no plan: one picture of a person, numbered `place`, with an expression in a scene."""
    return ManifestRow(
        slot=slot, cell=slot, identity_id=identity_id, identity_index=place, expression=expression, intensity=intensity, scene_id=scene_id,
        view=0, mode="all", split="train",
    )  # fmt: skip
