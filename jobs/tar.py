"""USTAR archives of small files, written in one pass: equal members give equal bytes, and nothing but name, size and checksum differs between headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from manifests.errors import InputError

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES  # an archive is filled up to a multiple of this
MAX_NAME_BYTES = 100
MAX_MEMBER_BYTES = 8**11 - 1  # eleven octal digits

# POSIX.1-1988 header: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link 100, magic 6, version 2, owner 32, group 32,
# major 8, minor 8, prefix 155, 12 unused. All but name, size and checksum are the same for every member: mode 644, time and owners zero, no device.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_AFTER_SIZE = b"\0" + b"00000000000\0"
_AFTER_CHECKSUM = b"\0 0" + bytes(100) + b"ustar\0" + b"00" + bytes(64 + 16 + 167)
_CONSTANT_SUM = sum(_BEFORE_SIZE) + sum(_AFTER_SIZE) + sum(b" " * 8) + sum(_AFTER_CHECKSUM) - sum(b"\0 ")  # the checksum counts as eight spaces
_PADDING = [bytes(-size % BLOCK_BYTES) for size in range(BLOCK_BYTES)]


class TarWriter:
    """Writes members in the given order to a function that takes bytes; `close` ends the archive."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._size = 0

    def add(self, members: Iterable[tuple[str, bytes]]) -> None:
        """Adds (name, content) pairs, those of one sample at best, in one write."""
        pieces: list[bytes] = []
        for name, content in members:
            size = len(content)
            pieces += (header(name, size), content, _PADDING[size % BLOCK_BYTES])
        block = b"".join(pieces)
        self._size += len(block)
        self._write(block)

    def close(self) -> None:
        """Writes the end of the archive."""
        end = self._size + 2 * BLOCK_BYTES
        self._write(bytes(2 * BLOCK_BYTES + -end % RECORD_BYTES))


def header(name: str, size: int) -> bytes:
    """The 512 bytes before a member's content."""
    encoded = name.encode("ascii")
    if len(encoded) > MAX_NAME_BYTES or size > MAX_MEMBER_BYTES:
        raise InputError(
            f'tar: member "{name}" with {size:,} bytes doesn\'t fit, expected a name of at most {MAX_NAME_BYTES} characters and less than 8 GiB. '
            "Use smaller pictures."
        )
    digits = b"%011o" % size
    checksum = _CONSTANT_SUM + sum(encoded) + sum(digits)
    return b"%s%s%s%s%06o%s" % (encoded.ljust(MAX_NAME_BYTES, b"\0"), _BEFORE_SIZE, digits, _AFTER_SIZE, checksum, _AFTER_CHECKSUM)


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A whole archive of (name, content) in the given order."""
    pieces: list[bytes] = []
    writer = TarWriter(pieces.append)
    writer.add(members)
    writer.close()
    return b"".join(pieces)
