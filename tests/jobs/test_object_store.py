from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from jobs.bucket import TRIES, ObjectStore
from jobs.cli import main
from jobs.files import drop_unfinished, file_sizes, open_read, sha256_of, whole_file, write_json, write_once, write_whole
from jobs.locations import absolute_text, below, found, location
from jobs.object_store import ObjectPath
from jobs.shards import committed_shards, read_markers
from jobs.stages import run_stage
from manifests.errors import ResumeMismatch, StorageError
from tests.jobs.coloured import fill, small_plan, tree
from tests.jobs.faulty_store import KINDS, FaultyFilesystem
from tests.jobs.store_server import BUCKET

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert fill(folder)
    return tree(folder)


def test_a_text_names_a_place_here_or_in_a_store():
    assert location("out/demo") == Path("out/demo") and location("file:///out/a%20b") == Path("/out/a b")
    for text in ("s3://bucket/a/b", "gs://bucket/a", "s3://bucket/a?endpoint_override=http://127.0.0.1:9000&region=eu-west-1"):
        assert isinstance(location(text), ObjectPath)
        assert str(location(text)) == absolute_text(location(text)) == text
        assert copy.copy(location(text)) == location(text)  # as it travels to other processes
    assert absolute_text(Path("out")) == str(Path.cwd() / "out")


def test_a_path_in_a_store_is_taken_apart_as_others_are():
    for key in ("a/b.tar.gz", "a/b/c", "a"):
        path, other = location(f"s3://bucket/{key}"), PurePosixPath(key)
        assert (path.name, path.stem, path.suffix) == (other.name, other.stem, other.suffix)
        assert str(path / "x" / "y.z") == f"s3://bucket/{other / 'x' / 'y.z'}"
        assert path.with_name("n") == location(f"s3://bucket/{other.with_name('n')}")
        assert (path / "x").parent == path and below(path / "x" / "y", path) == "x/y"
    with pytest.raises(ValueError, match="not below"):
        location("s3://bucket/a").relative_to(location("s3://other"))


@pytest.mark.parametrize(
    ("address", "said"),
    [("s3://", "names no bucket"), ("ftp://host/a", '"ftp://" is not a kind of place'), ("s3://key:hush@bucket/a", "holds credentials. Leave them out")],
)
def test_an_address_that_cannot_be_is_said_without_its_secrets(address, said):
    result = CliRunner().invoke(main, ["status", address])
    assert result.exit_code == 2 and said in result.output and "hush" not in result.output


def visit(folder):
    """What a run folder is asked, as plain values."""
    write_whole(folder / "a" / "one.txt", "1")
    write_whole(folder / "a" / "two.json", "22")
    write_whole(folder / "a" / "deep" / "three.txt", "333")
    one = folder / "a" / "one.txt"
    seen = [
        one.exists(), one.is_file(), one.is_dir(), one.read_text(encoding="utf-8"), one.read_bytes(), one.stat().st_size,
        folder.exists(), (folder / "a").is_dir(), (folder / "a").is_file(), (folder / "no").exists(),
        [path.name for path in found(folder / "a", "*")], [path.name for path in found(folder / "a", "*.txt")], found(folder / "no", "*"),
        sorted(below(path, folder) for path in folder.rglob("*.txt")), sorted(path.name for path in (folder / "a").iterdir()),
        file_sizes(folder / "a"), file_sizes(folder / "no"), sha256_of(one), drop_unfinished(folder),
    ]  # fmt: skip
    one.unlink()
    one.unlink(missing_ok=True)
    for question in (one.unlink, one.read_bytes, one.stat, lambda: open_read(one)):
        with pytest.raises(FileNotFoundError):
            question()
    return [*seen, one.exists(), [path.name for path in found(folder / "a", "*.txt")]]


def test_a_folder_in_a_store_answers_as_one_on_disk(run_folder, tmp_path):
    assert visit(run_folder) == visit(tmp_path / "run")


def test_an_object_appears_when_it_is_whole_and_never_after_an_error(run_folder):
    place = run_folder / "big.bin"
    content = os.urandom(12 << 20)  # more than one part of an upload
    with pytest.raises(KeyError), whole_file(place) as file:
        file.write(content)
        raise KeyError
    assert not place.exists()
    with whole_file(place) as file:
        file.write(content[:100])
        file.write(content[100:])
        assert not place.exists()
    assert place.stat().st_size == file.size == len(content) and sha256_of(place) == file.sha256


def test_an_object_is_read_from_any_place(run_folder):
    table = pa.table({"number": list(range(10_000))})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    write_whole(run_folder / "t.parquet", sink.getvalue().to_pybytes())
    with open_read(run_folder / "t.parquet") as stream:
        assert pq.read_table(stream).equals(table)
        stream.seek(-4, 2)
        assert stream.read() == b"PAR1" and stream.read() == b""


