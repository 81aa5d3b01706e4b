"""What to do about attempts that raised or killed their process: halve, run alone, set aside; and when to stop instead."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobs.attempts import Attempt, Failure, Outcome
from jobs.sections import IsolationSection
from jobs.staging import Quarantined
from manifests.errors import BudgetError, WorkersLost


class Key(NamedTuple):
    """Which attempt at which slot."""

    slot: int
    attempt: int


class Isolation:
    """Batches that have to be run again, smaller or alone, until the attempt that is to blame is found and set aside.

    A batch that raises is halved until the attempt stands alone; that one is tried `retries` times more. All that a dead worker had in flight is
    suspect and run one by one with nothing else in flight anywhere; an attempt whose process dies `solo_deaths` times so is to blame. Suspects take
    turns, and an attempt that is to blame is set aside only after a worker answered something since it first failed, or when nothing else is left
    to do: workers that fail at everything are to blame themselves, and no slot is.
    """

    def __init__(self, limits: IsolationSection) -> None:
        self._limits = limits
        self._again: deque[tuple[Attempt, ...]] = deque()
        self._suspects: deque[Attempt] = deque()
        self._solo: Key | None = None  # a suspect that runs alone
        self._raises: Counter[Key] = Counter()  # of attempts that ran in a batch of their own
        self._deaths: Counter[Key] = Counter()  # of attempts that ran with nothing else in flight
        self._failed_first: dict[Key, int] = {}  # failed attempt -> answers so far when it first failed
        self._to_blame: dict[Key, Failure] = {}
        self._answers = 0
        self._began: dict[Key, int] = {}  # first attempt of a batch in flight -> deaths so far when it was handed out
        self._deaths_so_far = 0  # each of a batch that was handed out after the death before
        self._died_alone: set[Key] = set()  # since the last answer
        self._deaths_in_a_row = 0  # of those, without an answer in between; repeated ones of an attempt that runs alone count once
        self._errors_in_a_row = 0

    @property
    def draining(self) -> bool:
        """Whether suspects wait, so that no other batch may be begun."""
        return bool(self._suspects) or self._solo is not None

    def next_batch(self, in_flight: int) -> tuple[Attempt, ...] | None:
        """The batch to run again now; None: there is none, or others have to end first."""
        if self.draining:
            if in_flight or not self._suspects:
                return None
            suspect = self._suspects.popleft()
            self._solo = _key(suspect)
            return (suspect,)
        return self._again.popleft() if self._again else None

    def handed_out(self, batch: Sequence[Attempt]) -> None:
        """Notes every batch that is submitted, those of `next_batch` too."""
        self._began[_key(batch[0])] = self._deaths_so_far

    def take_in(self, outcomes: Sequence[Outcome]) -> list[Quarantined]:
        """Takes what became of batches; returns the attempts whose slots are to be set aside.

        Raises WorkersLost when workers die at everything, BudgetError when too many batches fail one after the other.
        """
        for outcome in sorted(outcomes, key=lambda outcome: outcome.failure is None):  # answers last: they end a row of failures of the same moment
            began = self._began.pop(_key(outcome.attempts[0]))
            alone = self._solo == _key(outcome.attempts[0])
            self._solo = None if alone else self._solo
            if outcome.failure is None:
                self._answers += len(outcome.answers)
                self._deaths_in_a_row = self._errors_in_a_row = 0
                self._died_alone.clear()
                for attempt in outcome.attempts:
                    self._forget(_key(attempt))
            elif outcome.failure.kind == "preempted":
                self._hand_out_again(outcome.attempts, alone=alone)
            elif outcome.failure.kind == "died":
                self._died(outcome.attempts, outcome.failure, alone=alone, new=began == self._deaths_so_far)
            else:
                self._raised(outcome.attempts, outcome.failure, alone=alone)
        return [self._set_aside(key) for key in list(self._to_blame) if self._answers > self._failed_first[key]]

    def nothing_left(self) -> list[Quarantined]:
        """Attempts that are to blame although no worker answered anything since: nothing else is left to find out by."""
        return [self._set_aside(key) for key in list(self._to_blame)]

    def keep_only(self, is_open: Callable[[int], bool]) -> None:
        """Forgets attempts at slots that were resolved meanwhile."""
        if self._suspects or self._again or self._to_blame:
            self._suspects = deque(attempt for attempt in self._suspects if is_open(attempt.row.slot))
            left = (tuple(attempt for attempt in batch if is_open(attempt.row.slot)) for batch in self._again)
            self._again = deque(batch for batch in left if batch)
            for key in [key for key in self._to_blame if not is_open(key.slot)]:
                del self._to_blame[key]
                self._forget(key)

    def _raised(self, attempts: tuple[Attempt, ...], failure: Failure, *, alone: bool) -> None:
        self._count_error(failure)
        middle = len(attempts) // 2
        if middle:
            self._again += [attempts[:middle], attempts[middle:]]
            return
        key = _key(attempts[0])
        self._failed_first.setdefault(key, self._answers)
        self._raises[key] += 1
        if self._raises[key] > self._limits.retries:
            self._to_blame[key] = failure
        else:
            self._hand_out_again(attempts, alone=alone)

    def _died(self, attempts: tuple[Attempt, ...], failure: Failure, *, alone: bool, new: bool) -> None:
        self._count_error(failure)
        self._deaths_so_far += new
        self._deaths_in_a_row += new and not (alone and _key(attempts[0]) in self._died_alone)
        if self._deaths_in_a_row >= self._limits.worker_deaths:
            raise WorkersLost(
                f"workers: {self._deaths_in_a_row} worker processes died one after the other without an answer in between, expected fewer than "
                f"isolation.worker_deaths ({one_line(failure.message)}). The state is saved; run the same command again, with more memory or fewer workers."
            )
        for attempt in attempts:
            self._failed_first.setdefault(_key(attempt), self._answers)
        if not alone:
            self._suspects += attempts
            return
        key = _key(attempts[0])
        self._died_alone.add(key)
        self._deaths[key] += 1
        if self._deaths[key] >= self._limits.solo_deaths:
            self._to_blame[key] = failure
        else:
            self._suspects += attempts

    def _hand_out_again(self, attempts: tuple[Attempt, ...], *, alone: bool) -> None:
        if alone:
            self._suspects += attempts
        else:
            self._again.append(attempts)

    def _count_error(self, failure: Failure) -> None:
        self._errors_in_a_row += 1
        if self._errors_in_a_row > self._limits.max_consecutive_errors:
            raise BudgetError(
                f"workers: {self._errors_in_a_row} batches failed one after the other, isolation.max_consecutive_errors allows "
                f"{self._limits.max_consecutive_errors} ({one_line(failure.message)}). Look into the message, then run the same command again."
            )

    def _set_aside(self, key: Key) -> Quarantined:
        failure = self._to_blame.pop(key)
        self._forget(key)
        return Quarantined(slot=key.slot, attempt=key.attempt, kind=failure.kind, message=failure.message)

    def _forget(self, key: Key) -> None:
        for record in (self._raises, self._deaths, self._failed_first):
            record.pop(key, None)


def one_line(message: str) -> str:
    """The last line of a traceback, or the beginning of what is known of a death."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()] or ["no message"]
    return lines[-1][:300]


def _key(attempt: Attempt) -> Key:
    return Key(attempt.row.slot, attempt.attempt)
