from __future__ import annotations

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    NodeDiedError,
    OutOfMemoryError,
    OwnerDiedError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from jobs.ray_failures import explained, failure_of
from manifests.errors import WeightsError


@pytest.mark.parametrize(
    "error",
    [
        RayActorError(),
        ActorDiedError(),
        ActorUnavailableError("no answer", None),
        NodeDiedError("gone"),
        WorkerCrashedError(),
        OutOfMemoryError("90 %"),
        OwnerDiedError("ab", None, ""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_end_of_a_process_is_a_death(error):
    assert failure_of(error).kind == "died"


def test_a_machine_that_was_taken_away_is_nobodys_fault():
    assert failure_of(RayActorError(preempted=True)).kind == "preempted"


def test_an_exception_brings_its_traceback_without_colours():
    failure = failure_of(RayTaskError("run", "Traceback (most recent call last):\nKeyError: 'gone'", KeyError("gone")))
    assert failure.kind == "raised"
    assert "KeyError: 'gone'" in failure.message and "\x1b" not in failure.message


def test_a_judge_that_lost_its_pixels_did_not_raise():
    assert failure_of(RayTaskError("judge", "a long traceback", OwnerDiedError("ab", None, ""))).kind == "died"


def test_an_explainable_error_of_a_worker_stays_as_it_was():
    error = explained(RayTaskError("run", "a long traceback", WeightsError("no weights")))
    assert isinstance(error, WeightsError) and str(error) == "no weights"


def test_any_other_error_of_a_worker_brings_its_traceback():
    error = explained(RayTaskError("run", "a long traceback", KeyError("gone")))
    assert isinstance(error, KeyError) and "a long traceback" in str(error)
