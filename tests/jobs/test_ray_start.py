from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.ray_start import LEFT_OUT, lean_start

ROOT = Path(__file__).resolve().parent.parent.parent
START = """
from jobs.ray_session import close_ray, open_ray
open_ray(None, num_cpus=1, num_gpus_per_worker=0.0, store=80 << 20)
import ray
print(ray.get(ray.remote(lambda: 6 * 7).remote()), [node["NodeManagerAddress"] for node in ray.nodes()])
print(*sorted(ray._private.worker._global_node.all_processes))
close_ray()
"""


def test_what_is_replaced_are_rays_own_names_and_they_come_back():
    node = pytest.importorskip("ray._private.node").Node
    names = (*LEFT_OUT, "start_ray_processes")
    before = {name: getattr(node, name) for name in names}  # a Ray that has renamed one of them starts more slowly, and this says so
    with lean_start():
        assert all(getattr(node, name) is not before[name] for name in names)
    assert all(getattr(node, name) is before[name] for name in names)


def test_a_ray_of_our_own_works_without_dashboard_autoscaler_and_reader_of_logs():
    result = subprocess.run([sys.executable, "-c", START], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    answer, processes = result.stdout.strip().splitlines()
    assert answer == "42 ['127.0.0.1']"
    assert {"gcs_server", "raylet"} <= set(processes.split()) <= {"gcs_server", "raylet", "reaper"}
