"""Run with bash and a stand-in for SLURM (tests.jobs.cluster.slurm_shell); the Ray script with the real `ray symmetric-run` on one node.

Both scripts were also run once by hand on a real SLURM 22.05.8 (a controller and two slurmd on one machine): the array with its dependencies, and a
part and a Ray run that got SLURM's TERM, exited with 75, were queued again and completed, with the tree of a plain run. The Ray script was run
by hand on two nodes too, in two network namespaces without SLURM.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from jobs.cli import main
from tests.jobs.cluster.island import ROOT
from tests.jobs.cluster.slurm_shell import directives
from tests.jobs.coloured import fill, tree

AWKWARD = "a folder's $(touch HACKED) `touch HACKED` \"x\" é"


def script(kind, out, *words):
    result = CliRunner().invoke(main, ["submit", "smallest", "--print", kind, "--out", str(out), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def shell(tmp_path):
    """Environment in which sbatch, scontrol, srun and facemint are stand-ins."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "scontrol", "srun"):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.jobs.cluster.slurm_shell {name} "$@"\n')
    (folder / "facemint").write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.jobs.cluster.colours "$@"\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    (tmp_path / "slurm").mkdir()
    (tmp_path / "tmp").mkdir()
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "SLURM_SHELL": str(tmp_path / "slurm"),
        "TMPDIR": str(tmp_path / "tmp"),
    }


def jobs(tmp_path):
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "slurm").glob("job-*"))]


@pytest.mark.parametrize("kind", ["sbatch", "sbatch-array"])
def test_scripts_are_bash_and_their_directives_slurms(tmp_path, kind):
    text = script(kind, tmp_path / AWKWARD, "--machines", "3", "--gpus", "2", "device=cuda")
    assert subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""
    asked = directives(text)
    assert asked["signal"] == "B:TERM@120" and "requeue" in asked and asked["open-mode"] == "append" and asked["time"] == "24:00:00"
    assert not re.search(r"@\{|@@", text)


def test_a_ray_script_asks_for_whole_machines(tmp_path):
    asked = directives(script("sbatch", tmp_path, "--machines", "3", "--gpus", "2", "--cpus", "16", "--hours", "5", "device=cuda"))
    assert {asked[name] for name in ("nodes",)} == {"3"}
    assert asked["gpus-per-node"] == "2" and asked["cpus-per-task"] == "16" and asked["time"] == "5:00:00" and "exclusive" in asked


