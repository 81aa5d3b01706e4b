from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.stopping import SIGNALS, StopRequest, stopped_by_signals
from manifests.errors import StoppedError

ROOT = Path(__file__).resolve().parent.parent.parent

# A command in the middle of planning, as far as signals are concerned.
PLAN = """
import sys, time
import jobs.commands.runs as runs
from jobs.cli import main
def slow(*words, **more):
    sys.stdout.write("planning\\n"); sys.stdout.flush()
    time.sleep(60)
runs._planned = slow
main(["run", "smallest", "--out", sys.argv[1]])
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_other_work_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match="run the same command again") as caught, stopped_by_signals():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert caught.value.exit_code == 75
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_run_that_takes_up_its_work_is_not_ended_by_the_first_signal(number):
    with stopped_by_signals():
        inside = signal.getsignal(number)
        with StopRequest() as stop:
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert stop.asked
        assert signal.getsignal(number) is inside


@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_is_told_to_stop_while_it_plans_says_so_and_exits_with_75(tmp_path, number):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PLAN, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "planning\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 75
    assert errors == "facemint: stopped by a signal. What was finished is saved; run the same command again.\n"
