from __future__ import annotations

import io
import json
import time

import pytest
from rich.console import Console

from jobs.attempts import Answer, Attempt, Failure, Outcome
from jobs.locations import location
from jobs.metrics import Metrics
from jobs.pace import Counts, Rate
from jobs.progress import ProgressLine
from jobs.terminal import ProgressLines
from manifests.rows import ManifestRow
from manifests.verdicts import verdict


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def counts(**changed):
    return Counts(**{"slots": 100, "skipped": 0, "accepted": 0, "rejected": 0, "unfilled": 0, **changed})


def attempt(slot: int, number: int = 0) -> Attempt:
    row = ManifestRow(slot=slot, cell=slot // 2, identity_id="i0", identity_index=0, expression=f"word {slot % 3}", intensity=1.0, scene_id="s", view=0,
                      mode="all", split="train")  # fmt: skip
    return Attempt(row=row, attempt=number, seed=1)


def outcome(attempts, accepted=(), *, failure=None, worker=0, seconds=1.0) -> Outcome:
    answers = [
        Answer(
            slot=item.row.slot,
            attempt=item.attempt,
            seed=1,
            image=b"",
            label_map=b"",
            width=1,
            height=1,
            pixel_sha256="",
            verdict=verdict([], [] if item.row.slot in accepted else ["identity", "pose"]),
            labels={},
        )
        for item in attempts
    ]
    return Outcome(attempts=tuple(attempts), answers=() if failure else tuple(answers), failure=failure, worker=worker, seconds=seconds)


def read(folder, name="progress.json"):
    return json.loads((folder / name).read_text())


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_a_file(tmp_path, capsys):
    clock = Clock()
    with ProgressLine(tmp_path, now=clock) as line:
        for accepted, clock.time in ((1, 1.0), (2, 5.0), (3, 10.5), (4, 12.0)):
            line.show(counts(accepted=accepted))
        clock.time = 13.0
        line.show(counts(accepted=5), final=True)
    assert [text.split(" of ")[0] for text in capsys.readouterr().out.splitlines()] == ["3", "5"]
    assert read(tmp_path)["accepted"] == 5


def test_a_worker_that_died_is_said_with_the_next_line(tmp_path, capsys):
    clock = Clock()
    with ProgressLine(tmp_path, now=clock) as line:
        line.took(outcome([attempt(0), attempt(1)], failure=Failure(kind="died", message="Traceback\nkilled by \x1b[31msignal 9"), worker=2))
        assert capsys.readouterr().out == ""
        clock.time = 11.0
        line.show(counts(accepted=1))
    event, text = capsys.readouterr().out.splitlines()
    assert event == "  worker 2 died with 2 attempts: killed by [31msignal 9"
    assert text.startswith("1 of 100 slots")
    line.show(counts(accepted=1), final=True)
    assert read(tmp_path)["events"][0]["text"] == event.strip()


def test_of_many_events_the_last_ones_are_said(tmp_path, capsys):
    with ProgressLine(tmp_path, now=Clock()) as line:
        for number in range(8):
            line.event(f"event {number}")
        line.show(counts(), final=True)
    assert capsys.readouterr().out.splitlines()[:2] == ["  3 earlier events", "  event 3"]


def test_loading_the_model_is_no_part_of_the_rate(tmp_path):
    clock = Clock()
    line = ProgressLine(tmp_path, now=clock)
    clock.time = 62.0  # a minute of loading, then a batch of two seconds
    line.took(outcome([attempt(slot) for slot in range(8)], accepted=range(8), seconds=2.0))
    line.show(counts(accepted=8), final=True)
    assert read(tmp_path)["attempts_per_second"] == pytest.approx(4.0)


def test_the_time_left_counts_the_attempts_that_hard_cells_need(tmp_path):
    clock = Clock()
    line = ProgressLine(tmp_path, max_attempts=50, now=clock)
    for batch in range(50):
        clock.time += 1.0
        line.took(outcome([attempt(slot) for slot in range(8 * batch, 8 * batch + 8)], accepted=[8 * batch]))
        line.show(counts(slots=800, accepted=batch + 1, rejected=7 * (batch + 1)))
    line.show(counts(slots=800, accepted=50, rejected=350), final=True)
    assert read(tmp_path)["seconds_left"] == pytest.approx(750 * 8 / 8, rel=0.35)  # 750 open slots, 8 attempts each, 8 attempts/s


