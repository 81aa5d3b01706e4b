from __future__ import annotations

import contextlib
import dataclasses
import gc
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jobs.attempts import Attempt
from jobs.pictures import read_attempts, read_labels, read_pictures
from jobs.reopen import answers_of_shard
from jobs.scheduler import ShardOutcome
from jobs.shards import commit_shard, committed_shards, drop_unfinished_of, read_markers
from jobs.staging import StagingLog
from manifests.errors import ResumeMismatch
from manifests.records import CLASS_NAMES, LABEL_SCHEMA, SLOT_SCHEMA
from manifests.rows import ShardPlan
from manifests.vocabulary import vocabulary
from tests.jobs.coloured import ColouredSpec, fill, provenance, small_plan, tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert fill(folder)
    return folder


def accepted(folder):
    return sum(marker["counts"]["accepted"] for marker in read_markers(folder).values())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")  # both libraries leave files to the collector
def test_webdataset_reads_the_shards(folder):
    import webdataset

    urls = [str(path) for path in sorted((folder / "data").glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len(samples) == accepted(folder)
    for sample in samples:
        assert {"png", "json", "seg.png"} <= set(sample)
        label = json.loads(sample["json"])
        assert label["sample_id"] == sample["__key__"]
        assert Image.open(io.BytesIO(sample["png"])).size == (16, 16)
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_datasets_reads_the_shards_and_the_labels(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    tars = [str(path) for path in sorted((folder / "data").glob("train-*.tar"))]
    pictures = datasets.load_dataset("webdataset", data_files=tars, split="train", cache_dir=str(tmp_path))
    assert pictures.num_rows == sum(marker["counts"]["accepted"] for marker in read_markers(folder).values() if marker["split"] == "train")
    assert pictures[0]["png"].size == (16, 16) and pictures[0]["json"]["sample_id"] == pictures[0]["__key__"]
    tables = [str(path) for path in sorted((folder / "data").glob("train-*.parquet"))]
    labels = datasets.load_dataset("parquet", data_files=tables, split="train", cache_dir=str(tmp_path))
    assert labels.num_rows == pictures.num_rows
    assert labels.features["expression_affectnet8"].names == list(CLASS_NAMES["expression_affectnet8"])
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("acceptance", [1.0, 0.0])
def test_datasets_reads_a_shard_that_begins_with_words_without_a_class(tmp_path, monkeypatch, acceptance):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    ordered = sorted(small_plan(shard_size=18).row_list(0, 18), key=lambda row: row.expression != "neutral")  # neutral is of no Shaver family
    rows = [dataclasses.replace(row, slot=slot) for slot, row in enumerate(ordered)]
    worker = ColouredSpec(acceptance=acceptance).build()
    answers = worker([Attempt(row=row, attempt=0, seed=row.slot) for row in rows])
    filled = {row.slot: 0 for row in rows} if acceptance else {}
    plan = ShardPlan(split="train", index=0, start=0, stop=18)
    outcome = ShardOutcome(plan=plan, filled=filled, unfilled=() if acceptance else tuple(range(18)), tried={} if acceptance else dict.fromkeys(range(18), 1))
    commit(tmp_path, outcome, rows, answers)
    place = "data" if acceptance else "rejected"
    pictures = datasets.load_dataset("webdataset", data_files=[str(tmp_path / place / "train-000000.tar")], split="train", cache_dir=str(tmp_path / "cache"))
    assert [label["expression_primary6"] for label in pictures["json"]][:7] == [""] * 6 + ["joy" if rows[6].expression == "happiness" else "anger"]
    gc.collect()


def commit(folder, outcome, rows, answers, set_aside=()):
    """A shard committed from answers, by way of a staging log."""
    log = StagingLog(folder, provenance().run_hash)
    with contextlib.closing(log):
        staged = log.append(outcome.plan.name, answers)
        words = {word.word: word for word in vocabulary()}
        marker = commit_shard(folder, outcome, rows, staged, set_aside, provenance(), words, log.pictures)
        log.drop(outcome.plan.name)
    return marker


def test_pandas_reads_the_labels_with_the_documented_types(folder):
    labels = pd.concat([pd.read_parquet(path) for path in sorted((folder / "data").glob("*.parquet"))], ignore_index=True)
    assert list(labels.columns) == LABEL_SCHEMA.names and len(labels) == accepted(folder)
    assert labels["sample_id"].is_unique and labels["qc_accepted"].all()
    assert labels["seed"].dtype == np.uint64 and labels["sim_gate_ref"].dtype == np.float32
    assert labels["sim_audit_ref"].isna().all()  # what was not measured is missing, not 0
    assert set(labels["req_expression_word"]) <= {"neutral", "happiness", "anger"}
    assert labels["qc_reject_reason"].isna().all()


def test_splits_share_no_identity(folder):
    labels = read_labels(folder, "data", ["split", "identity_id"])
    train, val = (set(labels.loc[labels["split"] == name, "identity_id"]) for name in ("train", "val"))
    assert train and val and not train & val


def test_every_attempt_is_kept_with_its_measurements(folder):
    attempts = read_attempts(folder)
    assert len(attempts) == sum(marker["counts"]["attempts"] for marker in read_markers(folder).values())
    assert attempts["slot"].nunique() == small_plan().num_slots
    assert attempts["gate_similarity"].between(0, 1).all()


def test_a_picture_is_found_by_slot_and_attempt(folder):
    attempts = read_attempts(folder)
    pairs = [(int(slot), int(attempt)) for slot, attempt in zip(attempts["slot"], attempts["attempt"], strict=True)]
    pictures = read_pictures(folder, pairs)
    assert sorted(pictures) == pairs
    colours = {pair: np.random.default_rng(int(seed)).integers(0, 256, 3, dtype=np.uint8) for pair, seed in zip(pairs, attempts["seed"], strict=True)}
    assert all((pictures[pair] == colours[pair]).all() for pair in pairs)


@pytest.fixture(scope="module")
def with_failures(tmp_path_factory):
    """A run with filled, unfilled, given up and quarantined slots."""
    folder = tmp_path_factory.mktemp("failures")
    spec = ColouredSpec(acceptance=0.4, raising_slots=(3, 20))
    assert fill(folder, spec=spec, max_attempts=3, cell_attempts=3)
    return folder


def slots_of(folder):
    return pd.concat([pd.read_parquet(path) for path in sorted((folder / "slots").glob("*.parquet"))], ignore_index=True)


def test_every_slot_is_a_row_with_its_status_and_reason(with_failures):
    slots, attempts = slots_of(with_failures), read_attempts(with_failures)
    assert list(slots.columns) == SLOT_SCHEMA.names and slots["slot"].tolist() == list(range(small_plan().num_slots))
    assert set(slots["status"]) == {"filled", "unfilled", "quarantined"} and set(slots["reason"].dropna()) == {"attempts", "cell_attempts", "raised"}
    for slot in slots.to_dict("records"):
        its = attempts[attempts["slot"] == slot["slot"]]
        assert slot["attempts"] == len(its)
        assert (slot["status"] == "filled") == pd.isna(slot["reason"]) == its["accepted"].any() == (not pd.isna(slot["attempt"]))
        assert list(slot["reject_reasons"]) == (["identity"] if (~its["accepted"]).any() else [])
    assert slots.loc[slots["status"] == "quarantined", "slot"].tolist() == [3, 20]


def test_markers_count_and_list_what_is_not_filled(with_failures):
    slots = slots_of(with_failures)
    for marker in read_markers(with_failures).values():
        its = slots[slots["slot"].between(marker["start"], marker["stop"] - 1)]
        counted = its["status"].value_counts()
        assert {name: marker["counts"][name] for name in ("unfilled", "quarantined")} == {name: counted.get(name, 0) for name in ("unfilled", "quarantined")}
        assert marker["counts"]["accepted"] == counted.get("filled", 0) and f"slots/{marker['shard']}.parquet" in marker["files"]
        for status in ("unfilled", "quarantined"):
            rows = its[its["status"] == status]
            assert [(entry["slot"], entry["reason"]) for entry in marker[status]] == list(zip(rows["slot"], rows["reason"], strict=True))


def test_a_shard_committed_again_from_its_files_has_the_same_bytes(with_failures, tmp_path):
    before = {name: content for name, content in tree(with_failures).items() if not name.startswith("quarantine")}
    slots = slots_of(with_failures).set_index("slot")
    for marker in read_markers(with_failures).values():
        answers, set_aside = answers_of_shard(with_failures, marker)
        rows = small_plan().row_list(marker["start"], marker["stop"])
        its = slots.loc[marker["start"] : marker["stop"] - 1]
        outcome = ShardOutcome(
            plan=next(shard for shard in small_plan().shards() if shard.name == marker["shard"]),
            filled={slot: int(attempt) for slot, attempt in its["attempt"].dropna().items()},
            unfilled=tuple(its.index[its["status"] == "unfilled"]),
            given_up=dict(its["reason"][its["reason"] == "cell_attempts"]),
            quarantined=tuple(its.index[its["status"] == "quarantined"]),
            tried={slot: int(number) for slot, number in its["attempts"][its["status"] != "filled"].items()},
        )
        assert commit(tmp_path, outcome, rows, answers, set_aside) == marker
    assert tree(tmp_path) == before
    assert all("can't be made" in failure.message for marker in read_markers(with_failures).values() for failure in answers_of_shard(with_failures, marker)[1])


def test_a_rebuilt_answer_has_the_pictures_and_labels_of_the_worker(folder):
    plan = small_plan()
    worker = ColouredSpec(acceptance=0.6).build()
    for marker in read_markers(folder).values():
        for answer in answers_of_shard(folder, marker)[0]:
            row = plan.row_list(answer.slot, answer.slot + 1)[0]
            made = worker.answer(Attempt(row=row, attempt=answer.attempt, seed=row.seed(plan.spec.run_seed, answer.attempt)))
            same = ("slot", "attempt", "seed", "image", "label_map", "width", "height", "pixel_sha256")
            assert [getattr(answer, name) for name in same] == [getattr(made, name) for name in same]
            assert answer.verdict.reasons == made.verdict.reasons
            assert answer.labels == {**made.labels, "sim_gate_ref": float(np.float32(made.labels["sim_gate_ref"]))}


def test_a_shard_of_another_marker_version_is_refused(folder, tmp_path):
    for path in (folder / "data").glob("*.json"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / path.name).write_text(path.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(ResumeMismatch, match="has version 1, expected 2"):
        committed_shards(tmp_path, provenance().run_hash)


def test_unfinished_files_of_other_shards_are_left_alone(tmp_path):
    (tmp_path / "data").mkdir()
    for name in (".train-000000.tar.a.unfinished", ".train-000001.tar.b.unfinished"):
        (tmp_path / "data" / name).write_bytes(b"")
    drop_unfinished_of(tmp_path, {"train-000001"})
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".train-000000.tar.a.unfinished"]
