from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.bench.killing import Command, descendants, known, lost_and_doubled, slay
from tests.bench.kills import Subject, coloured, run_kills

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found in /proc")


def check(subject: Subject, kills: int, seed: int) -> None:
    episodes = run_kills(subject, kills, seed)
    assert sum(len(each.kills) for each in episodes) == kills
    for each in episodes:
        assert (each.lost, each.doubled, each.equal) == (0, 0, True), each


@needs_proc
def test_sixteen_kills_of_the_driver_its_tree_and_its_commits_lose_nothing_and_double_nothing():
    check(coloured(workers=0), 16, 2)


@needs_proc
def test_four_kills_of_a_run_with_ray_workers_lose_nothing_and_double_nothing():
    check(coloured(workers=2), 4, 6)


@needs_proc
def test_only_the_process_that_was_meant_is_killed():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process = known(child.pid)
        assert process is not None
        assert process in descendants(os.getpid())
        assert not slay(type(process)(pid=process.pid, started="0"))
        assert child.poll() is None
        assert slay(process)
        assert child.wait(timeout=10) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()


@needs_proc
def test_a_command_that_ends_before_its_kill_is_not_hit(tmp_path):
    command = Command([sys.executable, "-c", "pass"], tmp_path)
    kill = command.kill("tree", tmp_path, 30.0)
    assert not kill.hit
    assert kill.seconds < 30
    command.close()


def test_a_lost_and_a_doubled_slot_are_counted(tmp_path):
    from tests.jobs.coloured import fill, small_plan

    fill(tmp_path)
    assert lost_and_doubled(tmp_path, small_plan().num_slots) == (0, 0)
    tars = sorted((tmp_path / "data").glob("*.tar"))
    (tmp_path / "data" / "again.tar").write_bytes(tars[0].read_bytes())
    doubled = lost_and_doubled(tmp_path, small_plan().num_slots)[1]
    assert doubled > 0
    tars[0].unlink()
    assert lost_and_doubled(tmp_path, small_plan().num_slots) == (0, 0)
    (tmp_path / "data" / "again.tar").unlink()
    assert lost_and_doubled(tmp_path, small_plan().num_slots)[0] == doubled
