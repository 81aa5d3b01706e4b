"""Other wishes from given ones: keep the background person's expression or identity, or travel between two expressions."""

# N rows, D identity width, E expression width

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from manifests.rows import ConditionBatch


def swap_only(conditions: ConditionBatch, background_expression: NDArray[np.float32]) -> ConditionBatch:
    """New identities with the expressions (N, E) that the background pictures show: I_exp = I_bkg. DiffSFSR, section 3."""
    return replace(conditions, expression_embedding=background_expression)


def reenact_only(conditions: ConditionBatch, background_identity: Mapping[str, NDArray[np.float32]]) -> ConditionBatch:
    """New expressions of the background pictures' own people, encoder -> (N, D): I_id = I_bkg. DiffSFSR, section 3."""
    missing = sorted(set(conditions.identity_embeddings) - set(background_identity))
    if missing:
        raise InputError(f"reenactment: no embedding of the background's person by {', '.join(missing)}. Encode the backgrounds with every identity encoder.")
    return replace(conditions, identity_embeddings=dict(background_identity))


def travel(expression_a: NDArray[np.float32], expression_b: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Expression embeddings (steps, E) on the straight line from a to b (E,), both ends included; steps >= 2.

    DiffSFSR, section 4.1: expressions between two given ones.
    """
    if expression_a.ndim != 1 or expression_a.shape != expression_b.shape or steps < 2:
        raise InputError(
            f"expression travel: from {expression_a.shape} to {expression_b.shape} in {steps} steps, expected two embeddings of one width and at least 2 steps."
        )
    share = np.linspace(0, 1, steps)[:, None]
    return ((1 - share) * expression_a + share * expression_b).astype(np.float32)