def test_the_file_names_the_hardest_expressions_and_cells(tmp_path):
    line = ProgressLine(tmp_path, now=Clock())
    line.took(outcome([attempt(slot) for slot in range(12)], accepted=[slot for slot in range(12) if slot % 3]))
    line.show(counts(accepted=8, rejected=4), final=True)
    assert read(tmp_path)["worst_expressions"][0] == {"expression": "word 0", "attempts": 4, "accepted": 0}
    assert len(read(tmp_path)["worst_cells"]) == 5


def test_a_part_has_files_of_its_own(tmp_path):
    with ProgressLine(tmp_path, part=(2, 4), metrics=Metrics(version="0", config="0"), now=Clock()) as line:
        line.show(counts(), final=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics-2-of-4.prom", "progress-2-of-4.json"]


def test_a_file_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, capsys):
    blocked = tmp_path / "run"
    blocked.write_text("a file where the folder should be")
    clock = Clock()
    with ProgressLine(blocked, now=clock) as line:
        for step in range(1, 8):
            clock.time = 10.0 * step
            line.show(counts(accepted=step))
    assert capsys.readouterr().out.count("progress.json can't be written, the run goes on") == 1


def test_metrics_are_written_every_ten_seconds_and_at_the_end(tmp_path):
    clock = Clock()
    with ProgressLine(tmp_path, metrics=Metrics(version="0", config="0", now=clock), now=clock) as line:
        clock.time = 9.0
        line.show(counts(accepted=1))
        assert not (tmp_path / "metrics.prom").exists()
        clock.time = 11.0
        line.show(counts(accepted=2))
        assert 'facemint_slots{state="filled"} 2' in (tmp_path / "metrics.prom").read_text()
        line.show(counts(accepted=3), final=True)
    assert 'facemint_slots{state="filled"} 3' in (tmp_path / "metrics.prom").read_text()


def test_an_object_store_gets_a_progress_file_at_most_every_ten_seconds(monkeypatch):
    clock = Clock()
    line = ProgressLine(location("s3://bucket/run"), now=clock)
    written = []
    monkeypatch.setattr(line, "_write", lambda file, content: written.append(clock.time))
    for clock.time in (3.0, 6.0, 9.0, 12.0, 15.0, 21.0, 23.0):
        line.show(counts())
    assert written == [12.0, 23.0]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_lines_of_a_terminal_fit_its_width(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    shown = counts(slots=1_200_000, accepted=400_000, rejected=300_000, quarantined=12, unfilled=3_000, workers=16, speculative=2_000)
    rate = Rate(attempts_per_second=123.4, mean_attempts_per_second=120.0, acceptance=0.57, seconds_left=7_300.0)
    console.print(ProgressLines((shown, rate), "worker 2 died with 8 attempts: " + "killed " * 40))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 3
    assert max(len(line) for line in lines) <= width
    if width >= 80:
        assert "403,012 of 1,200,000 slots" in lines[0] and "2:01:40 left" in lines[0]
        assert lines[1].startswith("123 attempts/s  57% accepted  16 workers  12 quarantined")


def test_before_the_first_batch_the_terminal_says_what_is_waited_for():
    console = Console(file=io.StringIO(), width=80)
    console.print(ProgressLines(None, None))
    assert console.file.getvalue() == "starting the workers\n"


def test_an_answer_costs_the_driver_at_most_20_microseconds(tmp_path):
    line = ProgressLine(tmp_path, metrics=Metrics(version="0", config="0"))
    batches = [outcome([attempt(slot) for slot in range(16 * batch, 16 * batch + 16)], accepted=range(0, 32_000, 2)) for batch in range(2000)]
    start = time.process_time()
    for number, batch in enumerate(batches):
        line.took(batch)
        line.show(counts(slots=10_000_000, accepted=8 * number, rejected=8 * number))
    assert (time.process_time() - start) / 32_000 <= 20e-6
