"""Scripts for SLURM: one Ray cluster of several machines, or an array of independent parts."""

from __future__ import annotations

import shlex

from jobs.cluster.form import end_mark, fill
from jobs.cluster.order import Machines, Order


def ray_script(order: Order, machines: Machines) -> str:
    """For `sbatch`: all machines as one Ray cluster with one driver on the first."""
    gpu_line = f"#SBATCH --gpus-per-node={machines.gpus}\n" if machines.gpus else ""
    return fill("ray.sbatch", {**_shared(order, machines), "gpus": machines.gpus, "gpu_line": gpu_line, "store": machines.store_bytes(order.config)})


def array_script(order: Order, machines: Machines) -> str:
    """For `bash` on a login node: submits itself as prepare, an array with a part per machine, and the report."""
    gpu_option = f"--gpus-per-node={machines.gpus} " if machines.gpus else ""
    return fill("array.sbatch", {**_shared(order, machines), "gpu_option": gpu_option})


def _shared(order: Order, machines: Machines) -> dict[str, object]:
    config = order.config.to_yaml()
    return {
        "name": order.name,  # a label, checked by the order: nothing in it needs quotes, which #SBATCH lines don't have
        "machines": machines.count,
        "cpus": machines.cpus,
        "hours": machines.hours,
        "out": shlex.quote(order.out),
        "config": config,  # in a here-document whose end mark is quoted: nothing in it is expanded
        "end": end_mark(config),
    }