def test_a_marker_that_is_there_is_not_replaced(run_folder):
    write_once(run_folder / "m.json", "{}")
    write_once(run_folder / "m.json", "{}")
    with pytest.raises(ResumeMismatch, match="another --out"):
        write_once(run_folder / "m.json", "[]")
    assert (run_folder / "m.json").read_text() == "{}"


def test_a_bucket_that_is_not_there_is_said_at_once(run_folder):
    with pytest.raises(StorageError, match="NO_SUCH_BUCKET.*tried 1 times. Check the address"):
        write_whole(location("s3://nowhere/a"), b"x")


def test_what_may_pass_is_tried_five_times_and_no_secret_is_said(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")

    class Away:
        calls = 0

        def get_file_info(self, what):
            self.calls += 1
            raise OSError("no answer for hush-hush\nafter 3 s")

    store = Away()
    path = ObjectPath(ObjectStore("s3", "bucket", filesystem=store, first_wait_seconds=0.001), "a")
    with pytest.raises(StorageError, match=r"s3://bucket/a can't be looked up \(no answer for \*\*\* after 3 s\), tried 5 times. Check the network"):
        path.exists()
    assert store.calls == TRIES


def test_a_stage_is_done_once_in_a_store(run_folder):
    calls = []

    def work():
        calls.append(1)
        write_json(run_folder / "a" / "out.json", {})
        return [run_folder / "a" / "out.json"]

    first = run_stage(run_folder, "plan", {"recipe": "a"}, work)
    assert run_stage(run_folder, "plan", {"recipe": "a"}, work) == first and list(first) == ["a/out.json"] and len(calls) == 1


def test_a_run_in_a_store_has_the_bytes_of_one_on_disk(run_folder, whole):
    assert fill(run_folder)
    assert tree(run_folder) == whole
    assert fill(run_folder)
    assert tree(run_folder) == whole
    with pytest.raises(ResumeMismatch, match="use another --out"):
        committed_shards(run_folder, "f" * 64)


def test_commands_take_a_store_as_run_folder(run_address, run_folder, tmp_path):
    words = ["identities.sampled.count=2", "scenes.bundled=1"]
    for out in (run_address, str(tmp_path)):
        result = CliRunner().invoke(main, ["plan", "demo", "--out", out, *words])
        assert result.exit_code == 0, result.output
    assert tree(run_folder) == tree(tmp_path) and "config.yaml" in tree(run_folder)
    result = CliRunner().invoke(main, ["status", run_address])
    assert result.exit_code == 0 and "plan" in result.output
    result = CliRunner().invoke(main, ["plan", "demo", "--out", run_address, *words, "seed=5"])
    assert result.exit_code == 2 and "seed: was" in result.output


def test_a_killed_run_in_a_store_goes_on_to_the_same_bytes(run_folder, run_address, whole):
    command = [sys.executable, "-m", "tests.jobs.coloured", run_address, "--seconds", "0.2"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list((run_folder / "data").glob("*.json")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_markers(run_folder)) < 4
    assert fill(run_folder)
    assert tree(run_folder) == whole


def test_a_run_in_a_store_that_lost_an_object_makes_its_shard_again(run_folder, whole):
    assert fill(run_folder)
    next(path for path in (run_folder / "data").glob("*.tar")).unlink()
    assert fill(run_folder)
    assert tree(run_folder) == whole


@pytest.mark.parametrize("seed", range(2))
def test_with_a_tenth_of_all_requests_failing_the_bytes_are_the_same(run_folder, tmp_path, seed):
    plan = small_plan(shard_size=3)
    assert fill(tmp_path, plan=plan)
    faulty = FaultyFilesystem(run_folder.store.filesystem, rate=0.1, seed=seed)
    folder = ObjectPath(ObjectStore("s3", BUCKET, filesystem=faulty, first_wait_seconds=0.001), run_folder.key)
    for _ in range(5):
        try:
            if fill(folder, plan=plan):
                break
        except StorageError:  # five faults one after the other: the same command again
            continue
    assert tree(run_folder) == tree(tmp_path)
    assert faulty.requests > 120 and sum(faulty.faults.values()) >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_borne(run_folder, kind):
    faulty = FaultyFilesystem(run_folder.store.filesystem, rate=0.0, seed=0)
    folder = ObjectPath(ObjectStore("s3", BUCKET, filesystem=faulty, first_wait_seconds=0.001), run_folder.key)
    faulty.coming = [kind]
    write_whole(folder / "a", b"content")
    faulty.coming = [kind]
    assert (folder / "a").read_bytes() == (run_folder / "a").read_bytes() == b"content"
    faulty.coming = [kind]
    with open_read(folder / "a") as stream:
        assert stream.read() == b"content"
    faulty.coming = [kind]
    assert [path.name for path in folder.glob("*")] == ["a"]
    faulty.coming = [kind]
    (folder / "a").unlink()
    assert not (run_folder / "a").exists() and faulty.faults[kind]
