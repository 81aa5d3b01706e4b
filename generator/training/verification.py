"""Figures of a recogniser: equal error rate, rank-1, and how it reads pictures whose surroundings are someone else's."""

# N pictures, D width

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_rows(embedding: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to unit length."""
    rows = np.asarray(embedding, dtype=np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def equal_error_rate(mated: NDArray[np.floating], non_mated: NDArray[np.floating]) -> tuple[float, float]:
    """The error rate, 0..1, where false accepts equal false rejects, and the cosine at which they do."""
    thresholds = np.sort(np.concatenate([mated, non_mated]))
    reject = np.searchsorted(np.sort(mated), thresholds) / len(mated)
    accept = 1 - np.searchsorted(np.sort(non_mated), thresholds) / len(non_mated)
    at = int(np.argmin(np.abs(reject - accept)))
    return float((reject[at] + accept[at]) / 2), float(thresholds[at])


def verification_figures(embedding: NDArray[np.floating], identity: NDArray[np.int64]) -> dict[str, float]:
    """EER, its threshold, mean mated and non-mated cosine over all pairs, and rank-1 with each picture asked against all others."""
    unit = unit_rows(embedding)
    cosine = unit @ unit.T
    same = identity[:, None] == identity[None]
    upper = np.triu(np.ones_like(same), 1)
    mated, non_mated = cosine[same & upper], cosine[~same & upper]
    eer, threshold = equal_error_rate(mated, non_mated)
    np.fill_diagonal(cosine, -np.inf)
    rank1 = float((identity[cosine.argmax(axis=1)] == identity).mean())
    return {"eer": eer, "threshold": threshold, "rank1": rank1, "mated_cosine": float(mated.mean()), "non_mated_cosine": float(non_mated.mean()),
            "false_reject_at_1_percent": float((mated < np.quantile(non_mated, 0.99)).mean())}  # fmt: skip


def swap_figures(target: NDArray[np.floating], identity: NDArray[np.floating], background: NDArray[np.floating]) -> dict[str, float]:
    """How a recogniser reads true swaps: row i of `target` is the person of `identity` i in the picture of `background` i."""
    t, i, b = unit_rows(target), unit_rows(identity), unit_rows(background)
    own, other = (t * i).sum(axis=1), (t * b).sum(axis=1)
    rank1 = float(((t @ i.T).argmax(axis=1) == np.arange(len(t))).mean())
    return {"swap_prefers_identity": float((own > other).mean()), "swap_rank1": rank1, "swap_cosine_identity": float(own.mean()),
            "swap_cosine_background": float(other.mean())}  # fmt: skip
