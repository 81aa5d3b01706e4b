from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
from pathlib import Path

import pytest

from jobs.recheck_shards import SPARE, ShardRewriter
from jobs.reopen import answers_of_shard
from jobs.retry import ask_again, close_retries, reopen_shards
from jobs.shards import read_markers
from manifests.verdicts import QCVerdict
from tests.jobs.coloured import ColouredSpec, fill, provenance, small_plan, tree

ATTEMPTS = 3
AS_MADE, OTHER = "0" * 64, "1" * 64
POISONED = ColouredSpec(acceptance=0.6, raising_slots=(1, 14))


class Killed(BaseException):
    pass


def at_least(limit):
    """Accepts pictures from a score on."""

    def judging(answers, rows, spare):
        return [dataclasses.replace(answer, verdict=passed(answer, answer.verdict.measurements["gate_similarity"] >= limit)) for answer in answers]

    return judging


def passed(answer, yes):
    return QCVerdict(accepted=bool(yes), reasons=() if yes else ("identity",), measurements=answer.verdict.measurements)


def as_before(folder):
    """Accepts what was accepted, whatever the score."""
    answers = [answer for marker in read_markers(folder).values() for answer in answers_of_shard(folder, marker)[0]]
    known = {(answer.slot, answer.attempt): answer.verdict.accepted for answer in answers}

    def judging(answers, rows, spare):
        return [dataclasses.replace(answer, verdict=passed(answer, known[answer.slot, answer.attempt])) for answer in answers]

    return judging


def rewrite(folder, judging, run_hash, *, repeated=False):
    markers = read_markers(folder)
    rewriter = ShardRewriter(folder, small_plan(), provenance(run_hash), judging, unchanged=lambda shard: False, repeated=repeated)
    try:
        for shard in small_plan().shards():
            rewriter.rewrite(shard, markers.get(shard.name))
    finally:
        rewriter.close()


def slots(folder, state):
    return {entry["slot"]: entry["reason"] for marker in read_markers(folder).values() for entry in marker[state]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    assert fill(folder, spec=POISONED, max_attempts=ATTEMPTS)
    assert slots(folder, "unfilled") and slots(folder, "quarantined")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "out")


@pytest.mark.parametrize("limit", [0.0, 0.3, 0.8, 2.0])
def test_other_limits_and_back_give_the_same_bytes(made, folder, limit):
    rewrite(folder, at_least(limit), OTHER)
    assert tree(folder) != tree(made)
    rewrite(folder, as_before(made), AS_MADE)
    assert tree(folder) == tree(made)
    assert not [path for path in (folder / SPARE).rglob("*") if path.is_file()]


def test_a_slot_is_filled_by_its_smallest_stored_attempt_that_passes(made, folder):
    rewrite(folder, at_least(0.3), OTHER)
    expected = {}
    for marker in read_markers(made).values():
        for answer in answers_of_shard(made, marker)[0]:
            if answer.verdict.measurements["gate_similarity"] >= 0.3:
                expected.setdefault(answer.slot, (answer.attempt, answer.image))
    found = {}
    for marker in read_markers(folder).values():
        for answer in answers_of_shard(folder, marker)[0]:
            if answer.verdict.accepted:
                found[answer.slot] = (answer.attempt, answer.image)
    assert found == expected


def test_a_slot_that_lost_its_picture_says_recheck_and_one_without_attempts_left_keeps_its_reason(made, folder):
    rewrite(folder, at_least(2.0), OTHER)
    reasons = slots(folder, "unfilled")
    assert all(reasons[slot] == reason for slot, reason in slots(made, "unfilled").items())
    assert {reason for slot, reason in reasons.items() if slot not in slots(made, "unfilled")} == {"recheck"}
    assert slots(folder, "quarantined") == slots(made, "quarantined")
    assert not [*(folder / "data").glob("*.tar")]


def test_pictures_that_are_not_needed_now_are_kept(made, folder):
    def attempts(place):
        return sum(marker["counts"]["attempts"] for marker in read_markers(place).values())

    rewrite(folder, at_least(0.0), OTHER)
    assert attempts(folder) < attempts(made)
    rewrite(folder, at_least(2.0), AS_MADE)
    assert attempts(folder) == attempts(made)


def test_retry_fills_what_lost_its_picture(folder):
    rewrite(folder, at_least(0.8), AS_MADE, repeated=True)
    lost = {slot for slot, reason in slots(folder, "unfilled").items() if reason == "recheck"}
    ask_again(folder, ATTEMPTS, unfilled=True, quarantined=False, attempts=5)
    reopened = reopen_shards(folder, AS_MADE).max_attempts
    assert fill(folder, spec=POISONED, max_attempts=ATTEMPTS, reopened=reopened)
    close_retries(folder)
    assert lost and len(lost & set(slots(folder, "unfilled"))) < len(lost)


def test_killed_at_any_change_of_a_file_it_ends_the_same(made, tmp_path, monkeypatch):
    whole = shutil.copytree(made, tmp_path / "whole")
    rewrite(whole, at_least(0.3), OTHER)
    for step in itertools.count(step=3):
        folder = shutil.copytree(made, tmp_path / f"killed-{step}")
        with monkeypatch.context() as patch:
            left = itertools.count(step, -1)
            for owner, name in ((Path, "unlink"), (os, "replace")):
                patch.setattr(owner, name, killing(getattr(owner, name), left))
            try:
                rewrite(folder, at_least(0.3), OTHER)
                break
            except Killed:
                pass
        rewrite(folder, at_least(0.3), OTHER)
        assert tree(folder) == tree(whole)
        shutil.rmtree(folder)
    assert step > 50


def killing(done, left):
    def change(*words, **options):
        if next(left) == 0:
            raise Killed
        return done(*words, **options)

    return change
