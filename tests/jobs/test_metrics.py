from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from importlib import resources

import pytest

from jobs.acceptance import Tally
from jobs.attempts import Failure
from jobs.metrics import Metrics
from manifests.errors import ConfigError
from tests.jobs.test_exposition import parse
from tests.jobs.test_progress import Clock, attempt, counts, outcome


def filled_metrics(clock: Clock, **changed) -> Metrics:
    """Metrics of a run in which everything happened once."""
    metrics = Metrics(version="1.2", config='a"b', now=clock, **changed)
    clock.time = 2.0
    metrics.took(outcome([attempt(0), attempt(1)], accepted=[0], seconds=2.0))
    metrics.took(outcome([attempt(2)], failure=Failure(kind="died", message="gone"), worker=1, seconds=2.0))
    clock.time = 4.0
    now = counts(accepted=1, rejected=1, unfilled=1, quarantined=1, workers=2, open_shards=3, committed_shards=4, staging_bytes=5)
    metrics.show(now, 12.5, [Tally(expression="joy", accepted=3, rejected=1)])
    return metrics


def value(text: str, name: str, **labels: str) -> float:
    families = parse(text)
    samples = {key: number for _, found in families.values() for key, number in found.items()}
    return samples[name, tuple(labels.items())]


def test_every_metric_is_told():
    text = filled_metrics(Clock()).text()
    told = {
        ("facemint_info", ("version", "1.2"), ("config", 'a"b')): 1,
        ("facemint_attempts_total", ("verdict", "accepted")): 1,
        ("facemint_attempts_total", ("verdict", "rejected")): 1,
        ("facemint_attempts_total", ("verdict", "failed")): 1,
        ("facemint_slots", ("state", "open")): 97,
        ("facemint_slots", ("state", "quarantined")): 1,
        ("facemint_rejections_total", ("reason", "identity")): 1,
        ("facemint_rejections_total", ("reason", "pose")): 1,
        ("facemint_batch_seconds_count",): 1,
        ("facemint_workers",): 2,
        ("facemint_worker_deaths_total",): 1,
        ("facemint_open_shards",): 3,
        ("facemint_committed_shards_total",): 4,
        ("facemint_staging_bytes",): 5,
        ("facemint_acceptance_ratio", ("expression", "joy")): 0.75,
        ("facemint_eta_seconds",): 12.5,
    }
    assert {key: value(text, key[0], **dict(key[1:])) for key in told} == told


def test_the_speed_of_light_is_the_share_of_time_that_workers_spent_on_batches():
    clock = Clock()
    metrics = Metrics(version="0", config="0", now=clock)
    for batch in range(1, 11):  # one worker of two makes a batch of 1 s every 2 s; each was submitted 3 s before, behind another
        clock.time = 10.0 + 2 * batch
        metrics.took(outcome([attempt(batch)], seconds=1.0))
        metrics.show(counts(workers=2), None, ())
    assert value(metrics.text(), "facemint_speed_of_light_ratio") == pytest.approx(10 / (19 * 2), rel=0.01)


def test_time_in_a_queue_behind_another_batch_is_not_time_on_the_batch():
    clock = Clock()
    metrics = Metrics(version="0", config="0", now=clock)
    for clock.time in (1.0, 2.0, 3.0):
        metrics.took(outcome([attempt(0)], seconds=min(clock.time, 2.0)))  # the second and third waited a second for their turn
    assert value(metrics.text(), "facemint_batch_seconds_sum") == pytest.approx(3.0)


def test_a_time_left_that_is_not_known_is_left_out():
    metrics = filled_metrics(Clock())
    metrics.show(counts(), None, ())
    assert "facemint_eta_seconds" not in metrics.text()


def test_expressions_beyond_the_bound_are_pooled():
    metrics = Metrics(version="0", config="0", now=Clock())
    metrics.show(counts(), None, [Tally(expression=f"word {number}", accepted=1, rejected=number % 2) for number in range(1000)])
    samples = parse(metrics.text())["facemint_acceptance_ratio"][1]
    assert len(samples) == 200
    assert 0.5 < samples["facemint_acceptance_ratio", (("expression", "other"),)] < 1


def test_metrics_are_served_on_this_machine_and_no_longer_than_asked():
    clock = Clock()
    metrics = Metrics(version="0", config="0", port=0, now=clock)
    metrics.start()
    try:
        clock.time = 5.0
        metrics.show(counts(accepted=7), None, ())
        address = f"http://127.0.0.1:{metrics.port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert value(answer.read().decode(), "facemint_slots", state="filled") == 7
        with pytest.raises(urllib.error.HTTPError, match="404") as missing:
            urllib.request.urlopen(f"{address}/etc/passwd", timeout=5)
        missing.value.close()
    finally:
        metrics.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/metrics", timeout=5)


def test_a_port_that_is_taken_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .* Choose another placement.metrics_port."):
            Metrics(version="0", config="0", port=port).start()


def dashboard():
    return json.loads((resources.files("jobs") / "grafana" / "facemint.json").read_text(encoding="utf-8"))


def test_the_dashboard_asks_for_metrics_that_exist():
    text = filled_metrics(Clock()).text()
    samples = {name for _, found in parse(text).values() for name, _ in found}
    asked = {name for panel in dashboard()["panels"] for target in panel["targets"] for name in re.findall(r"facemint_\w+", target["expr"])}
    asked |= {name for variable in dashboard()["templating"]["list"] for name in re.findall(r"facemint_\w+", json.dumps(variable))}
    assert asked - samples == set()
    families = set(parse(text))
    assert {name for name in families if not any(found.startswith(name) for found in asked)} == set()


def test_the_dashboard_is_one_that_grafana_draws():
    board = dashboard()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    places = set()
    for panel in board["panels"]:
        x, y, width, height = (panel["gridPos"][name] for name in "xywh")
        assert x >= 0 and x + width <= 24 and width > 0 and height > 0
        covered = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert not covered & places, panel["title"]
        places |= covered
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert target["expr"].count("(") == target["expr"].count(")")
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used <= variables and "datasource" in variables
    assert board["schemaVersion"] >= 39
