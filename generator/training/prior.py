"""Fits the identity prior: a joint Gaussian of the conditioners' embeddings of training people."""

# N pictures, I identities, E embedding width

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from generator.identity_prior import IdentityPrior


def fit_prior(embeddings: Mapping[str, NDArray[np.float32]], identity: NDArray[np.int64], *, conditioners: tuple[str, ...],
              components: int = 128, false_match_rate: float = 1e-3, ridge: float = 0.05) -> IdentityPrior:  # fmt: skip
    """The prior of training people from unit embeddings (N, E) per recogniser.

    The Gaussian is fitted to per-identity means, so sampled people vary as people do and not as pictures do. Other recognisers are
    predicted by ridge regression across pictures: what they see in one picture of a person from the conditioners' view of another one.
    """
    joint = np.concatenate([embeddings[name] for name in conditioners], axis=1)
    dims = {name: embeddings[name].shape[1] for name in conditioners}
    means = np.stack([joint[identity == i].mean(axis=0) for i in np.unique(identity)])
    # subtle: a mean of unit vectors is shorter than they are; bring each encoder's part back to length 1 before fitting
    edges = np.cumsum([0, *dims.values()])
    for a, b in pairwise(edges):
        means[:, a:b] /= np.linalg.norm(means[:, a:b], axis=1, keepdims=True)
    centre = means.mean(axis=0)
    _, scale, rows = np.linalg.svd(means - centre, full_matrices=False)
    kept = min(components, len(scale))
    basis = rows[:kept] * (scale[:kept, None] / np.sqrt(len(means) - 1))
    predictors = {name: _ridge(joint, embeddings[name], identity, ridge) for name in embeddings if name not in conditioners}
    return IdentityPrior(
        dims=dims, mean=centre.astype(np.float32), basis=basis.astype(np.float32), predictors=predictors,
        apart=_non_mated_quantile(embeddings[conditioners[0]], identity, false_match_rate),
    )  # fmt: skip


def _ridge(joint: NDArray[np.float32], target: NDArray[np.float32], identity: NDArray[np.int64], strength: float) -> NDArray[np.float32]:
    sources, targets = [], []
    for rows in (np.flatnonzero(identity == i) for i in np.unique(identity)):
        sources.append(np.repeat(joint[rows].mean(axis=0, keepdims=True), len(rows), axis=0))
        targets.append(target[rows])
    x = np.concatenate(sources).astype(np.float64)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    gram = x.T @ x / len(x) + strength / x.shape[1] * np.eye(x.shape[1])
    return np.linalg.solve(gram, x.T @ np.concatenate(targets) / len(x)).astype(np.float32)


def _non_mated_quantile(embedding: NDArray[np.float32], identity: NDArray[np.int64], false_match_rate: float) -> float:
    """Smallest threshold at which first pictures of different training people match at most at the given rate."""
    first = embedding[np.unique(identity, return_index=True)[1]]
    cosines = (first @ first.T)[np.triu_indices(len(first), 1)]
    return float(np.quantile(cosines, 1 - false_match_rate))
