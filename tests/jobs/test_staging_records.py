from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.staging_records import ACCEPTED, HEADER, KEY, REJECTED, SET_ASIDE, pack_numbers, pack_record, unpack_numbers, whole_records

VALUES = [{"slot": 0, "name": "ü"}, {"slot": 1, "floats": [0.1, 1e-300]}, {"slot": 2}]
BLOBS = [(b"image", b"labels"), (), (bytes(300), b"")]
KINDS = (ACCEPTED, SET_ASIDE, REJECTED)
NUMBERS = (b"12345678", b"", b"")
RECORDS = [
    pack_record(VALUES[k], *BLOBS[k], slot=10**12 + k, attempt=k, kind=KINDS[k], numbers=NUMBERS[k]) + b"".join(BLOBS[k]) for k in range(len(VALUES))
]
LOG = b"".join(RECORDS)


def read(content):
    view = memoryview(content)
    records, end = whole_records(view)
    values = [json.loads(bytes(view[record.text_start : record.numbers_start])) for record in records]
    return values, [bytes(view[record.blob_start : record.end]) for record in records], end


def test_records_come_back():
    assert read(LOG) == (VALUES, [b"".join(blobs) for blobs in BLOBS], len(LOG))


def test_a_record_says_what_it_is_about_without_its_text():
    records, _ = whole_records(memoryview(LOG))
    assert [(record.slot, record.attempt, record.kind) for record in records] == [(10**12 + k, k, KINDS[k]) for k in range(3)]
    assert [LOG[record.numbers_start : record.blob_start] for record in records] == list(NUMBERS)


def test_a_log_torn_at_any_byte_ends_after_its_last_whole_record():
    ends = [0, len(RECORDS[0]), len(RECORDS[0]) + len(RECORDS[1]), len(LOG)]
    for cut in range(len(LOG)):
        whole = max(number for number, end in enumerate(ends) if end <= cut)
        values, _, end = read(LOG[:cut])
        assert values == VALUES[:whole] and end == ends[whole]


@given(st.integers(0, len(LOG) - 1), st.integers(0, 7))
@example(4, 7)  # of a length
def test_a_flipped_bit_never_gives_another_record(place, bit):
    content = bytearray(LOG)
    content[place] ^= 1 << bit
    values, blobs, end = read(bytes(content))
    assert len(values) < len(VALUES) and end <= place
    assert values == VALUES[: len(values)] and blobs == [b"".join(some) for some in BLOBS[: len(values)]]


@given(st.binary(max_size=200))
@pytest.mark.parametrize("start", [b"", b"FMS2", b"FMS3", LOG])
def test_what_is_no_record_ends_the_log(start, more):
    values, _, end = read(start + more)
    assert values == (VALUES if start == LOG else []) and end == (len(LOG) if start == LOG else 0)


@given(
    st.lists(st.dictionaries(st.from_regex(r"[a-z_0-9]{1,8}", fullmatch=True), st.floats() | st.integers() | st.booleans() | st.none(), max_size=8), max_size=3)
)
def test_floats_survive_exactly(tables):
    names, blob = pack_numbers(*tables)
    back = unpack_numbers(names, blob, {})
    for table, numbers in zip(tables, back, strict=True):
        assert list(numbers) == [name for name, value in table.items() if isinstance(value, float)]
        for name, value in numbers.items():
            assert math.isnan(value) if math.isnan(table[name]) else (value, math.copysign(1, value)) == (table[name], math.copysign(1, table[name]))


def test_header_and_key_have_no_padding_that_depends_on_the_machine():
    assert (HEADER.size, KEY.size) == (16, 20)
