from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.cluster.submit import NEEDED
from tests.jobs.cluster.island import ROOT, Island, why_not

ADDRESS = "127.0.0.1:6379"  # on the island, where nothing else is
DASHBOARD = "http://127.0.0.1:8265"
STORE_BYTES = 80_000_000
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Two Ray nodes on an island, and the word for a further one."""

    island: Island
    logs: Path

    def add(self, name: str, *, cpus: int, port: int) -> subprocess.Popen[bytes]:
        """A further node; its agent listens on the port."""
        words = ["ray", "start", "--block", f"--address={ADDRESS}", "--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", f'--resources={{"{name}": 1}}']
        return self.island.start([*words, f"--object-store-memory={STORE_BYTES}", f"--dashboard-agent-listen-port={port}"], self.logs / name)

    def wait_for(self, name: str) -> None:
        """Returns when the node is up."""
        until(lambda: "runtime started" in self.log(name), f"node {name}", self.log, name)

    def log(self, name: str) -> str:
        return (self.logs / name).read_text(errors="replace")


def until(holds: Callable[[], bool], what: str, explain: Callable[..., object] = str, *words: object, seconds: float = 90) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: {explain(*words)}"
        time.sleep(0.1)


@contextmanager
def ray_island() -> Iterator[Island]:
    """A namespace with this Python first in its PATH, and a folder for Ray that is short enough for its sockets."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    folder = tempfile.mkdtemp(prefix="fm-", dir="/tmp")
    environment = {
        **TOKEN,
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    try:
        with Island(environment) as land:
            yield land
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def island() -> Iterator[Island]:
    """Where nothing runs yet."""
    with ray_island() as land:
        yield land


@pytest.fixture(scope="package")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of two nodes with a CPU each, by `ray start`."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"ray[default] is not installed: {', '.join(missing)}")
    with ray_island() as land:
        found = Nodes(island=land, logs=tmp_path_factory.mktemp("nodes"))
        words = ["ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", "--port=6379", "--num-cpus=1", f"--object-store-memory={STORE_BYTES}"]
        land.start([*words, "--dashboard-host=127.0.0.1", "--dashboard-port=8265"], found.logs / "head")
        found.wait_for("head")
        found.add("second", cpus=1, port=52366)
        found.wait_for("second")
        yield found
