from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from jobs.acceptance import Tally
from jobs.attempts import Attempt
from jobs.cli import main
from jobs.config import config_from_words
from jobs.estimate import estimate, notes_on
from jobs.pilot import Pilot, make_pilot, pilot_rows
from manifests.planner import Plan
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions
from tests.jobs.coloured import ColouredSpec, small_plan


def large_plan(*, identities: int = 50_000, shard_size: int = 10_000) -> Plan:
    return Plan(
        PlanSpec(
            identities=tuple(Identity(identity_id=f"i{number:06d}") for number in range(identities)),
            expressions=tuple(Expression(word=word, intensity=1.0) for word in ("neutral", "happiness")),
            scene_ids=("s0", "s1"),
            scenes="spread",
            views_per_cell=100,
            mode="all",
            split=SplitFractions(train=0.8, val=0.1, test=0.1),
            run_seed=5,
            shard_size=shard_size,
        )
    )


def pilot(**accepted: tuple[int, int]) -> Pilot:
    """Of expression=(accepted, attempts), first attempts at slots of 50 cells that are alike, or of a cell each."""
    cells = []
    for word, (some, of) in accepted.items():
        if of >= 100:
            cells += [Tally(expression=word, accepted=some // 50, rejected=(of - some) // 50)] * 50
        else:
            cells += [Tally(expression=word, accepted=place < some, rejected=place >= some) for place in range(of)]
    firsts = tuple(Tally(expression=word, accepted=some, rejected=of - some, begun=of) for word, (some, of) in accepted.items())
    return Pilot(cells=tuple(cells), firsts=firsts, load_seconds=3.0, batch_seconds=4.0, batch_size=8, sample_bytes=10_000.0)


def test_attempts_hours_bytes_and_price_follow_from_the_pilot():
    plan = small_plan(identities=8)  # 8 people x 3 words x 2 views
    found = estimate(plan, pilot(neutral=(500, 1000), happiness=(500, 1000), anger=(500, 1000)), workers=2, max_attempts=50, price_per_hour=3.0)
    assert (found.slots, found.cells, found.shards) == (48, 24, len(plan.shards()))
    assert found.attempts == pytest.approx(96, rel=0.02)
    assert found.attempt_seconds == 0.5
    assert found.hours == pytest.approx(found.attempts * 0.5 / 2 / 3600)
    assert found.bytes == pytest.approx(found.attempts * 10_000)
    assert found.money == pytest.approx(found.hours * 2 * 3.0)
    assert found.attempts_low <= found.attempts <= found.attempts_high
    assert found.hours_low <= found.hours <= found.hours_high


def test_a_hard_expression_costs_attempts_and_leaves_slots_unfilled():
    found = estimate(small_plan(), pilot(neutral=(200, 200), happiness=(200, 200), anger=(0, 200)), workers=1, max_attempts=6)
    hard = found.expressions[0]
    assert hard.expression == "anger"
    assert hard.tries == pytest.approx(6, rel=0.05)
    assert hard.unfilled == pytest.approx(1, abs=0.1)
    assert found.attempts == pytest.approx(24 * (1 + 1 + 6) / 3, rel=0.05)
    assert found.unfilled == pytest.approx(8, rel=0.1)


def test_the_interval_of_an_expression_is_wilsons():
    found = estimate(small_plan(), pilot(neutral=(8, 10)), workers=1, max_attempts=6)
    assert (found.expressions[0].low, found.expressions[0].high) == (pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))


def test_without_a_pilot_only_the_plan_is_known():
    found = estimate(small_plan(), None, workers=1, max_attempts=6, notes=notes_on(config_from_words(["expressions.words=[joy]"]), piloted=False))
    assert (found.attempts, found.hours, found.bytes, found.unfilled) == (None, None, None, None)
    assert (found.attempts_low, found.attempts_high) == (24, 144)
    assert "attempts      24 to 144" in found.lines()
    assert "without a pilot" in found.lines()[-1]


def test_ten_million_slots_are_estimated_without_their_rows():
    plan = large_plan()
    assert plan.num_slots == 10_000_000
    start = time.process_time()
    found = estimate(plan, pilot(neutral=(5, 10), happiness=(5, 10)), workers=64, max_attempts=8)
    assert time.process_time() - start <= 2.0
    assert found.shards == 1_000
    assert 2 * plan.num_slots < found.attempts < 3 * plan.num_slots


def test_a_pilot_makes_the_attempts_that_the_run_will_make():
    plan = small_plan(identities=40)
    rows = pilot_rows(plan, 60)
    assert len({row.slot for row in rows}) == 60
    assert {row.split for row in rows} == {"train", "val"}
    found = make_pilot(rows, 5, ColouredSpec(acceptance=0.5, batch_seconds=0.01), attempts=60, max_attempts=8, batch_size=4)
    assert sum(tally.attempts for tally in found.cells) == 60
    assert sum(tally.begun for tally in found.cells) == sum(tally.attempts for tally in found.firsts) < 60  # rejected rows are tried again
    assert 0.01 <= found.batch_seconds < 2
    assert found.sample_bytes > 3 * 1024
    worker = ColouredSpec(acceptance=0.5).build()
    begun = (*rows[::2], *rows[1::2])[: sum(tally.begun for tally in found.cells)]
    firsts = [worker([Attempt(row=row, attempt=0, seed=row.seed(5, 0))])[0].verdict.accepted for row in begun]
    assert sum(tally.accepted for tally in found.firsts) == sum(firsts)


def test_a_pilot_that_sees_hard_cells_expects_more_attempts():
    def pilot_of(cells):
        firsts = (Tally(expression="neutral", accepted=50, rejected=50, begun=100),)
        return Pilot(cells=cells, firsts=firsts, load_seconds=1.0, batch_seconds=1.0, batch_size=8, sample_bytes=1.0)

    alike = tuple(Tally(expression="neutral", accepted=1, rejected=1) for _ in range(50))
    unlike = tuple(Tally(expression="neutral", accepted=number % 2, rejected=4 * (1 - number % 2)) for number in range(50))
    expected = [estimate(small_plan(), pilot_of(cells), workers=1, max_attempts=50).attempts for cells in (alike, unlike)]
    assert expected[1] > 2 * expected[0]


def test_a_pilot_is_no_larger_than_the_plan():
    assert [row.slot for row in pilot_rows(small_plan(), 1000)] == list(range(24))


def test_what_the_figures_leave_out_is_said():
    config = config_from_words(["expressions.words=[joy]", "workers=1000", "min_acceptance=0.1"])
    text = " ".join(notes_on(config, piloted=True))
    assert "share the" in text and "given up early" in text


def test_a_real_pilot_of_the_bundled_model(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["plan", "smallest", "--estimate", "--pilot", "4", "--price-per-hour", "2", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["slots"], found["cells"], found["shards"]) == (4, 4, 1)
    assert 0 < sum(item["attempts"] for item in found["expressions"]) <= 4
    assert found["attempt_seconds"] > 0 and found["load_seconds"] > 0 and found["money"] > 0
    assert 4 <= found["attempts"] <= 8
    assert 10_000 < found["sample_bytes"] < 100_000
    assert list(tmp_path.iterdir()) == []
