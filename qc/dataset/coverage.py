"""What became of every asked-for picture: exact accounting of slots, rates by axis and by cell, and cells that stayed empty."""

# S slots, N attempts, C cells

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import stdtr

from manifests.errors import InputError
from qc.statistics.intervals import REPLICATES, Proportion, integers, proportions
from qc.statistics.multiplicity import BetaPrior, benjamini_hochberg, beta_prior, binomial_p, shrunken_rates
from qc.statistics.plain import Figures

STATUSES = ("filled", "unfilled", "quarantined")
POSE_EDGES_DEG = (-90.0, -45.0, -15.0, 15.0, 45.0, 90.0)
MAX_EMPTY = 50
Q = 0.05


@dataclass(frozen=True, kw_only=True)
class Accounting(Figures):
    """Slots by what became of them. `exact`: requested = filled + unfilled + quarantined, and no fault was found."""

    requested: int
    filled: int
    unfilled: int
    quarantined: int
    attempts: int
    accepted: int  # attempts; equals filled
    exact: bool
    filled_twice: int  # slots with more than one accepted attempt
    unknown: int  # attempts at slots that nobody asked for
    contradicted: int  # slots whose status says filled without an accepted attempt, or the other way round


@dataclass(frozen=True, kw_only=True)
class AxisRow(Figures):
    """One value of an axis, such as an expression."""

    key: str
    requested: int
    filled: int
    unfilled: int
    quarantined: int
    attempts: int
    accepted: int
    rate: Proportion  # accepted / attempts
    p_value: float  # of the overall rate; nan without attempts
    flagged: bool  # Benjamini-Hochberg over the axis, q = 0.05


@dataclass(frozen=True, kw_only=True)
class CellTable(Figures):
    """All combinations of two axes; arrays (rows, columns)."""

    row_axis: str
    column_axis: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    requested: NDArray[np.int64]
    filled: NDArray[np.int64]
    attempts: NDArray[np.int64]
    accepted: NDArray[np.int64]
    rate: NDArray[np.float64]  # shrunken towards the mean of all cells; nan where nothing was tried
    flagged: NDArray[np.bool_]  # Benjamini-Hochberg over all cells with attempts, q = 0.05
    prior: BetaPrior
    num_empty: int  # asked for, and no picture
    empty: tuple[tuple[str, str], ...]  # the first 50 of them


@dataclass(frozen=True, kw_only=True)
class Coverage(Figures):
    """Coverage of a run."""

    accounting: Accounting
    acceptance: Proportion  # of all attempts
    axes: dict[str, tuple[AxisRow, ...]]
    cells: CellTable


def coverage(
    slots: pd.DataFrame,
    attempts: pd.DataFrame,
    *,
    axes: Sequence[str] = ("expression", "identity_id", "scene_id", "split"),
    cell: tuple[str, str] = ("identity_id", "expression"),
    seed: int,
    replicates: int = REPLICATES,
) -> Coverage:
    """Coverage from S slots and N attempts.

    slots     one row a slot, as SLOT_SCHEMA has it: slot, identity_id, status (filled, unfilled, quarantined), and a column for each axis
              ("identity_group" and "pose_bin" are axes like any other; a missing or empty value is the key "unknown")
    attempts  one row an attempt: slot, accepted
    Acceptance of an identity has Wilson's interval; of any other value the identity bootstrap. The p value of an axis value is a score test whose
    variance is summed by identity; that of an identity or a cell is binomial.
    """
    _require(slots, ("slot", "identity_id", "status", *axes, *cell), "slots")
    _require(attempts, ("slot", "accepted"), "attempts")
    slot_numbers = slots["slot"].to_numpy(np.int64)
    order = np.argsort(slot_numbers, kind="stable")
    tried = attempts["slot"].to_numpy(np.int64)
    place = np.searchsorted(slot_numbers[order], tried)
    known = (place < len(order)) & (slot_numbers[order][np.minimum(place, max(len(order) - 1, 0))] == tried) if len(order) else np.zeros(len(tried), bool)
    row_of = order[place[known]]  # row of `slots` of each known attempt
    accepted = attempts["accepted"].to_numpy(bool)[known]
    state = pd.Index(STATUSES).get_indexer(pd.Index(slots["status"])).astype(np.int64)
    if (state < 0).any():
        raise InputError(f"coverage: slot {slot_numbers[state < 0][0]} has a status that is none of {', '.join(STATUSES)}.")
    people = integers(slots["identity_id"].astype(str).to_numpy())[row_of]
    overall = proportions(accepted, np.zeros(len(accepted), np.int64), 1, people, seed=seed, replicates=replicates)[0]
    tables = {}
    for axis in axes:
        codes, keys = _codes(slots[axis])
        tables[axis] = _axis(axis, codes, keys, state, row_of, accepted, people, overall, seed=seed, replicates=replicates)
    return Coverage(
        accounting=_accounting(slot_numbers, state, row_of, accepted, int((~known).sum())),
        acceptance=overall,
        axes=tables,
        cells=_cells(slots, cell, state, row_of, accepted, overall),
    )


def slot_statuses(slots: NDArray[np.integer], accepted_slots: NDArray[np.integer], quarantined: NDArray[np.integer]) -> NDArray[np.str_]:
    """Status of each slot (S,): filled when an attempt was accepted, else quarantined when it was set aside, else unfilled."""
    return np.where(np.isin(slots, accepted_slots), "filled", np.where(np.isin(slots, quarantined), "quarantined", "unfilled"))


