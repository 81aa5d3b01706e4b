"""What travels between the driver and a worker: attempts one way, answers the other, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from manifests.rows import ManifestRow
from manifests.verdicts import QCVerdict


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at one row."""

    row: ManifestRow
    attempt: int
    seed: int  # row.seed(run seed, attempt)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The picture of one attempt, encoded, and what was found on it."""

    slot: int
    attempt: int
    seed: int
    image: bytes  # JPEG or PNG as the run asks
    label_map: bytes  # PNG, one grey value per class
    width: int  # px
    height: int  # px
    pixel_sha256: str  # of the decoded picture
    verdict: QCVerdict
    labels: Mapping[str, Any]  # fields of SampleRecord that the worker knows: obs_, sim_, q_, n_, bbox, landmarks5, identity_source


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a batch has no answers."""

    kind: Literal["raised", "died", "preempted"]  # an exception; the process ended; its machine was taken away, which is nobody's fault
    message: str  # a traceback, or what is known of the death


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a batch that was submitted: one answer per attempt, or a failure and none."""

    attempts: tuple[Attempt, ...]
    answers: tuple[Answer, ...]
    failure: Failure | None
    worker: int  # number of the worker
    seconds: float  # from the submission to the answers

    def __post_init__(self) -> None:
        assert len(self.answers) == (0 if self.failure else len(self.attempts))


class Worker(Protocol):
    """Makes and judges pictures; an answer depends on its own attempt only."""

    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        """One answer per attempt, in their order."""
        ...


class WorkerSpec(Protocol):
    """Small enough to be sent to a worker process; weights are named by path and loaded there."""

    @property
    def num_gpus(self) -> float:
        """GPUs that one worker needs."""
        ...

    def build(self) -> Worker:
        """The worker, ready for its first batch."""
        ...
