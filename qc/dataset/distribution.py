"""How far two sets of pictures lie apart, and how diverse one is, on features that are named with every figure."""

# N made, M reference rows, d width of a feature

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.dataset.uniqueness import unit_rows
from qc.statistics.plain import Figures

NEIGHBOURS = 5
BLOCK = 1024
MAX_FOR_KERNELS = 1500  # rows of each side that MMD and its permutations take
PERMUTATIONS = 200
CURVE = (0.25, 0.5, 0.75, 1.0)
Kernel = Literal["polynomial", "rbf"]


@dataclass(frozen=True, kw_only=True)
class Prdc(Figures):
    """Precision, recall, density, coverage (Naeem et al. 2020); 0 .. 1, density may exceed 1; nan where a set has k rows or fewer."""

    precision: float  # made rows within some reference row's k-th neighbour distance
    recall: float  # reference rows within some made row's
    density: float
    coverage: float  # reference rows with a made row within their own k-th neighbour distance
    neighbours: int


@dataclass(frozen=True, kw_only=True)
class CurvePoint(Figures):
    """Frechet distance of the first n rows of each side."""

    n: int
    distance: float


@dataclass(frozen=True, kw_only=True)
class Distribution(Figures):
    """Distances of made pictures from a reference. Only figures on the same features and numbers of rows may be compared."""

    features: str  # such as "gate_v1"; the distance is then "fd_gate_v1" and never "FID"
    n: int
    n_reference: int
    width: int
    fd: float  # nan below two rows of a side
    fd_same: float  # between two random halves of both sides mixed, of as many rows each as the smaller side: what the number of rows alone gives
    curve: tuple[CurvePoint, ...]  # biased upwards, by about d (d + 7) / 8n per side of a unit Gaussian: judge by where the curve goes
    mmd: float  # unbiased, squared; about 0 and also negative for equal distributions
    mmd_kernel: str
    mmd_p_value: float  # by permutation of all rows
    mmd_rows: int  # rows of each side that it was computed on
    prdc: Prdc
    vendi: float  # effective number of different made rows
    vendi_reference: float  # of as many reference rows


