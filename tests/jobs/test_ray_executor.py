from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs import ray_crew
from jobs.executors import InlineExecutor
from jobs.ray_executor import RayExecutor
from jobs.sections import PlacementSection
from jobs.shards import read_markers
from manifests.errors import ConfigError, WeightsError
from tests.jobs.coloured import ColouredSpec, fill, small_plan
from tests.jobs.parted import PartedSpec, attempts

ROOT = Path(__file__).resolve().parent.parent.parent
PAIRS = [attempts(first, first + 1) for first in range(0, 12, 2)]


@pytest.fixture(scope="module")
def address():
    """A Ray with two CPUs that these tests join one after the other; starting one for each would take seconds each.

    It asks for tokens, because a process that once had a local Ray of its own gives them ever after.
    """
    from ray._raylet import Config

    os.environ["RAY_AUTH_MODE"] = "token"
    Config.initialize("")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"PYTHONPATH": str(ROOT)}
    environment["RAY_OVERRIDE_RESOURCES"] = '{"GPU": 1}'  # one that only Ray believes in
    command = [sys.executable, "-m", "tests.jobs.loop_back_ray"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(timeout=30)


def executor(address, spec=None, *, workers=2, **placement):
    return RayExecutor(spec or PartedSpec(), workers, placement=PlacementSection(**placement), address=address)


def run(crew, batches, *, seconds=60.0):
    """Outcomes of batches, in the order of their first slots."""
    left, outcomes, end = list(batches), [], time.monotonic() + seconds
    while len(outcomes) < len(batches):
        assert time.monotonic() < end, (outcomes, crew.num_workers)
        while left and crew.room:
            crew.submit(left.pop(0))
        outcomes += crew.collect()
    return sorted(outcomes, key=lambda outcome: outcome.attempts[0].row.slot)


def until(condition, crew, *, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        assert crew.collect() == []


def contents(outcomes):
    """Answers without the process that made them."""
    return [dataclasses.replace(answer, labels={}) for outcome in outcomes for answer in outcome.answers]


def processes(outcomes):
    return [answer.labels["process"] for outcome in outcomes for answer in outcome.answers]


def kinds(outcomes):
    return {outcome.attempts[0].row.slot: outcome.failure.kind for outcome in outcomes if outcome.failure}


@pytest.fixture(scope="module")
def inline():
    with InlineExecutor(PartedSpec()) as crew:
        return contents(run(crew, PAIRS))


def test_two_workers_answer_as_this_process_does(address, inline):
    with executor(address, PartedSpec(batch_seconds=0.05)) as crew:
        until(lambda: crew.room == 4, crew)
        assert (crew.num_workers, crew.idle) == (2, 2)
        outcomes = run(crew, PAIRS)
        assert (crew.room, crew.idle) == (4, 2)
    assert contents(outcomes) == inline
    assert {outcome.worker for outcome in outcomes} == {0, 1} and len(set(processes(outcomes))) == 2


def test_judges_on_the_node_give_the_same_answers(address, inline):
    with executor(address, judges=1) as crew:
        outcomes = run(crew, PAIRS)
    assert contents(outcomes) == inline
    assert len(set(processes(outcomes))) == 1  # one judge for both workers


def test_a_picture_that_kills_its_process_costs_its_batches_and_the_worker_is_replaced(address):
    with executor(address, PartedSpec(fatal_slot=4), workers=1) as crew:
        outcomes = run(crew, PAIRS)
        until(lambda: crew.room == 2, crew)
    assert kinds(outcomes)[4] == "died" and set(kinds(outcomes)) <= {2, 4, 6}  # its neighbours were in flight with it
    assert set(kinds(outcomes).values()) == {"died"}


def test_a_picture_that_raises_costs_its_batch_and_no_worker(address):
    with executor(address, PartedSpec(raising_slot=5), workers=1) as crew:
        outcomes = run(crew, PAIRS)
    assert kinds(outcomes) == {4: "raised"}
    assert "ValueError: row 5 has no picture" in outcomes[2].failure.message and "\x1b" not in outcomes[2].failure.message
    assert len(set(processes(outcomes))) == 1


def test_a_device_that_holds_no_picture_is_a_death(address):
    with executor(address, PartedSpec(full_slot=10), workers=1) as crew:
        assert kinds(run(crew, PAIRS))[10] == "died"


def test_a_judge_that_dies_is_replaced_and_its_generator_is_not(address):
    with executor(address, PartedSpec(blinding_slot=4), workers=1, judges=1) as crew:
        outcomes = run(crew, PAIRS)
        again = run(crew, PAIRS[3:])
    assert kinds(outcomes)[4] == "died" and kinds(again) == {}


def test_pixels_are_lost_with_their_generator_and_nothing_hangs(address):
    with executor(address, PartedSpec(fatal_slot=4), judges=1) as crew:
        outcomes = run(crew, PAIRS)
        assert kinds(outcomes)[4] == "died"
        assert kinds(run(crew, PAIRS[3:])) == {}


def test_a_worker_that_has_grown_is_replaced_between_batches(address):
    with executor(address, PartedSpec(hoarding=True), workers=1, recycle_mb=400) as crew:
        outcomes = run(crew, PAIRS)
    assert kinds(outcomes) == {}
    assert len(set(processes(outcomes))) > 1


def test_a_limit_that_a_fresh_worker_exceeds_is_refused(address):
    with pytest.raises(ConfigError, match="recycle_mb is 1, but a worker that has made nothing yet"), executor(address, recycle_mb=1) as crew:
        run(crew, PAIRS)


def test_an_explainable_error_of_a_start_stays_as_it_was(address):
    with pytest.raises(WeightsError, match=r"^weights: nothing is there. Restore it.$"), executor(address, PartedSpec(missing_weights=True)) as crew:
        run(crew, PAIRS)


def test_starts_that_keep_failing_end_with_their_reason(address, monkeypatch):
    monkeypatch.setattr(ray_crew, "FIRST_PAUSE", 0.05)
    with pytest.raises(OSError, match="no such device"), executor(address, PartedSpec(broken_start=True), workers=1) as crew:
        run(crew, PAIRS)


def test_workers_that_find_no_room_are_not_counted(address, monkeypatch):
    monkeypatch.setattr(ray_crew, "PLACING_SECONDS", 1.0)
    with executor(address, workers=3) as crew:
        assert crew.num_workers == 3
        until(lambda: crew.num_workers == 2, crew)
        assert kinds(run(crew, PAIRS)) == {}


def test_workers_share_a_gpu_as_far_as_their_fractions_go(address, monkeypatch):
    with executor(address, PartedSpec(num_gpus=0.5)) as crew:
        until(lambda: crew.room == 4, crew)
    monkeypatch.setattr(ray_crew, "PLACING_SECONDS", 1.0)
    with executor(address, PartedSpec(num_gpus=0.6)) as crew:
        until(lambda: crew.num_workers == 1, crew)
        assert kinds(run(crew, PAIRS)) == {} and len(crew._crew.up()) == 1


def test_without_any_room_no_worker_is_left(address, monkeypatch):
    monkeypatch.setattr(ray_crew, "PLACING_SECONDS", 0.5)
    with executor(address, PartedSpec(num_gpus=2.0)) as crew:
        until(lambda: crew.num_workers == 0, crew)
        assert crew.room == 0


def test_a_fatal_slot_is_quarantined_alone_and_ray_is_gone_afterwards(tmp_path):
    """With a Ray of the run's own."""
    before = set(children())
    nodes = []

    class Looking(RayExecutor):
        def __enter__(self):
            entered = super().__enter__()
            import ray

            nodes.extend(node["NodeManagerAddress"] for node in ray.nodes())
            return entered

    spec = ColouredSpec(acceptance=1.0, fatal_slot=7)
    assert fill(tmp_path, spec=spec, executor=lambda: Looking(spec, 2, placement=PlacementSection(), address=None))
    assert nodes == ["127.0.0.1"]
    counts = [marker["counts"] for marker in read_markers(tmp_path).values()]
    assert sum(count["accepted"] for count in counts) == small_plan().num_slots - 1
    assert [path.stem for path in (tmp_path / "quarantine").rglob("*.json")] == ["000000000007"]
    end = time.monotonic() + 20
    while set(children()) - before:
        assert time.monotonic() < end
        time.sleep(0.1)


def children():
    """Processes that this one started, and theirs."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(path.parent.name)] = int(fields[1])
    found, todo = [], [os.getpid()]
    while todo:
        mine = [child for child, parent in parents.items() if parent == todo[0]]
        todo = todo[1:] + mine
        found += mine
    return found


def test_an_address_where_nothing_answers_is_said():
    with pytest.raises(ConfigError, match='no cluster answers at "127.0.0.1:9"'), executor("127.0.0.1:9"):
        pass
