from __future__ import annotations

import pytest

from jobs.ray_session import SMALLEST_STORE_BYTES, cluster_address, store_bytes
from manifests.errors import ConfigError

MB = 1 << 20


def test_the_store_holds_every_batch_under_way_twice():
    # 8 GPUs x 2 batches x 32 pictures of 512 x 512 x 3 bytes
    assert store_bytes(workers=8, in_flight=2, batch_bytes=32 * 512 * 512 * 3) == 8 * 2 * 32 * 512 * 512 * 3 * 2 + 64 * MB


def test_the_store_is_never_smaller_than_ray_accepts():
    ray_constants = pytest.importorskip("ray._private.ray_constants")
    assert store_bytes(workers=1, in_flight=2, batch_bytes=1) == SMALLEST_STORE_BYTES >= ray_constants.OBJECT_STORE_MINIMUM_MEMORY_BYTES


@pytest.mark.parametrize(("given", "environment", "address"), [
    (None, None, None),
    (None, "10.0.0.1:6379", "10.0.0.1:6379"),
    ("10.0.0.2:6379", "10.0.0.1:6379", "10.0.0.2:6379"),
    ("local", "10.0.0.1:6379", None),
    ("auto", None, "auto"),
])  # fmt: skip
def test_the_option_goes_before_the_environment(monkeypatch, given, environment, address):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if environment:
        monkeypatch.setenv("RAY_ADDRESS", environment)
    assert cluster_address(given) == address


def test_the_dashboards_address_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(ConfigError, match="environment variable RAY_ADDRESS is .* expected HOST:PORT"):
        cluster_address(None)
