from __future__ import annotations

import json

import pytest

from jobs.progress import Counts, ProgressLine, clock, describe, rate_of


def counts(**changed):
    return Counts(**{"slots": 100, "skipped": 0, "accepted": 0, "rejected": 0, "unfilled": 0, **changed})


def test_the_time_left_follows_from_rate_and_acceptance():
    rate = rate_of(counts(accepted=20, rejected=20, skipped=40), 10.0)
    assert (rate.attempts_per_second, rate.acceptance) == (4.0, 0.5)
    assert rate.seconds_left == pytest.approx(40 / 0.5 / 4.0)


def test_nothing_is_promised_before_anything_passed():
    assert rate_of(counts(), 0.0).seconds_left is None
    assert rate_of(counts(rejected=5), 2.0).seconds_left is None
    assert rate_of(counts(skipped=100), 2.0).seconds_left == 0.0


def test_a_line_has_counts_rate_acceptance_and_time():
    now = counts(accepted=20, rejected=20, unfilled=1)
    assert describe(now, rate_of(now, 10.0)) == "21 of 100 slots, 4.00 attempts/s, 50% accepted, 1 unfilled, 0:40 left"
    assert clock(3725) == "1:02:05"


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_a_file(tmp_path, capsys):
    time = iter([0.0, 1.0, 5.0, 10.5, 12.0, 13.0])
    with ProgressLine(tmp_path, now=lambda: next(time)) as line:
        for accepted in range(1, 5):
            line.show(counts(accepted=accepted))
        line.show(counts(accepted=5), final=True)
    assert [text.split(" of ")[0] for text in capsys.readouterr().out.splitlines()] == ["3", "5"]
    assert json.loads((tmp_path / "progress.json").read_text())["accepted"] == 5
