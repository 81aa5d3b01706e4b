"""Run on two and three real Ray nodes (`ray start`, raylets of their own) on one machine; more machines than one were not at hand."""

from __future__ import annotations

import os
import signal
import sys

from jobs.config import config_from_words
from tests.jobs.cluster.colours import TOGETHER
from tests.jobs.cluster.conftest import ADDRESS, until
from tests.jobs.coloured import fill, tree


def make(nodes, tmp_path, *, workers):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(config_from_words([f"workers={workers}", "seed=100"]).to_yaml())
    words = [sys.executable, "-m", "tests.jobs.cluster.colours", "run", recipe, "--out", tmp_path / "out", "--ray", ADDRESS]
    return nodes.island.start(words, tmp_path / "log", **{TOGETHER: str(workers)})


def seen(tmp_path):
    """Number of processes that worked so far."""
    return len(list((tmp_path / "seen").glob("*")))


def test_workers_of_two_nodes_make_the_tree_of_one_process(nodes, tmp_path):
    assert make(nodes, tmp_path, workers=2).wait(timeout=60) == 0, (tmp_path / "log").read_text()
    fill(tmp_path / "inline")
    assert tree(tmp_path / "out") == tree(tmp_path / "inline")


def test_a_run_outlives_a_node_that_is_killed(nodes, tmp_path):
    third = nodes.add("third", cpus=2, port=52367)
    nodes.wait_for("third")
    driver = make(nodes, tmp_path, workers=4)
    # Each waits for all before it answers, and four workers are more than the two CPUs of the other nodes: two of them are on the third.
    until(lambda: seen(tmp_path) == 4, "workers on three nodes", (tmp_path / "log").read_text)
    os.killpg(third.pid, signal.SIGKILL)
    third.wait()
    assert driver.wait(timeout=90) == 0, (tmp_path / "log").read_text()
    fill(tmp_path / "inline")
    assert tree(tmp_path / "out") == tree(tmp_path / "inline")
