from __future__ import annotations

import errno
import hashlib
import resource
from contextlib import contextmanager

import pytest

from jobs.files import UNFINISHED, cannot_write, file_sizes, open_read, read_json, read_jsons, sha256_of, whole_file, write_json, write_once, write_whole
from manifests.errors import InputError, ResumeMismatch, StorageError


@contextmanager
def longest_file(size):
    """Files of this process can't grow beyond the size: a write fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_written_in_pieces_is_there_only_when_it_is_whole(tmp_path):
    path = tmp_path / "below" / "a.bin"
    with whole_file(path) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
        assert [item.name.endswith(UNFINISHED) for item in path.parent.iterdir()] == [True]
    assert path.read_bytes() == b"one two"
    assert (file.size, file.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert [item.name for item in path.parent.iterdir()] == ["a.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "a", "old")
    with pytest.raises(KeyError), whole_file(tmp_path / "a") as file:
        file.write(b"new")
        raise KeyError
    assert (tmp_path / "a").read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_a_disk_that_gets_full_is_said_and_nothing_is_left(tmp_path):
    with longest_file(1000), pytest.raises(StorageError, match="a.bin can't be written .*, then run the same command again"):
        write_whole(tmp_path / "a.bin", b"x" * 5000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "Make room on the disk"), (errno.EDQUOT, "quota"), (errno.EACCES, "permissions"), (errno.EROFS, "read-only"), (errno.EIO, "Make room or")],
)
def test_the_remedy_is_that_of_the_cause(tmp_path, number, remedy):
    error = cannot_write(tmp_path / "a", OSError(number, "reason"))
    assert remedy in str(error) and error.exit_code == 75


def test_what_is_written_once_stays(tmp_path):
    path = tmp_path / "marker.json"
    digest = write_once(path, "content")
    before = path.stat().st_mtime_ns
    assert write_once(path, "content") == digest == sha256_of(path)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ResumeMismatch, match="another --out"):
        write_once(path, "other")
    assert path.read_text() == "content"


def test_json_comes_back(tmp_path):
    places = [tmp_path / f"{number}.json" for number in range(3)]
    for number, place in enumerate(places):
        write_json(place, {"number": number, "text": "ü"})
    assert read_jsons(places) == [{"number": number, "text": "ü"} for number in range(3)]
    assert file_sizes(tmp_path) == {place.name: place.stat().st_size for place in places}
    assert file_sizes(tmp_path / "nowhere") == {}


def test_json_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_json(tmp_path / "a.json")


def test_a_file_is_read_from_any_place(tmp_path):
    write_whole(tmp_path / "a", b"0123456789")
    with open_read(tmp_path / "a") as stream:
        stream.seek(-3, 2)
        assert stream.read() == b"789"
