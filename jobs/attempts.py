"""What travels between the driver and a worker: attempts one way, answers the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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
