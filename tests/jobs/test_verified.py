from __future__ import annotations

import json
import os
import time

import pytest

from jobs import verified
from jobs.bundle import check_weights
from jobs.sections import ModelsSection
from jobs.verified import check_files, known_sha256, stamp_folder
from manifests.errors import WeightsError
from manifests.ledger import file_sha256


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file that settled, as far as its stamp is concerned."""
    monkeypatch.setattr(verified, "SETTLED_NS", -1)
    path = tmp_path / "net.onnx"
    path.write_bytes(b"numbers")
    return path


def forge(path, digest):
    """Makes the only stamp say another hash, so that a test sees whether it was believed."""
    (stamp,) = stamp_folder().glob("*.json")
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "sha256": digest}))


def test_a_file_is_read_once_and_its_stamp_believed(weights):
    assert known_sha256(weights) == file_sha256(weights)
    forge(weights, "f" * 64)
    assert known_sha256(weights) == "f" * 64


def test_a_changed_file_is_read_again(weights):
    known_sha256(weights)
    time.sleep(0.02)  # more than a tick of the clock of files
    weights.write_bytes(b"changed")  # as long as before
    assert known_sha256(weights) == file_sha256(weights)


def test_a_changed_file_with_the_old_time_is_read_again(weights):
    known_sha256(weights)
    status = weights.stat()
    time.sleep(0.02)
    weights.write_bytes(b"changed")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert known_sha256(weights) == file_sha256(weights)


def test_a_file_that_changed_a_moment_ago_is_not_believed_from_its_stamp(weights, monkeypatch):
    monkeypatch.setattr(verified, "SETTLED_NS", 60_000_000_000)
    known_sha256(weights)
    forge(weights, "f" * 64)
    assert known_sha256(weights) == file_sha256(weights)


def test_a_torn_stamp_is_written_again(weights):
    known_sha256(weights)
    (stamp,) = stamp_folder().glob("*.json")
    stamp.write_text(stamp.read_text()[:20])
    assert known_sha256(weights) == file_sha256(weights)
    assert json.loads(stamp.read_text())["sha256"] == file_sha256(weights)


def test_a_cache_that_cannot_be_made_is_replaced_by_a_temporary_one(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert stamp_folder().is_dir() and tmp_path / "file" not in stamp_folder().parents


def test_other_weights_are_said_with_what_was_expected(weights):
    with pytest.raises(WeightsError, match=rf"net.onnx has sha256 {file_sha256(weights)[:12]}..., expected ffffffffffff.*another --out"):
        check_files({weights: "f" * 64})


def test_missing_weights_are_said(tmp_path):
    with pytest.raises(WeightsError, match="gone.onnx does not exist.*every node"):
        check_files({tmp_path / "gone.onnx": "f" * 64})


def test_the_bundle_is_whole_and_known_at_once_the_second_time(bundled):
    check_weights(ModelsSection(), {})
    start = time.perf_counter()
    check_weights(ModelsSection(), {})
    assert time.perf_counter() - start < 3.0


def test_a_users_core_that_changed_since_the_run_was_begun_is_refused(bundled, tmp_path):
    (tmp_path / "core.json").write_text("{}")
    with pytest.raises(WeightsError, match="core.json has sha256"):
        check_weights(ModelsSection(core=str(tmp_path)), {"core/core.json": "f" * 64})
