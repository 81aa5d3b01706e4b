"""The Ray that a command uses: one of its own on the loop-back address, or a cluster that it joins."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

from jobs.ray_start import lean_start
from manifests.errors import ConfigError, WorkersLost

SMALLEST_STORE_BYTES = 75 << 20  # that Ray accepts
STORE_RESERVE_BYTES = 64 << 20
SHARED_MEMORY = "/dev/shm"
KNOCK_SECONDS = 5.0
START_TRIES = 3  # of a Ray of our own: it gives itself 30 s, which a busy machine may not keep
# Ray's own settings: its node often asks for the store a moment before it is there, and would ask again a second later, ten times.
QUICK = {"raylet_client_connect_timeout_milliseconds": 20, "raylet_client_num_connect_attempts": 500}
LOOP_BACK = "127.0.0.1"
CLUSTER_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
ADDRESS_VARIABLE = "RAY_ADDRESS"  # Ray's jobs interface sets it for the commands that it starts


def store_bytes(*, workers: int, in_flight: int, batch_bytes: int) -> int:
    """Shared memory for what is under way: every batch twice, because the reader of one still holds it while the next is written.

    batch_bytes  pictures of a batch x bytes of a picture
    """
    return max(workers * in_flight * batch_bytes * 2 + STORE_RESERVE_BYTES, SMALLEST_STORE_BYTES)


def cluster_address(given: str | None) -> str | None:
    """HOST:PORT of the cluster to join, or "auto"; None: a Ray of this command's own."""
    address = given or os.environ.get(ADDRESS_VARIABLE) or None
    if address is not None and "://" in address:
        source = "--ray" if given else f"the environment variable {ADDRESS_VARIABLE}"
        raise ConfigError(
            f'ray: {source} is "{address}", expected HOST:PORT of the cluster\'s head (often port 6379), or auto. '
            "An http address is the dashboard's: it takes jobs, workers can't be started through it."
        )
    return None if address == "local" else address


def open_ray(address: str | None, *, num_cpus: int, num_gpus_per_worker: float, store: int) -> None:
    """Joins the cluster at the address, or starts a Ray that only this machine can reach."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is not None:
        with _loop_back_only() if _is_here_alone(address) else contextlib.nullcontext():
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise no_cluster(address, error) from error
        return
    _say_when_shared_memory_is_small(store)
    for tries_left in reversed(range(START_TRIES)):
        try:
            with _loop_back_only(), lean_start():
                ray.init(
                    address="local", num_cpus=num_cpus, include_dashboard=False, object_store_memory=store,
                    _node_ip_address=LOOP_BACK, _system_config=QUICK, **quiet,
                )  # fmt: skip
            break
        except Exception as error:  # Ray has no class of its own for it
            ray.shutdown()
            if not tries_left:
                words = " ".join(str(error).split())[:300]
                raise WorkersLost(f"ray: it did not start on this machine ({words}). Run the same command again when the machine is less busy.") from error
    gpus = ray.cluster_resources().get("GPU", 0.0)
    if gpus < num_gpus_per_worker:
        ray.shutdown()
        raise ConfigError(
            f"ray: a worker needs {num_gpus_per_worker:g} GPUs, this machine shows {gpus:g}. "
            "Use device=cpu, a smaller placement.gpus_per_worker, or a machine with GPUs."
        )


def close_ray() -> None:
    """Leaves the cluster, or stops the Ray that was started with all of its processes."""
    import ray

    ray.shutdown()


def no_cluster(address: str, error: Exception) -> ConfigError:
    """Nothing could be joined."""
    words = " ".join(str(error).split())[:200]
    return ConfigError(
        f'ray: no cluster answers at "{address}" ({words}). Start one, set RAY_AUTH_MODE=token if it asks for a token, '
        f"or leave --ray and {ADDRESS_VARIABLE} out to use this machine."
    )


def _is_here_alone(address: str) -> bool:
    """Whether a cluster listens on the loop-back address only. Raises ConfigError when nothing listens; Ray itself would ask for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return False  # "auto"; Ray knows
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()
    except OSError as error:
        raise no_cluster(address, error) from error
    if host not in (LOOP_BACK, "localhost"):
        return False
    from ray.util import get_node_ip_address

    try:
        socket.create_connection((get_node_ip_address(), int(port)), timeout=KNOCK_SECONDS).close()
    except OSError:
        return True
    return False


@contextlib.contextmanager
def _loop_back_only() -> Iterator[None]:
    """Lets a Ray that starts meanwhile listen on the loop-back address alone, or be joined there, as by itself on macOS and Windows.

    subtle: on Linux Ray replaces 127.0.0.1 by the machine's own address and listens on all, unless this switch of its own is off. It is read from
    the environment when Ray is imported, so it is set in the module as well; afterwards both are as before, because a cluster is joined without.
    """
    from ray._private import ray_constants

    before = os.environ.get(CLUSTER_SWITCH), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[CLUSTER_SWITCH], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[CLUSTER_SWITCH]
        else:
            os.environ[CLUSTER_SWITCH] = before[0]


def _say_when_shared_memory_is_small(store: int) -> None:
    """Ray uses a folder on a disk then, which is slow; nothing else changes."""
    if not os.path.isdir(SHARED_MEMORY):
        return
    room = os.statvfs(SHARED_MEMORY)
    free = room.f_bavail * room.f_frsize
    if free < store:
        sys.stderr.write(
            f"facemint: {SHARED_MEMORY} has {free >> 20} MB, the batches under way need up to {store >> 20} MB, so they go through a disk. "
            "Make it larger (docker run --shm-size), or use fewer workers or a smaller batch_size.\n"
        )
        sys.stderr.flush()
