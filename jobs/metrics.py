"""What a run tells a Prometheus server: its metrics, kept by the driver, and served on this machine where the recipe asks for it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from jobs.acceptance import Tally
from jobs.attempts import Outcome
from jobs.exposition import CONTENT_TYPE, MAX_LABEL_SETS, OTHER, Family, Histogram, exposition
from jobs.pace import Counts
from manifests.errors import ConfigError

BATCH_BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)  # seconds
SNAPSHOT_SECONDS = 1.0  # age of what is served, at most, while batches come in
REQUEST_SECONDS = 5.0  # of a client that connects and says nothing


class Metrics:
    """Counts of this command; a server adds up commands by itself, as it does when counters start again at 0."""

    def __init__(self, *, version: str, config: str, port: int | None = None, now: Callable[[], float] = time.monotonic) -> None:
        """
        config  hash of the configuration
        port    of this machine to serve on, 0: any free one; None: metrics are only written
        """
        self._now = now
        self._asked_port = port
        self._server: _Server | None = None
        self._info = Family(name="facemint_info", kind="gauge", text="1, with the version and the hash of the configuration.", labels=("version", "config"))
        self._info.set(1, version, config)
        self._attempts = Family(name="facemint_attempts_total", kind="counter", text="Attempts by verdict.", labels=("verdict",))
        self._rejections = Family(name="facemint_rejections_total", kind="counter", text="Rejected attempts by each of their reasons.", labels=("reason",))
        self._slots = Family(name="facemint_slots", kind="gauge", text="Slots by state.", labels=("state",))
        self._batches = Histogram(name="facemint_batch_seconds", text="Seconds that a worker spent on a batch.", bounds=BATCH_BOUNDS)
        self._workers = Family(name="facemint_workers", kind="gauge", text="Workers that are up.")
        self._deaths = Family(name="facemint_worker_deaths_total", kind="counter", text="Workers whose process ended while it had a batch.")
        self._open_shards = Family(name="facemint_open_shards", kind="gauge", text="Shards that are being filled.")
        self._committed = Family(name="facemint_committed_shards_total", kind="counter", text="Shards that were committed.")
        self._staging = Family(name="facemint_staging_bytes", kind="gauge", text="Bytes of answers that wait for the commit of their shard.")
        self._acceptance = Family(name="facemint_acceptance_ratio", kind="gauge", text="Accepted share of attempts by expression.", labels=("expression",))
        self._light = Family(name="facemint_speed_of_light_ratio", kind="gauge", text="Share of the workers' time that they spent on batches.")
        self._left = Family(name="facemint_eta_seconds", kind="gauge", text="Expected seconds until all slots are resolved.")
        for family, labels in ((self._deaths, ()), *((self._attempts, (verdict,)) for verdict in ("accepted", "rejected", "failed"))):
            family.add(*labels, amount=0)
        self._busy = self._capacity = 0.0  # worker seconds
        self._capacity_at: float | None = None
        self._workers_up = 0
        self._free_since: dict[int, float] = {}  # worker -> when its last batch was done
        self._tallies: Iterable[Tally] = ()
        self._snapshot, self._snapshot_at = self.text(), -math.inf

    def took(self, outcome: Outcome) -> None:
        """Takes what became of a batch."""
        now = self._now()
        begun = max(now - outcome.seconds, self._free_since.get(outcome.worker, -math.inf))  # a batch may have waited behind another one
        self._free_since[outcome.worker] = now
        if self._capacity_at is None:
            self._capacity_at = begun
        if outcome.failure:
            self._attempts.add("failed", amount=len(outcome.attempts))
            self._deaths.add(amount=outcome.failure.kind == "died")
            return
        self._busy += now - begun
        self._batches.observe(now - begun)
        for answer in outcome.answers:
            self._attempts.add("accepted" if answer.verdict.accepted else "rejected")
            for reason in answer.verdict.reasons:
                self._rejections.add(reason)

    def show(self, counts: Counts, seconds_left: float | None, expressions: Iterable[Tally]) -> None:
        """Takes new counts, and the tallies of expressions."""
        now = self._now()
        if self._capacity_at is not None:
            self._capacity += (now - self._capacity_at) * max(self._workers_up, counts.workers)
            self._capacity_at = now
        self._workers_up = counts.workers
        states = {"filled": counts.skipped + counts.accepted, "unfilled": counts.unfilled, "quarantined": counts.quarantined}
        for state, number in {**states, "open": max(0, counts.slots - counts.resolved)}.items():
            self._slots.set(number, state)
        self._workers.set(counts.workers)
        self._open_shards.set(counts.open_shards)
        self._committed.set(counts.committed_shards)
        self._staging.set(counts.staging_bytes)
        if self._capacity > 0:
            self._light.set(self._busy / self._capacity)
        self._left.values.clear()
        if seconds_left is not None:
            self._left.set(seconds_left)
        self._tallies = expressions
        if self._server and now - self._snapshot_at >= SNAPSHOT_SECONDS:
            self._snapshot_at = now
            self._snapshot = self.text()

    def text(self) -> str:
        """All metrics in Prometheus' text format."""
        self._take_acceptance()
        families = (self._info, self._attempts, self._slots, self._rejections, self._batches, self._workers, self._deaths, self._open_shards,
                    self._committed, self._staging, self._acceptance, self._light, self._left)  # fmt: skip
        return exposition(families)

    @property
    def port(self) -> int | None:
        """Port that is served on; None: it isn't."""
        return self._server.server_port if self._server else None

    def start(self) -> None:
        """Serves the metrics where a port was given. Raises ConfigError when it is taken."""
        if self._asked_port is not None:
            self._server = _Server(self._asked_port, lambda: self._snapshot)

    def stop(self) -> None:
        """Ends the server."""
        if self._server:
            self._server.close()
            self._server = None

    def _take_acceptance(self) -> None:
        self._acceptance.values.clear()
        pooled: dict[str, tuple[int, int]] = {}
        for place, tally in enumerate(self._tallies):
            name = tally.expression if place < MAX_LABEL_SETS - 1 else OTHER
            accepted, attempts = pooled.get(name, (0, 0))
            pooled[name] = (accepted + tally.accepted, attempts + tally.attempts)
        for name, (accepted, attempts) in pooled.items():
            self._acceptance.set(accepted / max(1, attempts), name)


class _Server(HTTPServer):
    """Answers one request at a time, in a thread of its own, with the last snapshot; reachable from this machine only."""

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        self.snapshot = text
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"metrics: port {port} of 127.0.0.1 can't be served on ({error}). Choose another placement.metrics_port.") from error
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="facemint metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops answering."""
        self.shutdown()
        self.server_close()
        self._thread.join(timeout=2 * REQUEST_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in ("/", "/metrics"):
            self.send_error(404)
            return
        content = self.server.snapshot().encode()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *words: Any) -> None:
        """A request is nothing to say on the terminal."""
