"""Damage inside of tars whose hashes were brought in step: keys, order, headers, pictures and labels."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

from jobs.tar import BLOCK_BYTES
from tests.bench.tampering import Members, NotHere, Tampering, other

KEYS = 3  # members of a sample


def missing_key(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: members[: (at := _sample(run, members))] + members[at + KEYS :])


def missing_member(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: members[: (at := int(run.draw.integers(len(members))))] + members[at + 1 :])


def doubled_key(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: members[: (at := _sample(run, members)) + KEYS] + members[at : at + KEYS] + members[at + KEYS :])


def doubled_member(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: members[: (at := int(run.draw.integers(len(members)))) + 1] + members[at:])


def swapped_order(run: Tampering) -> None:
    def change(run: Tampering, members: Members) -> Members:
        first, second = _two_samples(run, members)
        members[first : first + KEYS], members[second : second + KEYS] = members[second : second + KEYS], members[first : first + KEYS]
        return members

    _edit_tar(run, change)


def swapped_pictures(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: _swap_contents(run, members, 0))


def swapped_labels(run: Tampering) -> None:
    _edit_tar(run, lambda run, members: _swap_contents(run, members, 1))


def renamed_member(run: Tampering) -> None:
    def change(run: Tampering, members: Members) -> Members:
        at = int(run.draw.integers(len(members)))
        name = members[at][0]
        members[at] = (run.choose([f"/{name}", f"../{name}", f"a.{name}", f"sub/{name}", name.upper(), "0" * 12 + ".exe", f" {name}"]), members[at][1])
        return members

    _edit_tar(run, change)


def header_field(run: Tampering) -> None:
    """A field of a header with a right checksum: a time, an owner, a link, another magic."""
    file, content, place = _header(run)
    fields = [(136, b"14600000000\0"), (108, b"0001750\0"), (100, b"0000755\0"), (156, b"2"), (156, b"5"), (257, b"ustar  \0")]
    start, value = run.choose([*fields, (265, b"root"), (345, b"sub"), (157, b"x")])
    content[place + start : place + start + len(value)] = value
    _write_checksum(content, place)
    run.write_sealed(file, bytes(content))


def header_checksum(run: Tampering) -> None:
    file, content, place = _header(run)
    content[place + 148 : place + 154] = b"000001"
    run.write_sealed(file, bytes(content))


def huge_member(run: Tampering) -> None:
    file, content, place = _header(run)
    content[place + 124 : place + 135] = b"77777777777"
    _write_checksum(content, place)
    run.write_sealed(file, bytes(content))


def pax_tar(run: Tampering) -> None:
    file = run.choose(run.shard_files(".tar"))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=run.choose([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])) as archive:
        for name, content in run.members(file):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1.5
            archive.addfile(member, io.BytesIO(content))
    run.write_sealed(file, stream.getvalue())


def padding(run: Tampering) -> None:
    file = run.choose(run.shard_files(".tar"))
    content = bytearray(run.read(file))
    content[-1 - int(run.draw.integers(2 * BLOCK_BYTES))] = 1
    run.write_sealed(file, bytes(content))


def altered_picture(run: Tampering) -> None:
    def change(run: Tampering, members: Members) -> Members:
        at = _sample(run, members)
        content = bytearray(members[at][1])
        content[int(run.draw.integers(len(content)))] ^= 1 << int(run.draw.integers(8))
        members[at] = (members[at][0], bytes(content))
        return members

    _edit_tar(run, change)


def json_field(run: Tampering) -> None:
    def change(run: Tampering, label: dict[str, Any]) -> bytes:
        name = run.choose(sorted(label))
        label[name] = other(label[name])
        return json.dumps(label, sort_keys=True, ensure_ascii=False).encode()

    _edit_label(run, change)


def json_key(run: Tampering) -> None:
    def change(run: Tampering, label: dict[str, Any]) -> bytes:
        name = run.choose(sorted(label))
        value = label.pop(name)
        if run.draw.random() < 0.5:
            label[f"{name}_"] = value
        return json.dumps(label, sort_keys=True, ensure_ascii=False).encode()

    _edit_label(run, change)


def hostile_json(run: Tampering) -> None:
    text = [b"[" * 100_000, b'{"a":' * 50_000, b"", b"null", b"\xff\xfe", b"NaN"]
    text += [b'{"seed": ' + b"9" * 5000 + b"}", b'{"a": "' + b"a" * 200_000 + b'"}', b'{"a": 1, "a": 2}']
    _edit_label(run, lambda run, label: run.choose(text))


KINDS = (
    missing_key,
    missing_member,
    doubled_key,
    doubled_member,
    swapped_order,
    swapped_pictures,
    swapped_labels,
    renamed_member,
    header_field,
    header_checksum,
    huge_member,
    pax_tar,
    padding,
    altered_picture,
    json_field,
    json_key,
    hostile_json,
)


def _edit_tar(run: Tampering, change: Callable[[Tampering, Members], Members]) -> None:
    file = run.choose(run.shard_files(".tar"))
    members = run.members(file)
    changed = change(run, list(members))
    if changed == members:
        raise NotHere
    run.write_tar(file, changed)


def _edit_label(run: Tampering, change: Callable[[Tampering, dict[str, Any]], bytes]) -> None:
    """Another JSON for one sample."""

    def label(run: Tampering, members: Members) -> Members:
        at = _sample(run, members) + 1
        members[at] = (members[at][0], change(run, json.loads(members[at][1])))
        return members

    _edit_tar(run, label)


def _sample(run: Tampering, members: Members) -> int:
    """Where a sample begins."""
    return KEYS * int(run.draw.integers(len(members) // KEYS))


def _two_samples(run: Tampering, members: Members) -> tuple[int, int]:
    first, second = _sample(run, members), _sample(run, members)
    if first == second:
        raise NotHere
    return first, second


def _swap_contents(run: Tampering, members: Members, part: int) -> Members:
    first, second = (at + part for at in _two_samples(run, members))
    (name, content), (other_name, other_content) = members[first], members[second]
    members[first], members[second] = (name, other_content), (other_name, content)
    return members


def _header(run: Tampering) -> tuple[str, bytearray, int]:
    """A tar, its bytes, and where one of its headers begins."""
    file = run.choose(run.shard_files(".tar"))
    content = run.read(file)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        places = [member.offset for member in archive]
    return file, bytearray(content), run.choose(places)


def _write_checksum(content: bytearray, place: int) -> None:
    content[place + 148 : place + 156] = b" " * 8
    content[place + 148 : place + 156] = b"%06o\0 " % sum(content[place : place + BLOCK_BYTES])
