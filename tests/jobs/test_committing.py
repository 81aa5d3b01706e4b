"""Shards that are written beside the making of others."""

from __future__ import annotations

import threading

import pytest

from jobs.committing import Committer
from manifests.errors import StorageError


def refuse():
    raise StorageError("storage: nothing can be written. Make room.")


def test_the_caller_goes_on_while_a_shard_is_written():
    may_end, written = threading.Event(), []
    with Committer() as committer:
        committer.submit(lambda: may_end.wait(10), lambda: written.append("first"))
        committer.settle()
        assert written == []  # the caller came here although it is being written
        may_end.set()
        committer.settle(wait=True)
        assert written == ["first"]


def test_shards_are_written_one_by_one_in_their_order():
    order = []
    with Committer() as committer:
        for number in range(5):
            committer.submit(lambda number=number: order.append(("written", number)), lambda number=number: order.append(("dropped", number)))
    assert order == [(what, number) for number in range(5) for what in ("written", "dropped")]


def test_what_follows_runs_in_the_thread_of_the_caller():
    threads = []
    with Committer() as committer:
        committer.submit(lambda: threads.append(threading.get_ident()), lambda: threads.append(threading.get_ident()))
    assert threads[0] != threads[1] == threading.get_ident()


def test_an_error_is_raised_by_the_next_look_and_nothing_follows():
    written = []
    with pytest.raises(StorageError), Committer() as committer:
        committer.submit(refuse, lambda: written.append("never"))
        committer.settle(wait=True)
    assert written == []


def test_an_error_of_the_last_shard_is_raised_at_the_end():
    with pytest.raises(StorageError), Committer() as committer:
        committer.submit(refuse, lambda: None)


def test_after_another_error_what_is_being_written_is_written_first():
    written = []
    with pytest.raises(KeyboardInterrupt), Committer() as committer:
        committer.submit(lambda: written.append("whole"), lambda: None)
        raise KeyboardInterrupt
    assert written == ["whole"]
