from __future__ import annotations

import pytest

from jobs.attempts import Attempt
from jobs.executors import InlineExecutor
from manifests.errors import WorkersLost
from tests.jobs.coloured import ColouredSpec, small_plan
from tests.jobs.parted import PartedSpec, attempts


def test_the_inline_executor_has_one_batch_that_runs_and_one_that_waits():
    rows = small_plan().row_list(0, 2)
    with InlineExecutor(ColouredSpec(acceptance=1.0)) as executor:
        assert (executor.room, executor.idle) == (2, 1)
        for row in rows:
            executor.submit([Attempt(row=row, attempt=0, seed=7)])
        assert (executor.room, executor.idle) == (0, 0)
        for row in rows:
            ((answer,),) = (outcome.answers for outcome in executor.collect())
            assert (answer.slot, answer.attempt, answer.seed) == (row.slot, 0, 7)
        assert (executor.room, executor.idle) == (2, 1)


def test_what_a_batch_raises_is_its_outcome():
    with InlineExecutor(PartedSpec(raising_slot=1)) as executor:
        executor.submit(attempts(0, 1))
        (outcome,) = executor.collect()
        assert outcome.answers == () and outcome.failure.kind == "raised" and "row 1 has no picture" in outcome.failure.message


def test_a_device_that_holds_no_picture_stops_the_run_and_blames_none():
    with InlineExecutor(PartedSpec(full_slot=1)) as executor:
        executor.submit(attempts(0, 1))
        with pytest.raises(WorkersLost, match="run the same command again") as caught:
            executor.collect()
    assert caught.value.exit_code == 75
