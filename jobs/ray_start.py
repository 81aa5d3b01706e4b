"""A quick start of a Ray of our own: without processes that nobody asks anything of, and noticed as soon as it is up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

LEFT_OUT = ("start_api_server", "start_monitor", "start_log_monitor")  # of Ray's node: dashboard, autoscaler, reader of logs
POLL_SECONDS = 0.02
POLLS = 500  # then Ray waits in its own way


@contextlib.contextmanager
def lean_start() -> Iterator[None]:
    """Lets a Ray that starts meanwhile on this machine start in half its time.

    subtle: Ray starts a dashboard also where it is told not to, for usage statistics, and waits for it; its agent on the node, which it waits for
    too, loads what only a dashboard asks for unless the packages of one are missing; and it looks whether the node is up once a second. None of this
    has an option. What is replaced here are names of Ray's own; one that is not there is left alone, and that Ray starts as ever.
    """
    import ray._private.utils
    from ray._private.node import Node

    def left_out(node: Any, **choices: Any) -> None:
        node._webui_url = None

    replaced: list[tuple[Any, str, Callable[..., Any]]] = [(Node, name, left_out) for name in LEFT_OUT]
    replaced.append((ray._private.utils, "get_dashboard_dependency_error", lambda: ImportError("a dashboard isn't wanted")))
    start = getattr(Node, "start_ray_processes", None)

    def start_and_wait(node: Any) -> None:
        assert start is not None
        start(node)
        _wait_for(node)

    replaced.append((Node, "start_ray_processes", start_and_wait))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced if hasattr(owner, name)]
    for owner, name, replacement in replaced:
        if hasattr(owner, name):
            setattr(owner, name, replacement)
    try:
        yield
    finally:
        for owner, name, own in before:
            setattr(owner, name, own)


def _wait_for(node: Any) -> None:
    """Returns when the node has registered, or after some seconds."""
    with contextlib.suppress(Exception):  # whatever it is, Ray meets it next and says it
        for _ in range(POLLS):
            if node.get_gcs_client().get_all_node_info(timeout=5):
                return
            time.sleep(POLL_SECONDS)
