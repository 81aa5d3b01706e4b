from __future__ import annotations

from ray.exceptions import RayTaskError

from jobs.attempts import Attempt
from jobs.executors import InlineExecutor, explained
from manifests.errors import WeightsError
from tests.jobs.coloured import ColouredSpec, small_plan


def test_the_inline_executor_takes_one_batch_at_a_time():
    row = small_plan().row_list(0, 1)[0]
    with InlineExecutor(ColouredSpec(acceptance=1.0)) as executor:
        assert (executor.room, executor.idle) == (1, 1)
        executor.submit([Attempt(row=row, attempt=0, seed=7)])
        assert (executor.room, executor.idle) == (0, 0)
        (answer,) = executor.collect()
        assert (answer.slot, answer.attempt, answer.seed) == (row.slot, 0, 7)
        assert executor.room == 1


def test_an_explainable_error_of_a_worker_stays_as_it_was():
    error = explained(RayTaskError("run", "a long traceback", WeightsError("no weights")))
    assert isinstance(error, WeightsError) and str(error) == "no weights"


def test_any_other_error_of_a_worker_brings_its_traceback():
    error = explained(RayTaskError("run", "a long traceback", KeyError("gone")))
    assert isinstance(error, KeyError) and "a long traceback" in str(error)
