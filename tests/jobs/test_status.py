from __future__ import annotations

import json
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.files import json_text, write_json
from jobs.lease import Lease
from jobs.status import read_status
from manifests.errors import InputError
from tests.jobs.coloured import ColouredSpec, fill, small_plan

NOW = 1_000_000.0


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    return tmp_path


def marker(name: str, *, slots: int = 10, unfilled=(), quarantined=(), rejected: int = 5):
    accepted = slots - len(unfilled) - len(quarantined)
    counts = {"slots": slots, "accepted": accepted, "rejected": rejected, "attempts": accepted + rejected, "unfilled": len(unfilled),
              "quarantined": len(quarantined)}  # fmt: skip
    return {
        "shard": name,
        "split": name.partition("-")[0],
        "counts": counts,
        "unfilled": [{"slot": slot, "expression": word} for slot, word in unfilled],
        "quarantined": [{"slot": slot, "expression": "joy", "reason": reason} for slot, reason in quarantined],
    }


def progress(**changed):
    return {
        "slots": 100, "skipped": 10, "accepted": 20, "rejected": 20, "unfilled": 1, "quarantined": 1, "attempts_per_second": 2.0, "acceptance": 0.5,
        "seconds_left": 68.0, "workers": 2, "written": NOW - 3, "final": False, "part": [0, 1], "events": [{"time": NOW, "text": "worker 1 died"}],
        "worst_expressions": [{"expression": "awe", "attempts": 9, "accepted": 1}],
        "worst_cells": [{"cell": 4, "expression": "awe", "attempts": 5, "accepted": 0}], **changed,
    }  # fmt: skip


def text(folder) -> str:
    return "\n".join(read_status(folder, now=lambda: NOW).lines())


def test_committed_slots_are_counted_by_state_and_split(folder):
    write_json(folder / "data" / "train-000000.json", marker("train-000000", unfilled=[(3, "awe"), (4, "awe"), (5, "joy")], quarantined=[(7, "died")]))
    write_json(folder / "data" / "val-000000.json", marker("val-000000"))
    status = read_status(folder)
    assert status.shards == 2
    assert status.counts == {"slots": 20, "accepted": 16, "unfilled": 3, "quarantined": 1, "rejected": 10, "attempts": 26}
    assert list(status.splits) == ["train", "val"]
    assert status.splits["val"]["accepted"] == 10
    assert status.unfilled == {"awe": 2, "joy": 1}
    assert "unfilled    3 (awe 2, joy 1)" in text(folder)
    assert "slot 7: died" in text(folder)


def test_a_part_says_how_far_it_is_and_when_it_ends(folder):
    write_json(folder / "progress.json", progress())
    status = read_status(folder, now=lambda: NOW)
    assert status.seconds_left == 68.0
    assert status.slots == 100
    assert "run           32 of 100 slots resolved, 2.00 attempts/s, 50% accepted, 2 workers, about 1:08 left (written 3 s ago)" in text(folder)
    assert "last event  worker 1 died" in text(folder)
    assert "hardest       awe 1 of 9" in text(folder)
    assert "cell 4 awe 0 of 5" in text(folder)


def test_several_parts_end_with_the_slowest(folder):
    for number, left in ((0, 5.0), (1, 500.0), (2, 50.0)):
        write_json(folder / f"progress-{number}-of-3.json", progress(part=[number, 3], seconds_left=left))
    assert read_status(folder, now=lambda: NOW).seconds_left == 500.0
    assert "part 2 of 3   32 of 100 slots" in text(folder)


def test_a_driver_that_was_killed_is_told_from_one_that_ended(folder):
    write_json(folder / "progress.json", progress(written=NOW - 3600))
    assert "so it has probably been killed" in text(folder)
    write_json(folder / "progress.json", progress(written=NOW - 3600, final=True))
    assert "its command has ended" in text(folder)
    assert read_status(folder).seconds_left is None


def test_who_drives_the_folder_is_named(folder):
    with Lease(folder):
        (driver,) = read_status(folder).drivers
        assert driver.heartbeat_age_seconds < 60
        assert f"process {driver.pid}, heartbeat" in "\n".join(read_status(folder).lines())
    assert read_status(folder).drivers == ()


def test_names_cannot_move_the_cursor(folder):
    write_json(folder / "data" / "train-000000.json", marker("train-000000", unfilled=[(3, "\x1b[2Jawe")], quarantined=[(7, "died\x1b]0;title\x07")]))
    write_json(folder / "progress.json", progress(events=[{"time": 0, "text": "a\x1b[31m"}]))
    assert "\x1b" not in text(folder) and "\x07" not in text(folder)


def test_slots_of_a_planned_run_come_from_its_manifest(folder):
    assert read_status(folder).slots is None
    (folder / "manifest").mkdir()
    for number in range(2):
        pq.write_table(pa.table({"slot": range(30)}), folder / "manifest" / f"part-{number:05d}.parquet")
    assert read_status(folder).slots == 60


def test_a_folder_that_is_no_run_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no config.yaml"):
        read_status(tmp_path)


def test_a_run_that_was_made_agrees_with_its_files(folder):
    plan = small_plan()
    assert fill(folder, plan=plan, spec=ColouredSpec(acceptance=0.5), max_attempts=2)
    status = read_status(folder)
    assert status.slots == status.counts["slots"] == plan.num_slots
    assert status.shards == len(plan.shards())
    assert sum(status.unfilled.values()) == status.counts["unfilled"] > 0
    assert status.parts[0].final and status.parts[0].resolved == plan.num_slots
    assert status.worst_expressions and status.worst_cells


def test_json_says_the_same(folder):
    write_json(folder / "data" / "train-000000.json", marker("train-000000"))
    write_json(folder / "progress.json", progress())
    result = CliRunner().invoke(main, ["status", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["counts"]["accepted"] == 10
    assert json.loads(result.output)["parts"][0]["part"] == [0, 1]


def test_a_thousand_shards_are_read_within_a_second(folder):
    (folder / "data").mkdir()
    for number in range(1000):
        found = marker(f"train-{number:06d}", slots=1000, unfilled=[(slot, "awe") for slot in range(10)])
        (folder / "data" / f"train-{number:06d}.json").write_text(json_text(found))
    write_json(folder / "progress.json", progress())
    start = time.process_time()
    assert read_status(folder).counts["slots"] == 1_000_000
    assert time.process_time() - start <= 1.0  # 0.2 s on an idle machine


def test_neither_ray_nor_torch_nor_arrow_is_loaded(folder):
    write_json(folder / "progress.json", progress())
    program = "import sys; from jobs.cli import main; main(sys.argv[1:], standalone_mode=False); "
    program += "print([name for name in ('ray', 'torch', 'pyarrow', 'pandas') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program, "status", str(folder)], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
