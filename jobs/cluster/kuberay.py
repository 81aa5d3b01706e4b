"""A manifest for Kubernetes with KubeRay: the recipe as a ConfigMap, and a RayJob that runs it on a cluster of its own."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any

from jobs.cluster.form import fill, yaml_document, yaml_value
from jobs.cluster.order import STOP_SECONDS, Machines, Order
from manifests.errors import ConfigError

RECIPE_FOLDER = "/etc/facemint"
GPU = "nvidia.com/gpu"
MEMORY_PER_WORKER_GB = 8


def parse_claim(text: str) -> tuple[str, str]:
    """(name, folder) of "NAME:/FOLDER", a PersistentVolumeClaim and where it appears."""
    name, colon, folder = text.partition(":")
    if not name or not colon or not PurePosixPath(folder).is_absolute():
        raise ConfigError(f'submit: --claim is "{text}", expected NAME:/FOLDER of a PersistentVolumeClaim that several machines may write.')
    return name, folder


def rayjob(order: Order, machines: Machines, *, image: str, claim: tuple[str, str] | None) -> str:
    """Two YAML documents for `kubectl apply`."""
    if "://" not in order.out and (claim is None or not PurePosixPath(order.out).is_relative_to(claim[1])):
        raise ConfigError(
            f'submit: --out is "{order.out}", a folder that a pod does not have. '
            "Use an object store such as s3://BUCKET/FOLDER, or mount shared storage above it with --claim NAME:/FOLDER."
        )
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{order.name}-recipe"},
        "data": {"config.yaml": order.config.to_yaml()},
    }
    recipe = {"name": "recipe", "mountPath": RECIPE_FOLDER, "readOnly": True}
    recipe_volume = {"name": "recipe", "configMap": {"name": f"{order.name}-recipe"}}
    mounts: list[dict[str, Any]] = [{"name": "storage", "mountPath": claim[1]}] if claim else []
    volumes: list[dict[str, Any]] = [{"name": "storage", "persistentVolumeClaim": {"claimName": claim[0]}}] if claim else []
    memory = {"memory": f"{MEMORY_PER_WORKER_GB * machines.workers_each(order.config)}Gi"}
    values = {
        "name": order.name,
        "entrypoint": order.command(f"{RECIPE_FOLDER}/config.yaml", "--ray", "auto"),
        "deadline": machines.hours * 3600,
        "runtime_env": json.dumps({"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)}}),
        "ray_version": metadata.version("ray"),
        "stop_seconds": STOP_SECONDS,
        "image": image,
        "head_mounts": [recipe, *mounts],
        "head_volumes": [recipe_volume, *volumes],
        "machines": machines.count,
        "worker_requests": {"cpu": machines.cpus, **memory},
        "worker_limits": {**memory, **({GPU: machines.gpus} if machines.gpus else {})},
        "worker_start": {"object-store-memory": str(machines.store_bytes(order.config))},
        "worker_mounts": mounts,
        "worker_volumes": volumes,
    }
    form = fill("rayjob.yaml", {**{name: yaml_value(value) for name, value in values.items()}, "plain_name": order.name})
    return form + "---\n" + yaml_document(config_map)
