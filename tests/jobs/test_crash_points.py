from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    command = [sys.executable, "-m", "tests.jobs.crashing", str(tmp_path_factory.mktemp("crashes"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_run_that_ends_at_any_step_goes_on_to_the_same_tree(report):
    assert report["problems"] == []


def test_the_steps_are_those_of_appending_committing_and_dropping_the_log(report):
    steps = set(report["steps"])
    assert {"append", "amid append", "write", "amid write", "fsync handle", "link watched/lease.json", "replace quarantine/000000000001.json"} <= steps
    for shard in ("train-000000", "train-000001"):
        assert {f"replace data/{shard}.json", f"replace slots/{shard}.parquet", f"unlink staging/{shard}.{'0' * 16}"} <= steps
