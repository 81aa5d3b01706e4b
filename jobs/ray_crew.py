"""The crew: how many actors there should be and where, started, watched, replaced when they die or have grown too large."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Literal

from jobs.ray_actors import Part, RayWorker
from jobs.ray_failures import explained, worker_traceback
from manifests.errors import ConfigError, FacemintError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before an actor is started again; doubled while none of its successors answers
CALLS_AT_ONCE = 4  # of an actor: no fewer than batches in flight; one works, the others read or send
START_FAILURES = 4  # one after the other, then its place is given up
PLACING_SECONDS = 60.0  # without room for an actor; afterwards it isn't counted until there is

Stage = Literal["waiting", "placing", "starting", "up", "leaving", "given up"]


@dataclass(kw_only=True, eq=False)
class Member:
    """A place in the crew; the actor in it changes."""

    number: int
    part: Part
    node: str | None  # of a judge: where it has to be; else where it is, None before it is placed
    stage: Stage = "waiting"
    actor: Any = None
    pending: Any = None  # reference of the call that ends the stage
    load: int = 0  # batches that it has
    due: float = 0.0  # when a waiting one is started, monotonic seconds
    since: float = 0.0  # when it began to be placed
    deaths: int = 0  # and failed starts, one after the other with no answer in between
    failed_starts: int = 0  # one after the other


class Crew:
    """Workers, or generators with judges on their nodes."""

    def __init__(self, spec: Any, *, workers: int, judges: int, recycle_bytes: int) -> None:
        self._spec = spec
        self._judges = judges
        self._recycle_bytes = recycle_bytes
        self._ever_up = False
        self.workers = [Member(number=number, part="generator" if judges else "worker", node=None) for number in range(workers)]
        self.judges: list[Member] = []

    @property
    def num_workers(self) -> int:
        """Workers that are up or coming up."""
        now = time.monotonic()
        late = [member for member in self.workers if member.stage == "placing" and now - member.since >= PLACING_SECONDS]
        return sum(member.stage != "given up" for member in self.workers) - len(late)

    def up(self) -> list[Member]:
        """Workers that take batches."""
        return [member for member in self.workers if member.stage == "up"]

    def pending(self) -> dict[Any, Member]:
        """References to wait for: places to be found, starts to be over."""
        return {member.pending: member for member in (*self.workers, *self.judges) if member.pending is not None}

    def judge_on(self, node: str | None) -> Member | None:
        """The judge of the node that has least to do, also one that is still loading; None while none runs."""
        running = [member for member in self.judges if member.node == node and member.stage in ("starting", "up")]
        return min(running, key=lambda member: member.load, default=None)

    def has_hope(self, node: str | None) -> bool:
        """Whether the node has a judge, or will have."""
        return any(member.node == node and member.stage != "given up" for member in self.judges)

    def tend(self) -> float | None:
        """Starts whoever is due; seconds until the next one is, None: nobody waits."""
        now = time.monotonic()
        for member in (*self.workers, *self.judges):
            if member.stage == "leaving" and not member.load:
                self._dismiss(member)
                self._wait(member, 0.0)
            if member.stage == "waiting" and member.due <= now:
                self._start(member)
        return min((member.due - now for member in (*self.workers, *self.judges) if member.stage == "waiting"), default=None)

    def took(self, member: Member) -> None:
        """Notices that a pending call is over: a place was found, a worker is up, or a start failed."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        reference, member.pending = member.pending, None
        try:
            value = ray.get(reference)
        except RayTaskError as error:
            self._failed(member, worker_traceback(error), explained(error))
        except RayError as error:
            self._failed(member, " ".join(str(error).split()), None)
        else:
            if member.stage == "placing":
                member.stage, member.node = "starting", value
                member.pending = member.actor.start.remote(self._spec, member.part)
                self._add_judges(value)
            else:
                member.stage, member.failed_starts, self._ever_up = "up", 0, True
                self._check_size(member, value)

    def answered(self, member: Member, memory_bytes: int) -> None:
        """Notices a good answer, and the memory that the process had then."""
        member.deaths = 0
        if self._recycle_bytes and memory_bytes > self._recycle_bytes and member.stage == "up":
            member.stage = "leaving"

    def lost(self, member: Member, actor: Any) -> None:
        """Notices a death, once: the batches of a dead actor fail one by one, when its successor may be there already."""
        if member.actor is not actor or actor is None:
            return
        self._dismiss(member)
        if member.part == "judge" and not any(worker.node == member.node and worker.actor is not None for worker in self.workers):
            self.judges.remove(member)  # nobody on its node needs it; the node may be gone
            return
        member.deaths += 1
        self._wait(member, min(FIRST_PAUSE * 2 ** (member.deaths - 1), LONGEST_PAUSE))

    def give_up(self, member: Member, reason: str) -> None:
        """Leaves a place empty for good."""
        self._dismiss(member)
        member.stage = "given up"
        sys.stderr.write(f"facemint: {member.part} {member.number} is given up, {self.num_workers} workers are left: {reason[-1000:]}\n")
        sys.stderr.flush()

    def dismiss_all(self) -> None:
        """Ends every process."""
        for member in (*self.workers, *self.judges):
            self._dismiss(member)
        self.workers, self.judges = [], []

    def _start(self, member: Member) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": self._spec.num_gpus}
        if member.part == "judge":
            assert member.node is not None
            # subtle: no CPU is asked for; a judge that waits for one that its own generators hold would wait for ever
            options = {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=member.node, soft=False)}
        options |= {"max_restarts": 0, "max_concurrency": CALLS_AT_ONCE}
        member.actor = ray.remote(**options)(RayWorker).remote()
        member.pending = member.actor.where.remote()
        member.stage, member.since, member.load = "placing", time.monotonic(), 0

    def _add_judges(self, node: str) -> None:
        for _ in range(self._judges - sum(member.node == node for member in self.judges)):
            number = max((member.number for member in self.judges), default=-1) + 1
            self.judges.append(Member(number=number, part="judge", node=node))

    def _check_size(self, member: Member, memory_bytes: int) -> None:
        if self._recycle_bytes and memory_bytes > self._recycle_bytes:
            raise ConfigError(
                f"configuration: placement.recycle_mb is {self._recycle_bytes >> 20}, but a {member.part} that has made nothing yet "
                f"holds {memory_bytes >> 20} MB. Give twice that or more, or 0 for never."
            )

    def _failed(self, member: Member, words: str, raised: Exception | None) -> None:
        if isinstance(raised, FacemintError):
            raise raised
        self._dismiss(member)
        member.deaths += 1
        member.failed_starts += 1
        if member.failed_starts < START_FAILURES:
            self._wait(member, min(FIRST_PAUSE * 2 ** (member.deaths - 1), LONGEST_PAUSE))
            return
        self.give_up(member, words)
        if raised is not None and not self._ever_up and not self.num_workers:
            raise raised  # no worker ever came up, for this reason

    def _wait(self, member: Member, seconds: float) -> None:
        member.stage, member.due = "waiting", time.monotonic() + seconds

    def _dismiss(self, member: Member) -> None:
        import ray

        if member.actor is not None:
            ray.kill(member.actor)
        member.actor = member.pending = None
        member.load = 0
