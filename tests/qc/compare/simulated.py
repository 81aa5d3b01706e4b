"""Label tables of runs with known truth: clustered by identity, and alike slot by slot where two runs fill the same slots."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from qc.compare.comparison import Figure
from qc.compare.differences import Samples

PEOPLE, SLOTS = 100, 5000
SHARES = {"expression_agreement": 0.8, "acceptance": 0.7, "filled": 0.97}
MEANS = {"sim_audit": (0.5, 0.12), "expression_error": (0.15, 0.05), "pose_error": (4.0, 2.5)}  # mean, sd
UNITS = {"sim_audit": "cosine", "expression_error": "RMS of 35 units", "pose_error": "deg"}
LOWER = ("expression_error", "pose_error")
OF_IDENTITY = 0.1  # share of the variance


def two_runs(seed: int, *, drop: float = 0.0, of_slot: float = 0.8, same_people: bool = True) -> tuple[Figure, ...]:
    """Figures of two runs of 5,000 slots; in the second the expression agrees by `drop` less.

    of_slot  share of the variance that two runs have in common because they fill the same slot from the same seed
    """
    draw = np.random.default_rng(seed)
    who = np.arange(SLOTS) % PEOPLE
    people = np.char.add("p", who.astype(str)), np.char.add("p" if same_people else "q", who.astype(str))
    figures = []
    for name in (*SHARES, *MEANS):
        slot = draw.standard_normal(SLOTS)
        identity = draw.standard_normal((2, PEOPLE))
        values = []
        for run in range(2):
            its = identity[0 if same_people else run][who]
            own = draw.standard_normal(SLOTS)
            latent = np.sqrt(OF_IDENTITY) * its + np.sqrt(of_slot) * slot + np.sqrt(1 - OF_IDENTITY - of_slot) * own
            if name in SHARES:
                share = SHARES[name] - (drop if run and name == "expression_agreement" else 0.0)
                values.append((latent < ndtri(share)).astype(np.float64))
            else:
                values.append(MEANS[name][0] + MEANS[name][1] * latent)
        figures.append(
            Figure(
                id=name,
                label=name,
                unit=UNITS.get(name, "share"),
                direction="lower" if name in LOWER else "higher",
                role=None,
                a=Samples(values=values[0], identities=people[0]),
                b=Samples(values=values[1], identities=people[1]),
            )
        )
    return tuple(figures)


def report(**changes: object) -> dict[str, object]:
    """A report of schema 2 with as much as a comparison reads."""
    return {"schema_version": "2.0", "contract": [], "models": [], "thresholds": [], "counts": {}, "tiles": {}, **changes}
