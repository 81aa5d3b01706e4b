"""Reads a Parquet file that may be damaged or hostile: sizes are bounded before anything is decoded, and every failure is a TableDamage."""

from __future__ import annotations

import io
import math
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MAX_TEXT_BYTES = 4096  # of one text in a table
MAX_ROW_BYTES = 16 << 10  # of a row on average, before decoding
MAX_TABLE_BYTES = 1 << 20  # of a table beside its rows
MAX_FOOTER_BYTES = 64 << 20
MAX_COLUMNS = 1000
_MAGIC = b"PAR1"
_ANY = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, KeyError, IndexError, RecursionError, MemoryError)  # of a damaged file


class TableDamage(Exception):
    """A Parquet file is not one that facemint writes; the text says why."""


def max_file_bytes(num_rows: int) -> int:
    """What a Parquet file with this many rows may have; a longer one isn't read."""
    return MAX_TABLE_BYTES + MAX_ROW_BYTES * num_rows


def read_bounded(content: bytes, schema: pa.Schema, num_rows: int) -> pa.Table:
    """The table in a Parquet file, which has this schema with its metadata, one row group with this many rows, and true statistics."""
    file = open_bounded(io.BytesIO(content), schema)
    if file.metadata.num_rows != num_rows:
        raise TableDamage(f"it has {file.metadata.num_rows:,} rows, expected {num_rows:,}")
    if file.metadata.num_row_groups > 1:
        raise TableDamage(f"it has {file.metadata.num_row_groups} row groups, expected one")
    return read_group(file, schema, 0) if file.metadata.num_row_groups else schema.empty_table()


def read_group(file: pq.ParquetFile, schema: pa.Schema, number: int) -> pa.Table:
    """One row group of an opened file."""
    try:
        group = file.metadata.row_group(number)
        _check_sizes(group)
        table = file.read_row_group(number)
        _check_texts(table)
        table.validate(full=True)  # subtle: texts that are not UTF-8 would fail later, in the middle of a row
        _check_nulls(table, schema)
        check_statistics(group, table)
        return table.cast(schema.remove_metadata()).replace_schema_metadata(file.schema_arrow.metadata)
    except _ANY as error:
        raise TableDamage(f"it can't be read as Parquet ({first_line(error)})") from error


def open_bounded(stream: IO[bytes], schema: pa.Schema) -> pq.ParquetFile:
    """The opened file, whose footer was checked; text columns stay dictionaries, so that one long text is held once however many rows show it.

    The schema's metadata has to be there; b"" stands for any value.
    """
    try:
        return _open(stream, schema)
    except _ANY as error:
        raise TableDamage(f"it can't be read as Parquet ({first_line(error)})") from error


def _open(stream: IO[bytes], schema: pa.Schema) -> pq.ParquetFile:
    num_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    first = stream.read(4)
    stream.seek(max(0, num_bytes - 8))
    last = stream.read(8)
    if num_bytes < 12 or first != _MAGIC or last[4:] != _MAGIC:
        raise TableDamage("it is no Parquet file: PAR1 is missing at its start or end")
    footer = int.from_bytes(last[:4], "little")
    if footer > min(num_bytes - 12, MAX_FOOTER_BYTES):
        raise TableDamage(f"its footer says it has {footer:,} bytes, the file has {num_bytes:,}")
    limits = {"thrift_string_size_limit": MAX_FOOTER_BYTES, "thrift_container_size_limit": 1_000_000, "page_checksum_verification": True}
    plain = pq.ParquetFile(stream, **limits)
    got = plain.schema_arrow
    if len(got.names) > MAX_COLUMNS or not got.equals(schema):
        raise TableDamage(f"its columns are not the expected ones ({_difference(got, schema)})")
    wanted = schema.metadata or {}
    metadata = got.metadata or {}
    for name in sorted({*wanted, *metadata}):
        if wanted.get(name) != metadata.get(name) and wanted.get(name) != b"":
            raise TableDamage(f"its metadata {name.decode('latin-1')[:60]!r} differs from what facemint writes")
    texts = [plain.schema.column(number).path for number in range(len(plain.schema)) if plain.schema.column(number).physical_type == "BYTE_ARRAY"]
    return pq.ParquetFile(stream, read_dictionary=texts, **limits)


def check_statistics(group: Any, table: pa.Table) -> None:
    """Raises TableDamage when smallest, largest or null count of a column chunk are not those of its values; readers skip row groups by them."""
    if group.num_rows != table.num_rows:
        raise TableDamage(f"a row group says it has {group.num_rows:,} rows, its columns have {table.num_rows:,}")
    for number in range(group.num_columns):
        chunk = group.column(number)
        if "." in chunk.path_in_schema or not chunk.is_stats_set:
            continue
        column, statistics = table[chunk.path_in_schema], chunk.statistics
        if statistics.has_null_count and statistics.null_count != column.null_count:
            raise TableDamage(f"its statistics count {statistics.null_count} nulls in {chunk.path_in_schema}, there are {column.null_count}")
        if statistics.has_min_max:
            values = _plain_column(column)
            limits = pc.min_max(values)
            smallest, largest = limits["min"].as_py(), limits["max"].as_py()
            if not (_same(smallest, statistics.min) and _same(largest, statistics.max)):
                raise TableDamage(f"its statistics say that {chunk.path_in_schema} is {statistics.min} to {statistics.max}, it is {smallest} to {largest}")


def first_line(error: BaseException) -> str:
    """A short text of any error, on one line."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]


def _check_sizes(group: Any) -> None:
    total = 0
    for place in range(group.num_columns):
        chunk = group.column(place)
        total += max(0, chunk.total_uncompressed_size)
        if chunk.num_values > group.num_rows * 1000:
            raise TableDamage(f"{chunk.path_in_schema} says it has {chunk.num_values:,} values in {group.num_rows:,} rows")
    if total > max_file_bytes(group.num_rows):
        raise TableDamage(f"its {group.num_rows:,} rows would take {total:,} bytes, at most {max_file_bytes(group.num_rows):,} are expected")


def _check_texts(table: pa.Table) -> None:
    for name in table.column_names:
        for chunk in table[name].chunks:
            for texts in _dictionaries(chunk):
                longest = pc.max(pc.binary_length(texts)).as_py() or 0
                if longest > MAX_TEXT_BYTES:
                    raise TableDamage(f"a text of {name} has {longest:,} bytes, at most {MAX_TEXT_BYTES:,} are expected")


def _dictionaries(array: pa.Array) -> list[pa.Array]:
    """The text arrays inside an array."""
    if pa.types.is_dictionary(array.type):
        return [array.dictionary]
    if pa.types.is_string(array.type):
        return [array]
    if pa.types.is_list(array.type):
        return _dictionaries(array.values)
    if pa.types.is_struct(array.type):
        return [texts for number in range(array.type.num_fields) for texts in _dictionaries(array.field(number))]
    return []


def _check_nulls(table: pa.Table, schema: pa.Schema) -> None:
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise TableDamage(f"{field.name} is missing in {table[field.name].null_count:,} rows, it must not be")


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _same(value: Any, written: Any) -> bool:
    if isinstance(value, float) and isinstance(written, float):
        return value == written or (math.isnan(value) and math.isnan(written))
    return bool(value == written)


def _difference(got: pa.Schema, expected: pa.Schema) -> str:
    for name in expected.names:
        if name not in got.names:
            return f"{name} is missing"
        if not got.field(name).equals(expected.field(name)):
            return f"{name} is {str(got.field(name).type)[:60]}"
    others = [name for name in got.names if name not in expected.names]
    return f"{others[0][:60]} is not expected" if others else "their order differs"
