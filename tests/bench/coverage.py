"""Coverage of the identity-bootstrap intervals by simulation: python -m tests.bench.coverage [trials] [identities].

Identities are Gaussian directions, pictures are noisy copies of them, scores are cosines of all pairs, so that non-mated pairs share identities as they
do in a run. The true rates come from many fresh pairs. Prints the share of 95 % intervals that hold the truth; 93 to 97 % is the aim.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qc.statistics import ScoreSet, bootstrap_mean, correlation, fnmr, pairwise_scores, proportion, rates_at, threshold_at_fmr, verification
from qc.statistics.scores import weighted_eer

WIDTH, NOISE, TARGET = 24, 0.55, 0.1


def people(count: int, pictures: int, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Unit embeddings of `count` identities; the noise differs by identity, so that some are harder than others."""
    centres = generator.normal(size=(count, WIDTH))
    spread = NOISE * np.exp(0.4 * generator.normal(size=(count, 1, 1)))
    vectors = centres[:, None] + spread * generator.normal(size=(count, pictures, WIDTH)) * 1.6
    vectors = vectors.reshape(-1, WIDTH)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(np.arange(count), pictures)


def truth(generator: np.random.Generator, count: int = 300_000) -> tuple[float, float, float, float]:
    """Threshold at the target, then EER, FNMR at the target and FMR at 0.45, from independent pairs."""
    first, _ = people(count, 2, generator)
    mated = np.einsum("nd,nd->n", first[0::2], first[1::2])
    nonmated = np.einsum("nd,nd->n", first[0::2], np.roll(first[1::2], 1, axis=0))
    ones = np.ones(count)
    return (
        weighted_eer(mated, ones, nonmated, ones),
        fnmr(mated, threshold_at_fmr(nonmated, TARGET).threshold),
        float((nonmated >= 0.45).mean()),
        float((mated < 0.45).mean()),
    )


def coverage(trials: int, identities: int, pictures: int, seed: int, replicates: int = 600) -> dict[str, float]:
    """Share of intervals that hold the truth, by figure."""
    generator = np.random.default_rng(seed)
    true_eer, true_fnmr, true_fmr, true_miss = truth(generator)
    held: dict[str, list[bool]] = {}
    for trial in range(trials):
        scores: ScoreSet = pairwise_scores(*people(identities, pictures, generator))
        found = verification(scores, seed=trial, targets=(TARGET,), replicates=replicates)
        fixed = rates_at(scores, 0.45, seed=trial, replicates=replicates)
        assert found is not None and fixed is not None
        for name, interval, value in (
            ("EER", found.eer_ci, true_eer),
            (f"FNMR at FMR {TARGET}", found.points[0].fnmr_ci, true_fnmr),
            ("FMR at a fixed threshold", fixed.fmr_ci, true_fmr),
            ("FNMR at a fixed threshold", fixed.fnmr_ci, true_miss),
            *_plain_figures(trial, identities, pictures, generator, replicates),
        ):
            held.setdefault(name, []).append(interval.low <= value <= interval.high)
    return {name: float(np.mean(values)) for name, values in held.items()}


def _plain_figures(trial: int, identities: int, pictures: int, generator: np.random.Generator, replicates: int) -> Iterator[tuple]:
    owner = np.repeat(np.arange(identities), pictures)
    effect = generator.normal(size=identities)
    values = effect[owner] + 0.5 * generator.normal(size=len(owner))
    yield "mean", bootstrap_mean(values, owner, seed=trial, replicates=replicates), 0.0
    shares = generator.beta(4, 1, size=identities)[owner]
    yield "share 0.8", proportion(generator.random(len(owner)) < shares, owner, seed=trial, replicates=replicates).ci, 0.8
    other = 0.6 * values + 0.8 * (generator.normal(size=identities)[owner] + 0.5 * generator.normal(size=len(owner)))
    yield "Pearson 0.6", correlation(values, other, owner, seed=trial, replicates=replicates).pearson_ci, 0.6


def main() -> None:
    """Runs the simulation and prints a table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    sizes = [int(sys.argv[2])] if len(sys.argv) > 2 else [30, 60, 120]
    print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}; {trials} trials, 4 pictures each, 600 replicates")  # noqa: T201
    for identities in sizes:
        start = time.perf_counter()
        for name, share in coverage(trials, identities, 4, seed=20240501).items():
            half = 1.96 * (share * (1 - share) / trials) ** 0.5
            print(f"{identities:4d} identities  {name:28s} {100 * share:5.1f} % +- {100 * half:.1f}")  # noqa: T201
        print(f"{identities:4d} identities  {time.perf_counter() - start:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
