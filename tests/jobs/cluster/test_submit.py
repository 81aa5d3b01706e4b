"""Run against a real Ray cluster of two nodes on one machine, over its Jobs API with token authentication, with the bundled model."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.cluster.submit import exit_code
from manifests.errors import InputError, StorageError
from tests.jobs.cluster.conftest import DASHBOARD, until

# Few steps, and a judge that turns all away, since no head turns as exactly: the exit code is that of unfilled slots.
QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1", "batch_size=2", "max_attempts=1", "expressions.words=[neutral]",
         "qc.rejecting=[pose]", "qc.limits.pose_max_angle_deg=0.001")  # fmt: skip
SAME = ("data", "rejected", "attempts", "slots", "manifest", "conditions", "run.json")


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def tree(folder):
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items()) if name.split("/")[0] in SAME}


def details(**fields):
    from ray.job_submission import JobDetails

    return JobDetails(type="SUBMISSION", entrypoint="facemint run", **fields)


def test_a_submitted_run_that_is_stopped_and_submitted_again_is_a_local_one(bundled, nodes, tmp_path):
    local = facemint("run", "smallest", "--out", tmp_path / "local", "--local", *QUICK)
    submit = ("facemint", "submit", "smallest", "--address", DASHBOARD, "--out", tmp_path / "there", "workers=2", *QUICK)
    first = nodes.island.run([*submit, "--no-wait"], timeout=60)
    assert first.returncode == 0, first.stderr
    name = first.stdout.split()[1]
    until((tmp_path / "there" / "manifest").exists, "the driver has begun", lambda: first.stdout)
    stopped = nodes.island.run(["ray", "job", "stop", "--address", DASHBOARD, name], timeout=60)
    assert stopped.returncode == 0, stopped.stderr
    again = nodes.island.run(submit, timeout=120)
    assert again.returncode == local.exit_code == 4, again.stdout + again.stderr
    assert "slots are unfilled" in again.stdout  # the log of the driver
    assert tree(tmp_path / "there") == tree(tmp_path / "local")


def test_a_cluster_that_asks_for_a_token_says_so(nodes, tmp_path):
    result = nodes.island.run(["facemint", "submit", "smallest", "--address", DASHBOARD, "--out", tmp_path], timeout=60, RAY_AUTH_MODE="disabled")
    assert result.returncode == 2
    assert "asks for a token" in result.stderr and "RAY_AUTH_TOKEN" in result.stderr and "Traceback" not in result.stderr


def test_an_address_without_a_cluster_is_one_sentence(tmp_path):
    pytest.importorskip("aiohttp", reason="ray[default] is not installed")
    result = facemint("submit", "smallest", "--address", "http://127.0.0.1:1", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.output.startswith("facemint: submit: no Jobs API answers at http://127.0.0.1:1") and result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "there is no --address"),
        (["--address", "127.0.0.1:8265"], 'expected the dashboard of a Ray cluster, such as http://HOST:8265'),
        (["--address", "ray://127.0.0.1:10001"], 'expected the dashboard of a Ray cluster'),
    ],
)
def test_other_addresses_are_refused(tmp_path, words, sentence):
    result = facemint("submit", "smallest", "--out", tmp_path, *words)
    assert result.exit_code == 2 and sentence in result.output


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0),
        ({"status": "FAILED", "driver_exit_code": 3}, 3),
        ({"status": "FAILED", "driver_exit_code": 75}, 75),
        ({"status": "FAILED", "driver_exit_code": -9}, 137),
        ({"status": "STOPPED"}, 75),
    ],
)
def test_a_jobs_exit_code_is_the_runs(fields, code):
    pytest.importorskip("aiohttp", reason="ray[default] is not installed")
    assert exit_code("job", details(**fields)) == code


def test_a_job_that_was_lost_may_be_submitted_again():
    pytest.importorskip("aiohttp", reason="ray[default] is not installed")
    with pytest.raises(StorageError, match="lost with its machine .gone.*submit the same command again"):
        exit_code("job", details(status="FAILED", driver_agent_http_address="http://127.0.0.1:1", message="gone"))


def test_a_job_that_never_started_is_said_with_its_reason():
    pytest.importorskip("aiohttp", reason="ray[default] is not installed")
    with pytest.raises(InputError, match="could not be started .no such file"):
        exit_code("job", details(status="FAILED", message="no such file"))
