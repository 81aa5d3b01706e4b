from __future__ import annotations

import dataclasses
import random

import pytest

from jobs.attempts import Answer
from jobs.staging import Quarantined, StagingLog
from manifests.errors import StorageError
from manifests.verdicts import QCVerdict
from tests.jobs.test_files import longest_file

RUN = "a" * 64
SHARD = "train-000000"


def answer(slot, attempt=0):
    draw = random.Random(slot * 100 + attempt)
    return Answer(
        slot=slot,
        attempt=attempt,
        seed=2**63 - 1 - slot,
        image=draw.randbytes(40 + slot),
        label_map=draw.randbytes(slot),
        width=16,
        height=9,
        pixel_sha256="f" * 64,
        verdict=QCVerdict(accepted=False, reasons=("identity", "pose"), measurements={"gate_similarity": 0.1 + 0.2, "faces": 1}),
        labels={"bbox": (1.0, 1 / 3), "sim_gate_ref": 1e-300, "n_side": 7, "identity_source": "sampled", "none": None, "flag": True},
    )


def logged(folder, answers, *, failures=()):
    log = StagingLog(folder, RUN)
    for item in answers:
        log.append(SHARD, [item])
    for failure in failures:
        log.append_failure(SHARD, failure)
    log.close()


def read(folder):
    log = StagingLog(folder, RUN)
    staged = log.read(SHARD)
    pictures = [log.pictures(item) for item in staged.answers]
    log.close()
    return [dataclasses.replace(item.answer, image=image, label_map=labels) for item, (image, labels) in zip(staged.answers, pictures, strict=True)]


def log_file(folder):
    return next((folder / "staging").glob("*.log"))


@pytest.fixture(params=["here", "in a store"])
def folder(request, tmp_path):
    return tmp_path if request.param == "here" else request.getfixturevalue("run_folder")


def test_answers_and_failures_come_back_as_they_were(folder):
    failure = Quarantined(slot=3, attempt=2, kind="raised", message="ValueError: ü")
    answers = [answer(0), answer(1), answer(1, 1)]
    logged(folder, answers, failures=[failure])
    assert read(folder) == answers
    log = StagingLog(folder, RUN)
    assert log.read(SHARD).quarantined == [failure]
    assert all(not item.answer.image and not item.answer.label_map for item in log.read(SHARD).answers)
    log.close()


def test_what_append_gives_is_what_read_gives(folder):
    log = StagingLog(folder, RUN)
    staged = log.append(SHARD, [answer(0), answer(1)]) + log.append(SHARD, [answer(2)])
    assert log.read(SHARD).answers == staged
    assert [log.pictures(item) for item in staged] == [(answer(slot).image, answer(slot).label_map) for slot in range(3)]
    log.close()
    later = StagingLog(folder, RUN)
    assert later.read(SHARD).answers == staged
    later.close()


def test_a_log_goes_on_after_what_an_earlier_command_wrote(folder):
    logged(folder, [answer(0)])
    logged(folder, [answer(1)])
    assert read(folder) == [answer(0), answer(1)]


def test_only_logs_of_this_run_and_open_shards_stay(folder):
    for run, shard in ((RUN, SHARD), (RUN, "val-000000"), ("b" * 64, SHARD)):
        log = StagingLog(folder, run)
        log.append(shard, [answer(0)])
        log.close()
    log = StagingLog(folder, RUN)
    log.drop_foreign({SHARD})
    assert len(list((folder / "staging").glob("*.log"))) == 1
    assert log.read(SHARD).answers and not log.read("val-000000").answers
    log.drop(SHARD)
    assert not list((folder / "staging").glob("*.log"))
    log.close()


def test_a_torn_tail_is_cut_off(tmp_path):
    logged(tmp_path, [answer(0), answer(1)])
    whole = log_file(tmp_path).stat().st_size
    logged(tmp_path, [answer(2)])
    content = log_file(tmp_path).read_bytes()
    for end in (whole, whole + 1, whole + 16, whole + 300, len(content) - 1):
        log_file(tmp_path).write_bytes(content[:end])
        assert read(tmp_path) == [answer(0), answer(1)]
        assert log_file(tmp_path).stat().st_size == whole


@pytest.mark.parametrize("content", [b"", b"FMS1" + bytes(40), b"PK\x03\x04" * 9, b"FMS2" + b"\xff" * 12])
def test_a_file_that_is_no_log_is_begun_anew(tmp_path, content):
    logged(tmp_path, [answer(0)])
    log_file(tmp_path).write_bytes(content)
    assert read(tmp_path) == []
    logged(tmp_path, [answer(1)])
    assert read(tmp_path) == [answer(1)]


def test_a_write_that_fails_leaves_the_log_as_it_was(tmp_path):
    log = StagingLog(tmp_path, RUN)
    log.append(SHARD, [answer(0)])
    with longest_file(log_file(tmp_path).stat().st_size + 30), pytest.raises(StorageError, match="run the same command again"):
        log.append(SHARD, [answer(1)])
    (staged,) = log.append(SHARD, [answer(2)])
    assert log.pictures(staged) == (answer(2).image, answer(2).label_map)
    log.close()
    assert read(tmp_path) == [answer(0), answer(2)]


def segments(folder):
    return sorted((folder / "staging").glob("*.log"))


def test_segments_are_uploaded_after_eight_appends_or_two_seconds(run_folder):
    clock = [0.0]
    log = StagingLog(run_folder, RUN, now=lambda: clock[0])
    for slot in range(7):
        log.append(SHARD, [answer(slot)])
    assert not segments(run_folder)
    log.append(SHARD, [answer(7)])
    assert [path.name for path in segments(run_folder)] == [f"{SHARD}.{RUN[:16]}.000000.log"]
    clock[0] = 2.5
    log.append(SHARD, [answer(8)])
    assert len(segments(run_folder)) == 2
    log.append(SHARD, [answer(9)])
    log.close()
    assert len(segments(run_folder)) == 3
    assert read(run_folder) == [answer(slot) for slot in range(10)]


@pytest.mark.parametrize("damage", ["torn", "missing", "flipped"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_damaged_segment_loses_only_its_own_answers(run_folder, damage, which):
    for slot in range(3):
        logged(run_folder, [answer(2 * slot), answer(2 * slot + 1)])
    segment = segments(run_folder)[which]
    content = segment.read_bytes()
    if damage == "missing":
        segment.unlink()
    else:
        segment.store.put(segment.key, content[:-1] if damage == "torn" else content[:20] + bytes([content[20] ^ 1]) + content[21:])
    lost = {"missing": [2 * which, 2 * which + 1], "torn": [2 * which + 1], "flipped": [2 * which, 2 * which + 1]}[damage]
    assert read(run_folder) == [answer(slot) for slot in range(6) if slot not in lost]
    logged(run_folder, [answer(6)])
    assert read(run_folder)[-1] == answer(6)