def distribution(
    made: NDArray[np.floating], reference: NDArray[np.floating], *, features: str, seed: int, kernel: Kernel = "polynomial", permutations: int = PERMUTATIONS
) -> Distribution:
    """All distances of N made rows (N, d) from M reference rows (M, d) of the same features.

    Rows are shuffled with `seed`; PRDC takes as many of each side as the smaller has.
    """
    generator = np.random.default_rng(seed)
    first, second = (np.asarray(rows, np.float64)[generator.permutation(len(rows))] for rows in (made, reference))
    if first.ndim != 2 or first.shape[1:] != second.shape[1:]:
        raise InputError(f"distribution: features are {first.shape} and {second.shape}, expected rows of one width.")
    both = min(len(first), len(second))
    small = min(both, MAX_FOR_KERNELS)
    mixed = np.concatenate([first[:both], second[:both]])[generator.permutation(2 * both)]
    value, p_value = mmd_test(first[:small], second[:small], kernel=kernel, seed=seed, permutations=permutations)
    return Distribution(
        features=features,
        n=len(first),
        n_reference=len(second),
        width=first.shape[1],
        fd=frechet_distance(first, second),
        fd_same=frechet_distance(mixed[:both], mixed[both:]),
        curve=sample_size_curve(first, second),
        mmd=value,
        mmd_kernel=kernel,
        mmd_p_value=p_value,
        mmd_rows=small,
        prdc=prdc(first[: min(both, 10_000)], second[: min(both, 10_000)]),
        vendi=vendi_score(first[:both]),
        vendi_reference=vendi_score(second[:both]),
    )


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Frechet distance of the Gaussians fitted to two sets of rows; nan below two rows of a side.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))   (Dowson and Landau 1982; Heusel et al. 2017 use it on Inception features, which these are not)
    Not unbiased: two samples of one Gaussian with d = 128 and 1,000 rows give 8.2, with 20,000 rows 0.44.
    """
    if len(first) < 2 or len(second) < 2:
        return math.nan
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    return frechet_of_gaussians(x.mean(axis=0), np.atleast_2d(np.cov(x.T)), y.mean(axis=0), np.atleast_2d(np.cov(y.T)))


def frechet_of_gaussians(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], other_mean: NDArray[np.float64], other_covariance: NDArray[np.float64]
) -> float:
    """Frechet distance of two Gaussians; the trace of (S1 S2)^(1/2) is that of the symmetric (S1^(1/2) S2 S1^(1/2))^(1/2)."""
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    crossed = np.linalg.eigvalsh(root @ other_covariance @ root)
    shift = float(((mean - other_mean) ** 2).sum())
    return max(0.0, shift + float(np.trace(covariance) + np.trace(other_covariance)) - 2 * float(np.sqrt(np.clip(crossed, 0, None)).sum()))


def sample_size_curve(first: NDArray[np.floating], second: NDArray[np.floating], shares: Sequence[float] = CURVE) -> tuple[CurvePoint, ...]:
    """Frechet distance at growing numbers of rows, so that its bias can be seen."""
    both = min(len(first), len(second))
    sizes = sorted({int(both * share) for share in shares if int(both * share) >= 2})
    return tuple(CurvePoint(n=size, distance=frechet_distance(first[:size], second[:size])) for size in sizes)


def mmd_unbiased(first: NDArray[np.floating], second: NDArray[np.floating], *, kernel: Kernel = "polynomial") -> float:
    """Squared maximum mean discrepancy, the unbiased estimate (Gretton et al. 2012, eq. 3), in blocks.

    polynomial  k(x, y) = (x.y / d + 1)^3, as Binkowski et al. 2018
    rbf         k(x, y) = exp(-|x - y|^2 / 2 s^2), s the median distance of (at most 500 of each side's) rows
    """
    n, m = len(first), len(second)
    if n < 2 or m < 2:
        return math.nan
    scale = _median_distance(first, second) if kernel == "rbf" else 0.0
    within = [(_kernel_sum(rows, rows, kernel, scale, skip_diagonal=True)) / (len(rows) * (len(rows) - 1)) for rows in (first, second)]
    return within[0] + within[1] - 2 * _kernel_sum(first, second, kernel, scale, skip_diagonal=False) / (n * m)


def mmd_test(
    first: NDArray[np.floating], second: NDArray[np.floating], *, kernel: Kernel = "polynomial", seed: int, permutations: int = PERMUTATIONS
) -> tuple[float, float]:
    """Unbiased squared MMD and its p value, (1 + permutations that reach it) / (1 + permutations); holds an (N + M)^2 matrix."""
    n, m = len(first), len(second)
    if n < 2 or m < 2:
        return math.nan, math.nan
    rows = np.concatenate([first, second]).astype(np.float64)
    gram = _kernel(rows, rows, kernel, _median_distance(first, second) if kernel == "rbf" else 0.0)
    np.fill_diagonal(gram, 0.0)
    generator = np.random.default_rng(seed)
    sides = np.zeros((permutations + 1, n + m))
    sides[0, :n] = 1
    for number in range(permutations):
        sides[number + 1, generator.permutation(n + m)[:n]] = 1
    drawn = sides @ gram
    own = (drawn * sides).sum(axis=1)
    crossed = (drawn * (1 - sides)).sum(axis=1)
    other = gram.sum() - own - 2 * crossed
    values = own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * crossed / (n * m)
    return float(values[0]), float((1 + (values[1:] >= values[0] - 1e-15).sum()) / (1 + permutations))


def prdc(made: NDArray[np.floating], reference: NDArray[np.floating], neighbours: int = NEIGHBOURS) -> Prdc:
    """Precision, recall, density and coverage with k-th neighbour distances, in blocks (Naeem et al. 2020, eqs. 3-6).

    Precision and recall do not reach 1 for equal distributions; coverage then is about 1 - C(M - 1, k) / C(N + M - 1, k), .97 for k = 5.
    """
    if min(len(made), len(reference)) <= neighbours:
        return Prdc(precision=math.nan, recall=math.nan, density=math.nan, coverage=math.nan, neighbours=neighbours)
    reference_radius, made_radius = _radii(reference, neighbours), _radii(made, neighbours)
    inside = np.zeros(len(made), np.int64)
    reached = np.zeros(len(reference), bool)
    covered = np.zeros(len(reference), bool)
    for rows, distance in _distances(made, reference):
        within = distance < reference_radius[None, :]
        inside[rows] = within.sum(axis=1)
        covered |= within.any(axis=0)
        reached |= (distance < made_radius[rows, None]).any(axis=0)
    return Prdc(
        precision=float((inside > 0).mean()),
        recall=float(reached.mean()),
        density=float(inside.mean() / neighbours),
        coverage=float(covered.mean()),
        neighbours=neighbours,
    )


def vendi_score(features: NDArray[np.floating]) -> float:
    """Effective number of different rows: exp of the entropy of the eigenvalues of K / n, K the cosines (Friedman and Dieng 2023); 1 .. n.

    The d x d dual X'X / n has the same eigenvalues and is taken for d < n. nan without rows.
    """
    if not len(features):
        return math.nan
    rows = unit_rows(features).astype(np.float64)
    kernel = (rows.T @ rows if rows.shape[1] < len(rows) else rows @ rows.T) / len(rows)
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def _kernel(first: NDArray[np.floating], second: NDArray[np.floating], kernel: Kernel, scale: float) -> NDArray[np.float64]:
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if kernel == "polynomial":
        return (x @ y.T / x.shape[1] + 1) ** 3
    return np.exp(-_squared(x, y) / max(2 * scale * scale, 1e-12))


def _kernel_sum(first: NDArray[np.floating], second: NDArray[np.floating], kernel: Kernel, scale: float, *, skip_diagonal: bool) -> float:
    total = 0.0
    for start in range(0, len(first), BLOCK):
        block = _kernel(first[start : start + BLOCK], second, kernel, scale)
        if skip_diagonal:
            block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        total += float(block.sum())
    return total


def _median_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    rows = np.concatenate([first[:500], second[:500]]).astype(np.float64)
    return float(np.sqrt(np.median(_squared(rows, rows)[np.triu_indices(len(rows), k=1)])))


def _squared(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip((x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)[None, :] - 2 * x @ y.T, 0, None)


def _distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    for start in range(0, len(x), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(x)))
        yield rows, np.sqrt(_squared(x[rows], y))


def _radii(rows: NDArray[np.floating], neighbours: int) -> NDArray[np.float64]:
    """Distance of each row to its k-th nearest other row."""
    radii = np.empty(len(rows))
    for block, distance in _distances(rows, rows):
        distance[np.arange(len(block)), block] = np.inf
        radii[block] = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1]
    return radii
