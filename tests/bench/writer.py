"""The tar writer of a commit beside webdataset's ShardWriter: rate, size, reproducibility, and who can read the result."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jobs.files import whole_file
from jobs.images import encode
from jobs.tar import TarWriter
from tests.bench.machine import head, say, table

ROUNDS = 5
Samples = list[tuple[str, bytes, bytes]]  # key, JPEG, JSON
Writer = Callable[[Path, Samples, int], None]  # into a folder, so many samples a shard


def make_samples(number: int) -> Samples:
    """JPEGs of about 8 KB, all different, with a small label each."""
    draw = np.random.default_rng(1)
    pictures = [encode(draw.integers(0, 256, (51, 51, 3), dtype=np.uint8), "jpeg") for _ in range(64)]
    # A comment of 8 digits after the picture's start makes each one different and leaves it a JPEG.
    different = ((pictures[i % 64][:2] + b"\xff\xfe\x00\x0a" + b"%08d" % i + pictures[i % 64][2:]) for i in range(number))
    label = b'{"slot": %d, "expression": "happiness", "identity": "sampled-%06d"}'
    return [(f"{i:012d}", picture, label % (i, i % 100)) for i, picture in enumerate(different)]


def with_facemint(folder: Path, samples: Samples, per_shard: int) -> None:
    """As commit_shard writes: hashed, synced and renamed, one sample in memory."""
    for first in range(0, len(samples), per_shard):
        with whole_file(folder / f"{first // per_shard:06d}.tar") as file:
            _fill(TarWriter(file.write), samples[first : first + per_shard])


def with_tar_writer(folder: Path, samples: Samples, per_shard: int) -> None:
    """The same without fsync and rename, as ShardWriter has neither."""
    for first in range(0, len(samples), per_shard):
        digest = hashlib.sha256()
        with (folder / f"{first // per_shard:06d}.tar").open("wb") as stream:

            def write(content: bytes, stream: object = stream, digest: object = digest) -> None:
                stream.write(content)  # type: ignore[attr-defined]
                digest.update(content)  # type: ignore[attr-defined]

            _fill(TarWriter(write), samples[first : first + per_shard])


def with_shard_writer(folder: Path, samples: Samples, per_shard: int) -> None:
    """webdataset's ShardWriter as it comes."""
    _shard_writer(folder, samples, per_shard)


def with_fixed_shard_writer(folder: Path, samples: Samples, per_shard: int) -> None:
    """webdataset's ShardWriter with what makes it reproducible and fast."""
    _shard_writer(folder, samples, per_shard, encoder=False, mtime=0)


WRITERS: dict[str, Writer] = {
    "facemint, sha256, fsync, rename": with_facemint,
    "facemint, sha256": with_tar_writer,
    "ShardWriter": with_shard_writer,
    "ShardWriter, encoder=False, mtime=0": with_fixed_shard_writer,
}


def counts(folder: Path, number: int) -> dict[str, int]:
    """Samples that each reader finds, of those with three matching parts: key, picture and label."""
    tars = sorted(folder.glob("*.tar"))
    return {"tarfile": _by_tarfile(tars), "GNU tar": _by_gnu_tar(tars), "webdataset": _by_webdataset(tars), "datasets": _by_datasets(tars)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=10)
    words = parser.parse_args()
    samples = make_samples(words.samples)
    payload = sum(len(picture) + len(label) for _, picture, label in samples)
    rows = []
    with tempfile.TemporaryDirectory(prefix="facemint-writer-") as scratch:
        seconds: dict[str, list[float]] = {name: [] for name in WRITERS}
        hashes: dict[str, set[str]] = {name: set() for name in WRITERS}
        sizes, found = {}, {}
        for number in range(ROUNDS):
            for name, write in WRITERS.items():  # in turn, so that a busy moment of the machine meets all of them
                folder = Path(scratch) / name
                folder.mkdir()
                start = time.perf_counter()
                write(folder, samples, -(-words.samples // words.shards))
                seconds[name].append(time.perf_counter() - start)
                hashes[name].add(_digest(folder))
                sizes[name] = sum(path.stat().st_size for path in folder.glob("*.tar"))
                if number == ROUNDS - 1:
                    found[name] = counts(folder, words.samples)
                else:
                    time.sleep(1.1 if number == 0 else 0)  # a time stamp in whole seconds would look reproducible
                shutil.rmtree(folder)
        slowest = min(seconds["ShardWriter"])
        for name in WRITERS:
            best = min(seconds[name])
            readers = ", ".join(f"{reader} {count:,}" for reader, count in found[name].items())
            rows.append((name, best, payload / best / 1e6, slowest / best, sizes[name] / 1e6, len(hashes[name]) == 1, readers))
    title = f"Writing {words.samples:,} samples of {payload / words.samples / 1000:.1f} kB in {words.shards} shards"
    say(head(title, ("webdataset", "datasets", "numpy"), target="5 times the rate of ShardWriter, with sha256; the same bytes again; read by all"))
    say(table(("writer", f"seconds, best of {ROUNDS}", "MB/s", "x ShardWriter", "size MB", "same bytes again", "samples read back"), rows))


def _fill(tar: TarWriter, samples: Samples) -> None:
    for key, picture, label in samples:
        tar.add([(f"{key}.jpg", picture), (f"{key}.json", label)])
    tar.close()


def _shard_writer(folder: Path, samples: Samples, per_shard: int, **settings: object) -> None:
    import webdataset

    with webdataset.ShardWriter(f"{folder}/%06d.tar", maxcount=per_shard, maxsize=1 << 40, verbose=0, **settings) as writer:
        for key, picture, label in samples:
            writer.write({"__key__": key, "jpg": picture, "json": label})


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.tar")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _by_tarfile(tars: list[Path]) -> int:
    names: set[str] = set()
    for path in tars:
        with tarfile.open(path) as archive:
            names |= {member.name for member in archive if member.isreg() and member.size}
    return sum(f"{name[:-4]}.json" in names for name in names if name.endswith(".jpg"))


def _by_gnu_tar(tars: list[Path]) -> int:
    if shutil.which("tar") is None:
        return 0
    lines = [line for path in tars for line in subprocess.run(["tar", "-tf", path], capture_output=True, text=True, check=True).stdout.splitlines()]
    return sum(line.endswith(".jpg") for line in set(lines))


def _by_webdataset(tars: list[Path]) -> int:
    import webdataset

    read = webdataset.WebDataset([str(path) for path in tars], shardshuffle=False, empty_check=False)
    return len({sample["__key__"] for sample in read if sample["jpg"] and sample["json"]})


def _by_datasets(tars: list[Path]) -> int:
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    import datasets

    files = [str(path) for path in tars]
    with tempfile.TemporaryDirectory(prefix="facemint-datasets-") as cache:
        read = datasets.load_dataset("webdataset", data_files={"train": files}, split="train", streaming=True, cache_dir=cache)
        read = read.cast_column("jpg", datasets.Image(decode=False))
        return len({sample["__key__"] for sample in read if sample["jpg"]["bytes"] and sample["json"]["expression"] == "happiness"})


if __name__ == "__main__":
    main()