def pose_bins(yaw_deg: NDArray[np.floating]) -> NDArray[np.str_]:
    """Bin of each yaw (N,) in degrees as text, such as "-15 to 15"; "unknown" for nan, the outer bins hold all beyond."""
    edges = POSE_EDGES_DEG
    names = np.array([f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)])
    yaw = np.asarray(yaw_deg, np.float64)
    return np.where(np.isfinite(yaw), names[np.searchsorted(edges[1:-1], np.nan_to_num(yaw), side="right")], "unknown")


def _accounting(
    numbers: NDArray[np.int64], state: NDArray[np.int64], row_of: NDArray[np.int64], accepted: NDArray[np.bool_], unknown: int
) -> Accounting:
    per_slot = np.bincount(row_of[accepted], minlength=len(numbers))
    filled, unfilled, quarantined = (int((state == number).sum()) for number in range(3))
    twice = int((per_slot > 1).sum())
    contradicted = int(((per_slot > 0) != (state == 0)).sum())
    repeated = len(numbers) - len(np.unique(numbers))
    exact = filled + unfilled + quarantined == len(numbers) and not (twice or contradicted or unknown or repeated)
    return Accounting(
        requested=len(numbers),
        filled=filled,
        unfilled=unfilled,
        quarantined=quarantined,
        attempts=len(accepted) + unknown,
        accepted=int(accepted.sum()),
        exact=exact,
        filled_twice=twice,
        unknown=unknown,
        contradicted=contradicted,
    )


def _axis(
    axis: str,
    codes: NDArray[np.int64],
    keys: tuple[str, ...],
    state: NDArray[np.int64],
    row_of: NDArray[np.int64],
    accepted: NDArray[np.bool_],
    people: NDArray[np.int64],
    overall: Proportion,
    *,
    seed: int,
    replicates: int,
) -> tuple[AxisRow, ...]:
    count = len(keys)
    by_state = np.bincount(codes * 3 + state, minlength=3 * count).reshape(count, 3)
    group = codes[row_of]
    found = proportions(accepted, group, count, people, seed=seed, replicates=replicates)
    successes, trials = np.array([rate.successes for rate in found]), np.array([rate.trials for rate in found])
    p_values = binomial_p(successes, trials, overall.share) if axis == "identity_id" else _score_test(accepted, group, people, count, overall.share)
    flags = benjamini_hochberg(p_values, Q)
    return tuple(
        AxisRow(
            key=keys[k],
            requested=int(by_state[k].sum()),
            filled=int(by_state[k, 0]),
            unfilled=int(by_state[k, 1]),
            quarantined=int(by_state[k, 2]),
            attempts=found[k].trials,
            accepted=found[k].successes,
            rate=found[k],
            p_value=float(p_values[k]),
            flagged=bool(flags[k]),
        )
        for k in range(count)
    )


def _score_test(accepted: NDArray[np.bool_], group: NDArray[np.int64], people: NDArray[np.int64], count: int, rate: float) -> NDArray[np.float64]:
    """Two-sided p of each group's rate against `rate`: z = sum r_i / sqrt(sum r_i^2), r_i an identity's excess, on t with identities - 1 degrees."""
    excess = csr_matrix((accepted - rate, (group, people)), shape=(count, int(people.max(initial=0)) + 1))
    people_in = np.diff(excess.indptr)
    total, squares = np.asarray(excess.sum(axis=1)).ravel(), np.asarray(excess.multiply(excess).sum(axis=1)).ravel()
    z = np.abs(total) / np.sqrt(np.maximum(squares, 1e-12))
    return np.where(people_in > 1, 2 * stdtr(np.maximum(people_in - 1, 1), -z), np.nan)


def _cells(
    slots: pd.DataFrame, cell: tuple[str, str], state: NDArray[np.int64], row_of: NDArray[np.int64], accepted: NDArray[np.bool_], overall: Proportion
) -> CellTable:
    (row, rows), (column, columns) = _codes(slots[cell[0]]), _codes(slots[cell[1]])
    shape = (len(rows), len(columns))
    flat, size = row * len(columns) + column, len(rows) * len(columns)
    requested, filled = np.bincount(flat, minlength=size), np.bincount(flat[state == 0], minlength=size)
    tried, kept = np.bincount(flat[row_of], minlength=size), np.bincount(flat[row_of[accepted]], minlength=size)
    prior = beta_prior(kept, tried)
    rate = overall.share if math.isfinite(overall.share) else 0.5
    flags = benjamini_hochberg(binomial_p(kept, tried, rate), Q)
    empty = np.flatnonzero((requested > 0) & (filled == 0))
    return CellTable(
        row_axis=cell[0],
        column_axis=cell[1],
        rows=rows,
        columns=columns,
        requested=requested.reshape(shape),
        filled=filled.reshape(shape),
        attempts=tried.reshape(shape),
        accepted=kept.reshape(shape),
        rate=shrunken_rates(kept, tried, prior).reshape(shape),
        flagged=flags.reshape(shape),
        prior=prior,
        num_empty=len(empty),
        empty=tuple((rows[k // len(columns)], columns[k % len(columns)]) for k in empty[:MAX_EMPTY].tolist()),
    )


def _codes(column: pd.Series) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Values as numbers in the order of their first appearance."""
    codes, keys = pd.factorize(column.astype(object).where(column.notna() & (column != ""), "unknown"))
    return codes.astype(np.int64), tuple(str(key) for key in keys)


def _require(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in dict.fromkeys(columns) if column not in frame.columns]
    if missing:
        raise InputError(f"coverage: the table of {name} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns[:12]))}.")
