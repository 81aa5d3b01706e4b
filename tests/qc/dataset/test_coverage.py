from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import InputError
from qc.dataset.coverage import coverage, pose_bins, slot_statuses


def run(people: int, rate, seed: int = 0, tries: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A run of people x 4 expressions x 3 views; rate(identity, expression) is the chance that an attempt is accepted."""
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(people), np.arange(4), np.arange(3), indexing="ij")).reshape(3, -1)
    slots = pd.DataFrame({"slot": np.arange(grid.shape[1]), "identity_id": [f"i{k}" for k in grid[0]], "expression": [f"e{k}" for k in grid[1]]})
    slots["scene_id"], slots["split"] = [f"s{k}" for k in grid[2]], "train"
    rows = []
    for slot, (person, expression) in enumerate(zip(grid[0], grid[1], strict=True)):
        for attempt in range(tries):
            done = bool(generator.random() < rate(person, expression))
            rows.append((slot, attempt, done))
            if done:
                break
    attempts = pd.DataFrame(rows, columns=["slot", "attempt", "accepted"])
    slots["status"] = slot_statuses(slots["slot"].to_numpy(), attempts.loc[attempts["accepted"], "slot"].to_numpy(), np.array([0]))
    return slots, attempts


def test_every_slot_is_accounted_for():
    slots, attempts = run(30, lambda person, expression: 0.6)
    found = coverage(slots, attempts, seed=1, replicates=50)
    account = found.accounting
    assert account.exact and account.requested == account.filled + account.unfilled + account.quarantined == len(slots)
    for rows in found.axes.values():
        assert sum(row.requested for row in rows) == len(slots) and sum(row.attempts for row in rows) == len(attempts)
        assert all(row.requested == row.filled + row.unfilled + row.quarantined for row in rows)
    assert found.cells.requested.sum() == len(slots) and found.cells.accepted.sum() == account.filled
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("fault", ["twice", "unknown", "contradicted", "repeated"])
def test_faults_of_the_accounts_are_found(fault):
    slots, attempts = run(10, lambda person, expression: 0.9)
    if fault == "twice":
        attempts = pd.concat([attempts, attempts[attempts["accepted"]].head(1)])
    elif fault == "unknown":
        attempts = pd.concat([attempts, pd.DataFrame({"slot": [99_999], "attempt": [0], "accepted": [False]})])
    elif fault == "contradicted":
        slots.loc[slots.index[slots["status"] == "filled"][0], "status"] = "unfilled"
    else:
        slots = pd.concat([slots, slots.tail(1)])
    account = coverage(slots, attempts, seed=1, replicates=10).accounting
    assert not account.exact
    assert (account.filled_twice, account.unknown, account.contradicted > 0) == (fault == "twice", fault == "unknown", fault in ("contradicted", "repeated"))


def test_a_hard_expression_is_flagged_and_level_ones_are_not():
    slots, attempts = run(40, lambda person, expression: 0.35 if expression == 2 else 0.8)
    found = coverage(slots, attempts, seed=1, replicates=200)
    flagged = {row.key for row in found.axes["expression"] if row.flagged}
    assert "e2" in flagged
    row = next(row for row in found.axes["expression"] if row.key == "e2")
    assert row.rate.ci.low < 0.35 < row.rate.ci.high and row.rate.ci.method == "identity bootstrap"
    level = coverage(*run(40, lambda person, expression: 0.7, seed=5), seed=1, replicates=50)
    assert not any(row.flagged for rows in level.axes.values() for row in rows) and not level.cells.flagged.any()


def test_one_persons_rate_has_wilsons_interval():
    slots, attempts = run(5, lambda person, expression: 0.7)
    rows = coverage(slots, attempts, seed=1, replicates=10).axes["identity_id"]
    assert {row.rate.ci.method for row in rows} == {"Wilson"}


def test_empty_cells_are_listed_and_small_cells_shrink():
    slots, attempts = run(20, lambda person, expression: 0.0 if (person, expression) == (3, 1) else 0.75)
    cells = coverage(slots, attempts, seed=1, replicates=10).cells
    assert cells.num_empty >= 1 and ("i3", "e1") in cells.empty
    raw = cells.accepted / np.maximum(cells.attempts, 1)
    assert np.ptp(cells.rate) < np.ptp(raw) and cells.rate.min() > 0 and cells.flagged[3, 1]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
@settings(max_examples=25, deadline=None)
def test_accounts_add_up_for_any_attempts(tries):
    slots = pd.DataFrame({"slot": range(6), "identity_id": list("aabbcc"), "expression": list("xyxyxy"), "scene_id": "s", "split": "train"})
    attempts = pd.DataFrame({"slot": [slot for slot, _ in tries], "accepted": [done for _, done in tries]}).astype({"slot": int, "accepted": bool})
    slots["status"] = slot_statuses(slots["slot"].to_numpy(), attempts.loc[attempts["accepted"], "slot"].to_numpy(), np.zeros(0))
    account = coverage(slots, attempts, seed=0, replicates=5).accounting
    assert account.filled + account.unfilled + account.quarantined == 6 and account.attempts == len(tries)


def test_poses_fall_into_named_bins():
    assert pose_bins(np.array([-100, -15, 0, 15, 44, np.nan, 90])).tolist() == [
        "-90 to -45", "-15 to 15", "-15 to 15", "15 to 45", "15 to 45", "unknown", "45 to 90",
    ]  # fmt: skip


def test_missing_and_empty_values_of_an_axis_are_unknown():
    slots, attempts = run(4, lambda person, expression: 0.9)
    slots["pose_bin"] = [None, ""] + ["front"] * (len(slots) - 2)
    rows = coverage(slots, attempts, axes=("pose_bin",), seed=0, replicates=5).axes["pose_bin"]
    assert {row.key: row.requested for row in rows} == {"unknown": 2, "front": len(slots) - 2}


def test_missing_columns_and_states_are_refused():
    slots, attempts = run(3, lambda person, expression: 1.0)
    with pytest.raises(InputError, match="no column group"):
        coverage(slots, attempts, axes=("group",), seed=0)
    with pytest.raises(InputError, match="none of filled"):
        coverage(slots.assign(status="lost"), attempts, seed=0)
