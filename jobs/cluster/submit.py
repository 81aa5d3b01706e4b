"""Submission to a Ray cluster over its Jobs API: the recipe travels in the job, its log and its exit code come back."""

from __future__ import annotations

import asyncio
import importlib.util
import shlex
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from jobs.cluster.order import STOP_SECONDS, Order
from manifests.errors import ConfigError, InputError, StorageError

EXIT_STOPPED = 75
NEEDED = ("aiohttp", "requests", "pydantic")  # what ray's client of the Jobs API imports, which plain ray doesn't install
POLL_SECONDS = 1.0
MOST_FAILURES = 30  # of asking for a job's state, one after the other


def open_client(address: str) -> Any:
    """The cluster's Jobs API; explains why it can't be reached."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise ConfigError(f'submit: --address is "{address}", expected the dashboard of a Ray cluster, such as http://HOST:8265.')
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f'submit: this installation has no {", ".join(missing)}, which submission needs. Run: pip install "facemint[cluster]"')
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise ConfigError(
            f"submit: the cluster at {address} asks for a token. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to its token."
        ) from error
    except (ConnectionError, RuntimeError) as error:
        raise InputError(
            f"submit: no Jobs API answers at {address} ({_one_line(error)}). Name the dashboard of a cluster whose machines have ray[default]."
        ) from error


def submit(client: Any, order: Order) -> str:
    """Starts the run on the cluster; returns the submission's name."""
    try:
        submission: str = client.submit_job(
            entrypoint=entrypoint(order),
            runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}},
            metadata={"job_name": order.name},
        )
    except (OSError, RuntimeError) as error:
        raise InputError(f"submit: the cluster did not take the job ({_one_line(error)}). Check the cluster with: ray status") from error
    return submission


def entrypoint(order: Order) -> str:
    """The shell command of the job: the recipe is in it, because a folder that travels with a job has to reach every worker and can be lost on the way."""
    recipe = shlex.quote(order.config.to_yaml())
    return f'cd "$(mktemp -d)" && printf %s {recipe} > config.yaml && exec {order.command("config.yaml", "--ray", "auto")}'


def follow(client: Any, submission: str, write: Callable[[str], None]) -> int:
    """Passes the job's log on until the job ends; returns its exit code."""

    async def passing_on() -> None:
        async for lines in client.tail_job_logs(submission):
            write(lines)

    import aiohttp

    try:
        asyncio.run(passing_on())
    except (aiohttp.ClientError, OSError, RuntimeError) as error:
        write(f"facemint: the log of {submission} broke off ({_one_line(error)}); waiting for its end\n")
    return wait(client, submission)


def wait(client: Any, submission: str) -> int:
    """Waits for the end of a job; returns its exit code."""
    failures = 0
    while True:
        try:
            details = client.get_job_info(submission)
            failures = 0
        except (OSError, RuntimeError) as error:
            failures += 1
            if failures == MOST_FAILURES:
                raise StorageError(
                    f"submit: the cluster no longer answers ({_one_line(error)}). Finished shards are safe in the run folder; submit the same command again."
                ) from error
        else:
            if details.status.is_terminal():
                return exit_code(submission, details)
        time.sleep(POLL_SECONDS)


def exit_code(submission: str, details: Any) -> int:
    """The exit code of a job that ended: the run's own, if it came to have one."""
    code: int | None = details.driver_exit_code
    if code is not None:
        return code if code >= 0 else 128 - code  # killed by a signal, as shells say it
    if details.status.value == "STOPPED":
        return EXIT_STOPPED
    if details.driver_agent_http_address:
        raise StorageError(
            f"submit: {submission} was lost with its machine ({_one_line(details.message)}). "
            "Finished shards are safe in the run folder; submit the same command again."
        )
    raise InputError(f"submit: {submission} could not be started ({_one_line(details.message)}). Check the cluster's machines and their installation.")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
