"""Records of a staging log: a header with lengths and a CRC, a key that tells what it is about, a JSON text, numbers, and blobs."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

# A record is this header (magic, length of the text, length of what follows it, CRC-32 of all after the header), the key (slot, attempt, kind, length of
# the numbers), the text, the numbers, and the blobs one after the other. Who goes on with a run reads headers and keys only; texts are for a commit.
HEADER = struct.Struct("<4sIII")
KEY = struct.Struct("<qiII")
MAGIC = b"FMS3"
NUMBER = struct.Struct("<d")
REJECTED, ACCEPTED, SET_ASIDE = range(3)  # kinds

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Record(NamedTuple):
    """What a record is about, and where its parts are in a log."""

    slot: int
    attempt: int
    kind: int
    text_start: int
    numbers_start: int
    blob_start: int
    end: int


def pack_record(value: dict[str, Any], *blobs: bytes, slot: int, attempt: int, kind: int, numbers: bytes = b"") -> bytes:
    """A record up to its numbers; the blobs are to follow it."""
    text = _encode(value).encode()
    body = KEY.pack(slot, attempt, kind, len(numbers)) + text + numbers
    checksum = zlib.crc32(body)
    for blob in blobs:
        checksum = zlib.crc32(blob, checksum)
    return HEADER.pack(MAGIC, len(text), len(numbers) + sum(len(blob) for blob in blobs), checksum) + body


def pack_numbers(*tables: Mapping[str, Any]) -> tuple[list[str], bytes]:
    """The floats of tables, which come back exactly: their names, one text a table, and a blob. As JSON they would take most of a log's time."""
    names = [" ".join(name for name, value in table.items() if isinstance(value, float)) for table in tables]
    values = [value for table in tables for value in table.values() if isinstance(value, float)]
    return names, struct.pack(f"<{len(values)}d", *values)


def unpack_numbers(names: Sequence[str], blob: bytes, known: dict[str, tuple[str, ...]]) -> list[dict[str, float]]:
    """The tables that `pack_numbers` packed; `known` keeps each distinct list of names once."""
    values = struct.unpack(f"<{len(blob) // NUMBER.size}d", blob)
    tables = []
    start = 0
    for text in names:
        keys = known.get(text)
        if keys is None:
            keys = known[text] = tuple(text.split())
        tables.append(dict(zip(keys, values[start : start + len(keys)], strict=True)))
        start += len(keys)
    return tables


def whole_records(content: memoryview) -> tuple[list[Record], int]:
    """Records from the start that are as they were written, and where the last of them ends."""
    records: list[Record] = []
    place = 0
    while place + HEADER.size + KEY.size <= len(content):
        magic, text_length, rest_length, checksum = HEADER.unpack_from(content, place)
        key_start = place + HEADER.size
        text_start = key_start + KEY.size
        end = text_start + text_length + rest_length
        if magic != MAGIC or end > len(content) or zlib.crc32(content[key_start:end]) != checksum:
            break
        slot, attempt, kind, numbers_length = KEY.unpack_from(content, key_start)
        numbers_start = text_start + text_length
        records.append(Record(slot, attempt, kind, text_start, numbers_start, numbers_start + numbers_length, end))
        place = end
    return records, place
