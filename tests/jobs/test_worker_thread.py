from __future__ import annotations

import threading
import time

import pytest
import torch

from jobs.worker_thread import WorkerThread


def test_building_and_every_call_are_on_one_thread_that_is_not_the_callers():
    def build():
        built_on = threading.get_ident()
        return lambda: (built_on, threading.get_ident())

    with WorkerThread(build) as worker:
        seen = {worker.submit().result() for _ in range(3)}
    ((built_on, called_on),) = seen
    assert built_on == called_on != threading.get_ident()


def test_number_of_torch_threads_set_by_the_build_holds_for_the_calls():
    def build():
        torch.set_num_threads(3)
        return torch.get_num_threads

    before = torch.get_num_threads()
    try:
        with WorkerThread(build) as worker:
            assert worker.submit().result() == 3
    finally:
        torch.set_num_threads(before)


def test_what_a_call_raises_reaches_whoever_asks_for_its_result():
    def fail():
        raise ValueError("no such picture")

    with WorkerThread(lambda: fail) as worker, pytest.raises(ValueError, match="no such picture"):
        worker.submit().result()


def test_what_the_building_raises_is_raised_at_once():
    def build():
        raise ValueError("no such weights")

    with pytest.raises(ValueError, match="no such weights"):
        WorkerThread(build)


def test_closing_waits_for_the_call_that_runs_and_drops_the_next():
    calls: list[int] = []
    began = threading.Event()

    def work(number: int) -> None:
        began.set()
        time.sleep(0.05)
        calls.append(number)

    with WorkerThread(lambda: work) as worker:
        worker.submit(1)
        waiting = worker.submit(2)
        assert began.wait(5)
    assert calls == [1]
    assert waiting.cancelled()
