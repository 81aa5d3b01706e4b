"""Records of a staging log: a header with lengths and a CRC, a JSON text, and blobs, one of which may be numbers."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

# A record is this header (magic, length of the text, length of the blobs, CRC-32 of both), the text, and the blobs one after the other.
HEADER = struct.Struct("<4sIII")
MAGIC = b"FMS2"
NUMBER = struct.Struct("<d")
PARSED_AT_ONCE = 512  # texts; one parser call shares the names of their keys, which are most of what a log would take in memory

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Record(NamedTuple):
    """Where a record's parts are in a log."""

    text_start: int
    blob_start: int
    end: int


def pack_record(value: dict[str, Any], *blobs: bytes) -> bytes:
    """Header and text of a record; the blobs are to follow it."""
    text = _encode(value).encode()
    checksum = zlib.crc32(text)
    for blob in blobs:
        checksum = zlib.crc32(blob, checksum)
    return HEADER.pack(MAGIC, len(text), sum(len(blob) for blob in blobs), checksum) + text


def pack_numbers(*tables: Mapping[str, Any]) -> tuple[list[str], bytes]:
    """The floats of tables, which come back exactly: their names, one text a table, and a blob. As JSON they would take most of a log's time."""
    names = [" ".join(name for name, value in table.items() if isinstance(value, float)) for table in tables]
    values = [value for table in tables for value in table.values() if isinstance(value, float)]
    return names, struct.pack(f"<{len(values)}d", *values)


def unpack_numbers(names: Sequence[str], blob: memoryview, known: dict[str, tuple[str, ...]]) -> list[dict[str, float]]:
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
    while place + HEADER.size <= len(content):
        magic, text_length, blob_length, checksum = HEADER.unpack_from(content, place)
        text_start = place + HEADER.size
        end = text_start + text_length + blob_length
        if magic != MAGIC or end > len(content) or zlib.crc32(content[text_start:end]) != checksum:
            break
        records.append(Record(text_start, text_start + text_length, end))
        place = end
    return records, place


def parse_texts(content: memoryview, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """The values of the records' texts."""
    left = iter(records)
    while some := list(islice(left, PARSED_AT_ONCE)):
        yield from json.loads(b"[" + b",".join(content[record.text_start : record.blob_start] for record in some) + b"]")
