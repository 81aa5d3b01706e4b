"""What is to run on other machines: the whole configuration, where the run folder is, and how many machines with how many GPUs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from jobs.bundle import core_size
from jobs.config import RunConfig, find_recipe, flatten, load_config
from jobs.executors import IN_FLIGHT
from jobs.ray_executor import IN_FLIGHT_WITH_JUDGES
from jobs.ray_session import store_bytes
from manifests.errors import ConfigError, WeightsError

PATH_KEYS = ("identities.path", "expressions.path", "scenes.path", "qc.calibration", "models.core", "models.pack")
LARGEST_PICTURE = 1024  # side, pixels: of a core whose folder isn't here to ask
STOP_SECONDS = 60  # what a driver is given to save its state, before it is killed
NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")  # a Kubernetes name (RFC 1123 label), short enough for the suffixes that KubeRay adds


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a run asks a cluster for."""

    count: int  # with workers on them
    cpus: int  # of each, for workers and judges
    gpus: int  # of each
    hours: int  # before the cluster takes them back; a run that isn't finished then goes on in the next turn

    def __post_init__(self) -> None:
        for name, least in (("count", 1), ("cpus", 1), ("gpus", 0), ("hours", 1)):
            if getattr(self, name) < least:
                option = {"count": "machines"}.get(name, name)
                raise ConfigError(f"submit: --{option} is {getattr(self, name)}, expected {least} or more.")

    def workers_each(self, config: RunConfig) -> int:
        """Workers that one machine has room for."""
        if self.gpus:
            return max(1, int(self.gpus / (config.placement.gpus_per_worker or 1)))
        return max(1, self.cpus // config.threads)

    def store_bytes(self, config: RunConfig) -> int:
        """Shared memory that Ray needs on one machine: by the same formula as on this one, for all workers that have room there."""
        workers = max(self.workers_each(config), -(-config.workers // self.count))
        in_flight = IN_FLIGHT_WITH_JUDGES if config.placement.judges else IN_FLIGHT
        try:
            size = core_size(config.models)
        except WeightsError:  # a core that only the cluster's machines have
            size = LARGEST_PICTURE
        return store_bytes(workers=workers, in_flight=in_flight, batch_bytes=config.batch_size * size**2 * 3)


@dataclass(frozen=True, kw_only=True)
class Order:
    """A run for other machines. Nothing in it is secret: it is shown by job lists and kept in logs."""

    name: str  # a lower-case label
    config: RunConfig
    out: str  # absolute path or object-store URI, the same on every machine

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigError(f'submit: "{self.name}" is no name for a job, expected up to 40 of a-z, 0-9 and -, from a letter on. Use --name.')

    def command(self, config_file: str, *words: str) -> str:
        """The shell command of the driver."""
        return shlex.join(["facemint", "run", config_file, "--out", self.out, *words])


def compose_order(recipe: str, overrides: Sequence[str], *, out: str, name: str | None = None) -> Order:
    """The order of a recipe with key=value words on top."""
    check_out(out)
    config = load_config(find_recipe(recipe), overrides)
    check_inputs(config)
    return Order(name=label_of(recipe) if name is None else name, config=config, out=out)


def staffed(order: Order, machines: Machines, overrides: Sequence[str], *, together: bool) -> Order:
    """The order with as many workers as there is room for, unless their number was given; `together`: one driver has those of all machines."""
    if machines.gpus and order.config.device == "cpu":
        raise ConfigError(f"submit: {machines.gpus} GPUs per machine are asked for, but the device of the recipe is cpu. Add device=cuda.")
    if not machines.gpus and order.config.device == "cuda":
        raise ConfigError("submit: the device of the recipe is cuda, but no GPUs are asked for. Add --gpus, or device=cpu.")
    if any(word.startswith("workers=") for word in overrides):
        return order
    workers = machines.workers_each(order.config) * (machines.count if together else 1)
    return replace(order, config=replace(order.config, workers=workers))


def check_out(out: str) -> None:
    """Raises ConfigError unless other machines can reach the run folder by this very name, without a secret in it."""
    if "://" in out:
        if "@" in urlsplit(out).netloc:
            raise ConfigError(
                "submit: --out holds a user and a password, which every job list would show. "
                "Leave them out, and give the machines of the cluster their right to the store (a role, or their environment)."
            )
    elif not PurePosixPath(out).is_absolute():
        raise ConfigError(
            f'submit: --out is "{out}", a folder of this machine that others would look for elsewhere. '
            "Give a full path on storage that all machines share, or an object store such as s3://BUCKET/FOLDER."
        )


def check_inputs(config: RunConfig) -> None:
    """Raises ConfigError when the recipe names a file relative to this machine's working folder."""
    flat = flatten(config)
    for key in PATH_KEYS:
        path = flat[key]
        if path is not None and not PurePosixPath(path).is_absolute():
            raise ConfigError(f'submit: {key} is "{path}", which other machines would look for elsewhere. Give a full path on storage that all machines share.')


def label_of(recipe: str) -> str:
    """A name for the job from the name of the recipe."""
    letters = re.sub(r"[^a-z0-9]+", "-", Path(recipe).stem.lower()).strip("-")
    return f"facemint-{letters}"[:40].rstrip("-")
