"""Damage that knows nothing of the files' content: flipped bits, cut, extended, lost and foreign files."""

from __future__ import annotations

import pyarrow as pa

from jobs.tar import BLOCK_BYTES
from tests.bench.tampering import NotHere, Tampering, label_map_ranges


def flip_any_file(run: Tampering) -> None:
    run.flip(run.choose(run.promised()))


def flip_tar(run: Tampering) -> None:
    run.flip(run.choose(run.shard_files(".tar")))


def flip_parquet(run: Tampering) -> None:
    run.flip(run.choose(run.shard_files(".parquet", ("data", "rejected", "attempts", "slots"))))


def flip_json(run: Tampering) -> None:
    run.flip(run.choose([file for file in run.promised() if file.endswith(".json")]))


def flip_marker_resealed(run: Tampering) -> None:
    shard = run.choose(run.shards())
    run.flip(f"data/{shard}.json")
    run.write_marker(shard, run.read(f"data/{shard}.json"))


def flip_tar_resealed(run: Tampering) -> None:
    """A bit outside of the pictures' own bytes, which only file_sha256 holds, and of the label maps, which nothing else does."""
    file = run.choose(run.shard_files(".tar"))
    content = bytearray(run.read(file))
    maps = label_map_ranges(bytes(content))
    place = int(run.draw.integers(len(content)))
    while any(start <= place < stop for start, stop in maps):
        place = int(run.draw.integers(len(content)))
    content[place] ^= 1 << int(run.draw.integers(8))
    run.write_sealed(file, bytes(content))


def flip_parquet_resealed(run: Tampering) -> None:
    """A bit of a table's data, its pages' headers or its footer, with its hash in step."""
    file = run.choose(run.shard_files(".parquet", ("data", "attempts", "slots")))
    before = run.table(file)
    run.flip(file)
    run.reseal(file)
    try:
        after = run.table(file)
        once = [name for name in before.column_names if name == "measurements"]  # what nothing but their own file says
        same = after.drop_columns(once).equals(before.drop_columns(once), check_metadata=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        same = False
    if same:
        raise NotHere  # a bit that no reader sees: which program wrote it, an encoding statistic


def truncate(run: Tampering) -> None:
    file = run.choose(run.promised())
    content = run.read(file)
    run.write(file, content[: int(run.draw.integers(len(content)))])


def truncate_tar_resealed(run: Tampering) -> None:
    file = run.choose(run.shard_files(".tar"))
    content = run.read(file)
    run.write_sealed(file, content[: int(run.draw.integers(len(content)))])


def truncate_parquet_resealed(run: Tampering) -> None:
    file = run.choose(run.shard_files(".parquet", ("data", "rejected", "attempts", "slots")))
    content = run.read(file)
    run.write_sealed(file, content[: int(run.draw.integers(len(content)))])


def extend(run: Tampering) -> None:
    file = run.choose(run.promised())
    run.write(file, run.read(file) + run.draw.bytes(int(run.draw.integers(1, 2000))))


def extend_tar_resealed(run: Tampering) -> None:
    file = run.choose(run.shard_files(".tar"))
    run.write_sealed(file, run.read(file) + bytes(BLOCK_BYTES * int(run.draw.integers(1, 40))))


def missing_file(run: Tampering) -> None:
    run.delete(run.choose([file for file in run.promised() if file != "stages/summarize.json"]))


def empty_file(run: Tampering) -> None:
    run.write(run.choose(run.promised()), b"")


def zeroed_block(run: Tampering) -> None:
    file = run.choose(run.shard_files(".tar"))
    content = bytearray(run.read(file))
    places = [place for place in range(0, len(content), BLOCK_BYTES) if any(content[place : place + BLOCK_BYTES])]
    place = run.choose(places)
    content[place : place + BLOCK_BYTES] = bytes(BLOCK_BYTES)
    run.write(file, bytes(content))


def orphan(run: Tampering) -> None:
    place = run.choose(["data", "rejected", "attempts", "slots", "manifest", "conditions", "stages"])
    run.write(f"{place}/{run.choose(['train-000900.tar', 'note.txt', '.train-000000.tar.a1.unfinished', 'part-00009.parquet.bak'])}", b"left over")


def stale_staging(run: Tampering) -> None:
    run.write(f"staging/{run.choose(run.shards())}.0123456789abcdef.log", b"FMS1")


KINDS = (
    flip_any_file,
    flip_tar,
    flip_parquet,
    flip_json,
    flip_marker_resealed,
    flip_tar_resealed,
    flip_parquet_resealed,
    truncate,
    truncate_tar_resealed,
    truncate_parquet_resealed,
    extend,
    extend_tar_resealed,
    missing_file,
    empty_file,
    zeroed_block,
    orphan,
    stale_staging,
)
