from __future__ import annotations

import pytest

from jobs.pace import Counts, Pace, Rate, clock, describe, safe_text, seconds_left


def counts(**changed):
    return Counts(**{"slots": 100, "skipped": 0, "accepted": 0, "rejected": 0, "unfilled": 0, **changed})


def rate(**changed):
    return Rate(**{"attempts_per_second": 4.0, "mean_attempts_per_second": 4.0, "acceptance": 0.5, "seconds_left": None, **changed})


def test_the_time_left_is_attempts_left_over_rate():
    assert seconds_left(counts(accepted=20, rejected=20), 120.0, 4.0) == 30.0


def test_without_an_estimate_the_acceptance_is_taken_to_stay():
    assert seconds_left(counts(accepted=20, rejected=20, skipped=40), None, 4.0) == pytest.approx(40 / 0.5 / 4.0)


def test_nothing_is_promised_before_anything_passed():
    assert seconds_left(counts(), None, 0.0) is None
    assert seconds_left(counts(rejected=5), None, 2.0) is None
    assert seconds_left(counts(rejected=5), 100.0, 0.0) is None


def test_a_run_without_open_slots_is_at_its_end():
    assert seconds_left(counts(skipped=90, unfilled=4, quarantined=6), None, 0.0) == 0.0


def test_a_line_has_counts_rate_acceptance_and_time():
    now = counts(accepted=20, rejected=20, unfilled=1, quarantined=2, workers=3, speculative=10)
    text = describe(now, rate(seconds_left=40.0))
    assert text == "23 of 100 slots, 4.00 attempts/s, 50% accepted, 3 workers, 2 quarantined, 1 unfilled, 20.0% speculative, 0:40 left"
    assert clock(3725) == "1:02:05"


def test_a_large_run_is_said_in_120_columns():
    now = counts(slots=10_000_000, accepted=9_400_000, rejected=6_000_000, unfilled=10_000, quarantined=99, workers=64, speculative=200_000)
    text = describe(now, rate(attempts_per_second=1234.56, seconds_left=359_999.0))
    assert len(text) <= 120
    assert text.endswith("64 workers, 99 quarantined, 99:59:59 left")  # what matters least is left out


@pytest.mark.parametrize("seconds", [0.5, 5.0, 40.0])
def test_the_recent_rate_is_the_rate_however_long_a_batch_takes(seconds):
    pace = Pace(100.0)
    for batch in range(1, 20):
        pace.upto(16 * batch, 100.0 + batch * seconds)
        assert pace.recent(100.0 + batch * seconds) == pytest.approx(16 / seconds)
        assert pace.mean(100.0 + batch * seconds) == pytest.approx(16 / seconds)


def test_the_recent_rate_follows_a_change_and_the_mean_keeps_the_past():
    pace = Pace(0.0)
    for second in range(1, 101):
        pace.upto(10 * second, float(second))
    for second in range(101, 201):
        pace.upto(1000 + 2 * (second - 100), float(second))
    assert pace.recent(200.0) == pytest.approx(2.0, rel=0.2)
    assert pace.mean(200.0) == pytest.approx(6.0)


def test_the_recent_rate_falls_when_nothing_comes():
    pace = Pace(0.0)
    for second in range(1, 11):
        pace.upto(second, float(second))
    assert pace.recent(11.0) == pytest.approx(1.0)
    assert pace.recent(100.0) < 0.1


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\x1b[31mb\x1b]0;title\x07c", "a [31mb ]0;title c"),
        ("two\r\nlines\tand more", "two lines and more"),
        ("left\u202eright", "left right"),
        ("Zoë happy", "Zoë happy"),
    ],
)
def test_text_of_others_has_no_control_characters(text, safe):
    assert safe_text(text) == safe


def test_text_of_others_has_a_bounded_length():
    assert len(safe_text("x" * 10_000)) == 200
