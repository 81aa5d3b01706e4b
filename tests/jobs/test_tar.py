from __future__ import annotations

import io
import subprocess
import tarfile

import pytest

from jobs.tar import MAX_NAME_BYTES, TarWriter, header, tar_bytes
from manifests.errors import InputError

MEMBERS = [("a.jpg", b"x" * 700), ("a.json", b"{}"), ("b.jpg", b""), ("c", b"y" * 512), ("d" * MAX_NAME_BYTES, b"z" * 12345)]


def test_gnu_tar_reads_an_archive(tmp_path):
    (tmp_path / "t.tar").write_bytes(tar_bytes(MEMBERS))
    listed = subprocess.run(["tar", "-tvf", str(tmp_path / "t.tar")], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in listed.splitlines()] == [name for name, _ in MEMBERS]
    assert "0/0" in listed and "1970-01-01" in listed
    subprocess.run(["tar", "-xf", str(tmp_path / "t.tar"), "-C", str(tmp_path)], check=True)
    assert [(tmp_path / name).read_bytes() for name, _ in MEMBERS] == [content for _, content in MEMBERS]


def test_tarfile_reads_an_archive():
    with tarfile.open(fileobj=io.BytesIO(tar_bytes(MEMBERS))) as archive:
        assert [(member.name, archive.extractfile(member).read()) for member in archive] == MEMBERS
        assert all((member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644) for member in archive.getmembers())


@pytest.mark.parametrize(("name", "size"), [("a.jpg", 0), ("000000000123.seg.png", 8191), ("x" * 100, 8**11 - 1)])
def test_a_header_equals_the_one_of_tarfile(name, size):
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    assert header(name, size)[:329] == member.tobuf(tarfile.USTAR_FORMAT)[:329]  # after it Python's versions differ in the device of a plain file


def test_bytes_are_independent_of_how_members_are_grouped():
    pieces = []
    writer = TarWriter(pieces.append)
    for member in MEMBERS:
        writer.add([member])
    writer.close()
    assert b"".join(pieces) == tar_bytes(MEMBERS)
    assert len(tar_bytes(MEMBERS)) % 10240 == 0


def test_an_archive_has_512_bytes_and_padding_per_member_and_nothing_else():
    assert len(tar_bytes([("a", b"x" * 512)] * 100)) <= 100 * 1024 + 10240


@pytest.mark.parametrize(("name", "size"), [("x" * 101, 1), ("x", 8**11)])
def test_a_member_that_a_header_cannot_describe_is_refused(name, size):
    with pytest.raises(InputError, match="doesn't fit"):
        header(name, size)
