"""What Ray's errors mean: a picture that raised, a process that died, a machine that was taken away."""

from __future__ import annotations

import re
from typing import Any

from jobs.attempts import Failure
from manifests.errors import FacemintError

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MESSAGE_LENGTH = 600  # characters of a death's description; a traceback is kept whole


def failure_of(error: Exception) -> Failure:
    """The failure of a batch, from what asking for its answers raised.

    Deaths come as many classes: RayActorError (ActorDiedError, ActorUnavailableError), NodeDiedError, WorkerCrashedError, OutOfMemoryError, and
    ObjectLostError (OwnerDiedError) when what a process had made went with it. All of them are RayErrors, and every RayError that isn't the
    exception of a task is one of them to us. An unavailable worker counts as dead, because it may or may not have run the batch.
    """
    from ray.exceptions import RayActorError, RayError, RayTaskError

    if isinstance(error, RayTaskError):
        cause = error.cause
        if isinstance(cause, RayError):  # subtle: a judge that finds the pixels' owner gone raises, but it isn't the one that died
            return failure_of(cause)
        return Failure(kind="raised", message=worker_traceback(error))
    preempted = isinstance(error, RayActorError) and error.preempted
    words = " ".join(str(error).split())
    return Failure(kind="preempted" if preempted else "died", message=f"{type(error).__name__}: {words}"[:MESSAGE_LENGTH])


def worker_traceback(error: Any) -> str:
    """Text of the traceback in the worker, without terminal colours."""
    return COLOUR.sub("", str(error)).strip()


def explained(error: Any) -> Exception:
    """What was raised in the worker: an explainable error as it was, anything else with the worker's traceback."""
    if isinstance(error.cause, FacemintError):
        return error.cause
    cause: Exception = error.as_instanceof_cause()
    return cause