def test_an_array_is_the_union_of_its_parts(tmp_path, shell):
    out = tmp_path / AWKWARD
    (tmp_path / "array.sh").write_text(script("sbatch-array", out, "--machines", "3", "seed=0"))
    ended = subprocess.run(["bash", tmp_path / "array.sh"], cwd=tmp_path, env=shell, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "prepare 1000, make 1010 in 3 parts, report 1020\n"
    assert [job["arguments"] for job in jobs(tmp_path)] == [["prepare"], ["make"], ["report"]]
    assert [job["asked"].get("dependency") for job in jobs(tmp_path)] == [None, "afterok:1000", "afterany:1010"]
    assert [job["asked"]["job-name"] for job in jobs(tmp_path)] == [f"facemint-smallest-{step}" for step in ("prepare", "make", "report")]
    made = tree(out)
    assert made.pop("report.html") == b"report"
    fill(tmp_path / "plain")
    assert made == tree(tmp_path / "plain")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not list(tmp_path.rglob("HACKED"))


def submit(folder, shell):
    ended = subprocess.run(["bash", folder / "array.sh"], cwd=folder, env=shell, capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 0, ended.stderr


def assert_plain(folder, out):
    """The tree is that of a run without a cluster, beside the report."""
    made = tree(out)
    made.pop("report.html")
    fill(folder / "plain")
    assert made == tree(folder / "plain")


def test_a_part_that_is_told_to_stop_is_queued_again_and_goes_on(tmp_path, shell):
    out = tmp_path / "out"
    (tmp_path / "array.sh").write_text(script("sbatch-array", out, "--machines", "1", "seed=300"))
    (tmp_path / "slurm" / "stop-1010-when-it-works").write_text(str(out / "staging"))
    submit(tmp_path, shell)
    assert json.loads((tmp_path / "slurm" / "codes-1010").read_text()) == [0]
    log = (tmp_path / "slurm" / "log-1010").read_text()
    assert log.count("attempts/s") >= 2  # two commands
    assert_plain(tmp_path, out)


def test_a_part_that_is_queued_again_leaves_the_others_alone(tmp_path, shell):
    out = tmp_path / "out"
    (tmp_path / "array.sh").write_text(script("sbatch-array", out, "--machines", "2", "seed=300"))
    (tmp_path / "slurm" / "stop-1011-when-it-works").write_text(str(out / "lease-1-of-2.json"))
    submit(tmp_path, shell)
    assert json.loads((tmp_path / "slurm" / "codes-1010").read_text()) == [0, 0]
    commands = [(tmp_path / "slurm" / f"log-{task}").read_text().count("attempts/s") for task in (1010, 1011)]
    assert commands[0] == 1 and commands[1] >= 2
    assert_plain(tmp_path, out)


def test_a_report_is_not_kept_from_by_unfilled_slots_but_parts_are_by_a_failed_prepare(tmp_path, shell):
    text = script("sbatch-array", tmp_path / "out", "--machines", "2")
    (tmp_path / "bin" / "facemint").write_text('#!/bin/sh\necho "$@" >> "$SLURM_SHELL/words"\ncase $1 in make) exit 4 ;; esac\n')
    (tmp_path / "array.sh").write_text(text)
    subprocess.run(["bash", tmp_path / "array.sh"], env=shell, capture_output=True, timeout=60, check=True)
    assert [line.split()[0] for line in (tmp_path / "slurm" / "words").read_text().splitlines()] == ["prepare", "make", "make", "report"]
    assert json.loads((tmp_path / "slurm" / "codes-1010").read_text()) == [4, 4]
    (tmp_path / "slurm" / "words").unlink()
    (tmp_path / "bin" / "facemint").write_text('#!/bin/sh\necho "$@" >> "$SLURM_SHELL/words"\ncase $1 in prepare) exit 2 ;; esac\n')
    subprocess.run(["bash", tmp_path / "array.sh"], env=shell, capture_output=True, timeout=60, check=False)
    assert "make" not in (tmp_path / "slurm" / "words").read_text()


def test_one_run_starts_and_stops_a_ray_of_its_own(tmp_path, shell, island):
    text = script("sbatch", tmp_path / "out", "--machines", "1", "--cpus", "2", "seed=0")
    (tmp_path / "ray.sh").write_text(text)
    path = f"{tmp_path / 'bin'}:{island.environment['PATH']}"
    ended = island.run(["sbatch", tmp_path / "ray.sh"], timeout=90, **{**shell, "PATH": path})
    assert ended.returncode == 0, ended.stderr
    log = (tmp_path / "slurm" / "log-1000").read_text()
    assert json.loads((tmp_path / "slurm" / "codes-1000").read_text()) == [0], log
    assert "24 of 24 slots" in log and "2 workers" in log
    fill(tmp_path / "plain")
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")


def test_a_ray_run_that_is_told_to_stop_is_queued_again_and_goes_on(tmp_path, shell, island):
    out = tmp_path / "out"
    (tmp_path / "ray.sh").write_text(script("sbatch", out, "--machines", "1", "--cpus", "2", "seed=1500"))
    (tmp_path / "slurm" / "stop-1000-when-it-works").write_text(str(out / "staging"))
    path = f"{tmp_path / 'bin'}:{island.environment['PATH']}"
    ended = island.run(["sbatch", tmp_path / "ray.sh"], timeout=180, **{**shell, "PATH": path})
    assert ended.returncode == 0, ended.stderr
    log = (tmp_path / "slurm" / "log-1000").read_text()
    assert json.loads((tmp_path / "slurm" / "codes-1000").read_text()) == [0], log
    assert log.count("attempts/s") >= 2, log  # two commands, of which the first didn't reach the end
    assert "24 of 24 slots" in log.rpartition("attempts/s")[0].rpartition("attempts/s")[2]
    fill(tmp_path / "plain")
    assert tree(out) == tree(tmp_path / "plain")
