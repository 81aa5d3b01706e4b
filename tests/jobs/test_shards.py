from __future__ import annotations

import dataclasses
import gc
import io
import json
import subprocess
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jobs.attempts import Attempt
from jobs.pictures import read_attempts, read_labels, read_pictures
from jobs.scheduler import ShardOutcome
from jobs.shards import commit_shard, read_markers, tar_bytes
from manifests.records import CLASS_NAMES, LABEL_SCHEMA
from manifests.rows import ShardPlan
from manifests.vocabulary import vocabulary
from tests.jobs.coloured import ColouredSpec, fill, provenance, small_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert fill(folder)
    return folder


def accepted(folder):
    return sum(marker["counts"]["accepted"] for marker in read_markers(folder).values())


def test_a_tar_equals_what_gnu_tar_and_tarfile_read(tmp_path):
    members = [("a.jpg", b"x" * 700), ("a.json", b"{}"), ("b.jpg", b"")]
    (tmp_path / "t.tar").write_bytes(tar_bytes(members))
    listed = subprocess.run(["tar", "-tvf", str(tmp_path / "t.tar")], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in listed.splitlines()] == ["a.jpg", "a.json", "b.jpg"]
    assert "0/0" in listed and "1970-01-01" in listed
    with tarfile.open(tmp_path / "t.tar") as archive:
        assert [(member.name, archive.extractfile(member).read()) for member in archive] == members
        assert all((member.mtime, member.uid, member.gid) == (0, 0, 0) for member in archive.getmembers())


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
    outcome = ShardOutcome(plan=plan, filled=filled, unfilled=() if acceptance else tuple(range(18)))
    commit_shard(tmp_path, outcome, rows, answers, provenance(), {word.word: word for word in vocabulary()})
    place = "data" if acceptance else "rejected"
    pictures = datasets.load_dataset("webdataset", data_files=[str(tmp_path / place / "train-000000.tar")], split="train", cache_dir=str(tmp_path / "cache"))
    assert [label["expression_primary6"] for label in pictures["json"]][:7] == [""] * 6 + ["joy" if rows[6].expression == "happiness" else "anger"]
    gc.collect()


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
