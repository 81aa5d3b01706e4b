"""Waits for storage that is away for a moment, a bounded number of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from manifests.errors import StorageError

TRIES = 5
FIRST_WAIT_SECONDS = 0.1  # after the first of them; doubled from try to try

T = TypeVar("T")


def patiently(action: Callable[[], T]) -> T:
    """The action's result; storage errors that may pass are waited for, then raised. The driver begins nothing meanwhile."""
    wait = FIRST_WAIT_SECONDS
    for turn in range(TRIES):
        try:
            return action()
        except StorageError:
            if turn == TRIES - 1:
                raise
        time.sleep(wait)
        wait *= 2
    raise AssertionError
