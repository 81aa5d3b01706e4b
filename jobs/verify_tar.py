"""Reads a tar as strictly as facemint writes it: USTAR, one regular file after the other, zero times and owners, nothing after its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from tarfile import BLOCKSIZE, RECORDSIZE
from typing import IO

MAX_MEMBER_BYTES = 256 << 20  # of one file in a tar: it is held in memory while it is looked at
MEMBER_NAME = re.compile(r"([A-Za-z0-9_-]+)\.(jpg|png|json|seg\.png)")  # webdataset takes the text before the first dot as the key

# (first byte, length, what every member has there); what is not listed is the name, the size and the checksum
_FIELDS: dict[str, tuple[int, int, tuple[bytes, ...]]] = {
    "mode": (100, 8, (b"0000644\0",)),
    "uid": (108, 8, (b"0000000\0",)),
    "gid": (116, 8, (b"0000000\0",)),
    "mtime": (136, 12, (b"00000000000\0",)),
    "type": (156, 1, (b"0",)),
    "link name": (157, 100, (bytes(100),)),
    "magic": (257, 8, (b"ustar\x0000",)),
    "user name": (265, 32, (bytes(32),)),
    "group name": (297, 32, (bytes(32),)),
    "device": (329, 16, (bytes(16), b"0000000\0" * 2)),  # Python's tarfile wrote zeros in digits before 3.9
    "prefix": (345, 167, (bytes(167),)),
}
_NAME_BYTES, _SIZE_START, _CHECKSUM_START, _CHECKSUM_END = 100, 124, 148, 156


class TarDamage(Exception):
    """A tar is not one that facemint writes; the text says where."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a tar."""

    name: str
    key: str  # before the first dot
    extension: str  # after it
    content: bytes


def read_members(stream: IO[bytes], num_bytes: int) -> Iterator[Member]:
    """Members of a tar of this size, in their order; raises TarDamage where it deviates. Reads to the end of the file when all are taken.

    Memory is bounded by one member: a size that the file has no room for is damage, found before anything is read.
    """
    expected = _template()
    place = 0
    while True:
        header = stream.read(BLOCKSIZE)
        if len(header) < BLOCKSIZE:
            raise TarDamage(f"it ends at byte {place + len(header):,} without the two empty blocks that end a tar")
        if header == bytes(BLOCKSIZE):
            break
        name, size = _read_header(header, place, expected)
        match = MEMBER_NAME.fullmatch(name)
        if not match:
            raise TarDamage(f"member {name!r} at byte {place:,} is not named KEY.jpg, KEY.png, KEY.json or KEY.seg.png")
        padded = size + -size % BLOCKSIZE
        place += BLOCKSIZE
        if place + padded > num_bytes:
            raise TarDamage(f"member {name} says it has {size:,} bytes, the file has {num_bytes - place:,} left")
        if size > MAX_MEMBER_BYTES:
            raise TarDamage(f"member {name} has {size:,} bytes, at most {MAX_MEMBER_BYTES:,} are looked at")
        content = stream.read(padded)
        if len(content) < padded:
            raise TarDamage(f"member {name} is cut off after {len(content):,} of {size:,} bytes")
        if content.count(0, size) != padded - size:
            raise TarDamage(f"the padding after member {name} is not zero")
        place += padded
        yield Member(name=name, key=match[1], extension=match[2], content=content[:size])
    _check_end(stream, place, num_bytes)


def _check_end(stream: IO[bytes], place: int, num_bytes: int) -> None:
    """`place` is where the first empty block begins; it was read."""
    end = place + 2 * BLOCKSIZE
    end += -end % RECORDSIZE
    read = place + BLOCKSIZE
    while piece := stream.read(1 << 20):
        if piece.count(0) != len(piece):
            raise TarDamage(f"there is something after the end of the tar, at byte {read:,} or later")
        read += len(piece)
    if num_bytes != end or read != end:
        raise TarDamage(f"it has {max(num_bytes, read):,} bytes, a tar with these members has {end:,}")


def _read_header(header: bytes, place: int, template: bytearray) -> tuple[str, int]:
    """Name and size of a member whose header is right in every byte."""
    name = header[:_NAME_BYTES].rstrip(b"\0")
    digits = header[_SIZE_START : _SIZE_START + 11]
    try:
        size = int(digits, 8) if digits.isdigit() else -1
    except ValueError:
        size = -1
    if size < 0 or header[_SIZE_START + 11] != 0:
        raise TarDamage(f"the header at byte {place:,} has no size")
    template[:_NAME_BYTES] = name.ljust(_NAME_BYTES, b"\0")
    template[_SIZE_START : _SIZE_START + 12] = digits + b"\0"
    template[_CHECKSUM_START:_CHECKSUM_END] = b" " * 8  # as the standard counts it
    template[_CHECKSUM_START:_CHECKSUM_END] = b"%06o\0 " % sum(template)
    if template != header:
        _explain(header, place)
    return name.decode("latin-1"), size


def _explain(header: bytes, place: int) -> None:
    """Raises TarDamage for the field that differs; returns for the one way of writing that is as good."""
    for field, (start, length, allowed) in _FIELDS.items():
        value = header[start : start + length]
        if value not in allowed:
            raise TarDamage(f"the header at byte {place:,} has {field} {value.rstrip(bytes(1))[:32]!r}, expected {allowed[0].rstrip(bytes(1))!r}")
    counted = sum(header[:_CHECKSUM_START]) + 8 * 32 + sum(header[_CHECKSUM_END:])
    if header[_CHECKSUM_START:_CHECKSUM_END] != b"%06o\0 " % counted:
        raise TarDamage(f"the header at byte {place:,} has a checksum that is not its own")


def _template() -> bytearray:
    header = bytearray(BLOCKSIZE)
    for start, length, allowed in _FIELDS.values():
        header[start : start + length] = allowed[0]
    return header
