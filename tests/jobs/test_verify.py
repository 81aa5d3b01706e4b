from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import tracemalloc
import zlib

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.files import write_whole
from jobs.images import decode_rgb, encode
from jobs.retry import ask_again
from jobs.verify import find_problems
from jobs.verify_tables import TableDamage, read_bounded
from jobs.verify_tar import TarDamage, read_members
from manifests.errors import InputError
from manifests.records import SLOT_SCHEMA
from tests.bench.coloured_run import coloured_run
from tests.bench.mutations import KINDS, MAX_DRAWS
from tests.bench.tampering import NotHere, Tampering, parquet_bytes
from tests.jobs.coloured import ColouredSpec


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert coloured_run(folder)
    return folder


@pytest.fixture
def run(whole):
    tampering = Tampering(whole, np.random.default_rng(0))
    yield tampering
    tampering.restore()
    assert list(find_problems(whole)) == []


def test_a_whole_run_has_no_problem(whole):
    assert list(find_problems(whole, deep=True)) == []


@pytest.mark.parametrize(
    ("words", "acceptance"),
    [
        (("max_attempts=2",), 0.0),
        (("max_attempts=1", "views=1", "shard_size=50"), 1.0),
        (("min_acceptance=0.5", "cell_attempts=7", "max_attempts=9"), 0.2),
        (("mode=swap", "expressions.words=[]", "scenes.every=true", "seed=9"), 0.5),
        (("mode=reenact", "identities.sampled.count=0"), 0.7),
    ],
)
def test_whole_runs_of_other_settings_have_no_problem(tmp_path, words, acceptance):
    assert coloured_run(tmp_path, *words, spec=ColouredSpec(acceptance=acceptance))
    assert list(find_problems(tmp_path, deep=True)) == []


def test_a_run_with_slots_that_were_set_aside_has_no_problem_and_needs_their_files(tmp_path):
    coloured_run(tmp_path, "isolation.retries=0", spec=ColouredSpec(acceptance=0.6, raising_slots=(3, 20)))
    assert list(find_problems(tmp_path)) == []
    path = tmp_path / "quarantine" / "000000000003.json"
    path.write_text(path.read_text().replace('"attempt": 0', '"attempt": 1'))
    assert "says other things of slot 3" in next(find_problems(tmp_path))


def test_an_extended_run_has_no_problem_and_each_shard_is_of_its_own_generation(tmp_path):
    coloured_run(tmp_path)
    coloured_run(tmp_path, "views=3", "identities.sampled.count=6", extend=True)
    assert list(find_problems(tmp_path)) == []
    run = Tampering(tmp_path, np.random.default_rng(0))
    latest = json.loads(run.read("stages/make.json"))["inputs"]["run"]
    run.edit_marker("train-000000", lambda marker: marker.update(run_hash=latest))
    assert any("train-000000.json is of run" in problem for problem in find_problems(tmp_path))
    run.restore()
    run.flip("generations.json")
    assert list(find_problems(tmp_path))


def test_a_retried_run_has_no_problem(tmp_path):
    coloured_run(tmp_path, "max_attempts=1")
    ask_again(tmp_path, 1, unfilled=True, quarantined=False, attempts=4)
    assert any("still to be tried again" in problem for problem in find_problems(tmp_path))
    coloured_run(tmp_path, "max_attempts=1")
    assert list(find_problems(tmp_path)) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_damage_is_found(whole, kind):
    for draw in range(MAX_DRAWS):
        run = Tampering(whole, np.random.default_rng([7, draw]))
        try:
            KINDS[kind](run)
            problems = list(find_problems(whole))
            assert problems
            assert all(problem.endswith(".") for problem in problems)
            return
        except NotHere:
            continue
        finally:
            run.restore()
    pytest.fail("no place for this damage")


def test_what_is_only_written_again_is_no_damage(run):
    """Or else the damage with hashes in step would be found for the tool that makes it."""
    for file in run.shard_files(".tar"):
        run.write_tar(file, run.members(file))
    for file in run.shard_files(".parquet", ("data", "rejected", "attempts", "slots")):
        run.write_table(file, run.table(file))
    run.edit_json("stages/plan.json", lambda stage: None)
    run.reseal_stage("plan", "config.yaml")
    run.reseal_stage("make", "run.json")
    assert list(find_problems(run.folder)) == []


def test_a_problem_says_where_what_and_what_to_do(run):
    file = run.shard_files(".tar", ("data",))[0]
    run.write(file, run.read(file)[:-512])
    (problem,) = find_problems(run.folder)
    shard = file[5:-4]
    assert problem.startswith(f"{file} has ")
    assert problem.endswith(f"are promised. Delete data/{shard}.json and run the same command again; the shard is made anew.")


def test_the_remedy_heals(tmp_path):
    coloured_run(tmp_path)
    run = Tampering(tmp_path, np.random.default_rng(3))
    before = run.read("data/train-000000.tar")
    run.flip("data/train-000000.tar")
    run.delete("data/train-000000.json")
    coloured_run(tmp_path)
    assert run.read("data/train-000000.tar") == before
    assert list(find_problems(tmp_path)) == []


def test_the_command_prints_a_line_for_each_problem_and_exits_with_2(run):
    assert CliRunner().invoke(main, ["verify", str(run.folder)]).exit_code == 0
    run.delete("data/val-000000.tar")
    result = CliRunner().invoke(main, ["verify", "--deep", str(run.folder)])
    assert result.exit_code == 2
    assert "data/val-000000.tar is missing" in result.output


def test_a_folder_without_a_manifest_is_no_run(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        list(find_problems(tmp_path))


def test_an_unfinished_run_misses_slots_and_keeps_its_staging(tmp_path):
    coloured_run(tmp_path)
    for path in (*tmp_path.glob("*/train-000001.*"), *(tmp_path / "stages").glob("[ms]*.json"), tmp_path / "run.json", tmp_path / "report.html"):
        path.unlink()
    (tmp_path / "staging").mkdir(exist_ok=True)
    (tmp_path / "staging" / "train-000001.0123456789abcdef.log").write_bytes(b"")
    assert list(find_problems(tmp_path)) == ["6 of 24 slots are in no committed shard, the first is 6. Run the same command again."]


def test_pixels_that_every_hash_but_the_label_forgot_are_found_by_decoding(run):
    """A picture whose bytes, file_sha256, tar and tables agree, and whose pixel_sha256 is that of another picture."""
    replace_picture(run, encode(255 - decode_rgb(first_picture(run)), "png"))
    assert list(find_problems(run.folder)) == []
    (problem,) = find_problems(run.folder, deep=True)
    assert "has other pixels than its label's pixel_sha256" in problem


@pytest.mark.parametrize("picture", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(50), "bomb", "cut", "grey", "size"])
def test_hostile_pictures_are_problems(run, picture):
    good = first_picture(run)
    made = {
        "bomb": png_bomb(30_000),
        "cut": good[: len(good) // 2],
        "grey": encode(np.zeros((16, 16), dtype=np.uint8), "png"),
        "size": encode(np.zeros((16, 17, 3), dtype=np.uint8), "png"),
    }
    replace_picture(run, made[picture] if isinstance(picture, str) else picture)
    tracemalloc.start()
    problems = list(find_problems(run.folder, deep=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(problems) == 1
    assert peak < 64 << 20


def test_a_tar_of_any_bytes_is_damage_or_read():
    draw = np.random.default_rng(5)
    for _ in range(300):
        content = bytearray(draw.bytes(int(draw.integers(0, 3000))))
        with pytest.raises(TarDamage):
            list(read_members(io.BytesIO(content), len(content)))


def test_a_table_of_any_bytes_is_damage():
    draw = np.random.default_rng(6)
    table = SLOT_SCHEMA.empty_table()
    whole = parquet_bytes(table)
    for number in range(300):
        content = bytearray(whole)
        for _ in range(1 + number % 8):
            content[int(draw.integers(4, len(content) - 4))] = int(draw.integers(256))
        with contextlib.suppress(TableDamage):
            assert read_bounded(bytes(content), SLOT_SCHEMA, 0).num_rows == 0


def test_a_text_that_a_dictionary_repeats_is_not_decoded_for_every_row():
    rows = 500
    schema = pa.schema([pa.field("text", pa.string(), nullable=False)])
    content = parquet_bytes(pa.table([pa.array(["x" * (1 << 20)] * rows, pa.large_string()).cast(pa.string())], schema=schema))
    before = pa.total_allocated_bytes()
    with pytest.raises(TableDamage, match="a text of text has 1,048,576 bytes"):
        read_bounded(content, schema, rows)
    assert pa.total_allocated_bytes() - before < 64 << 20


def first_picture(run):
    return run.members("data/train-000000.tar")[0][1]


def replace_picture(run, picture):
    """Another first picture, with every hash of bytes in step, but not the hash of its pixels."""
    shard = "train-000000"
    members = run.members(f"data/{shard}.tar")
    digest = hashlib.sha256(picture).hexdigest()
    label = json.loads(members[1][1])
    label["file_sha256"] = digest
    members[0] = (members[0][0], picture)
    members[1] = (members[1][0], json.dumps(label, sort_keys=True, ensure_ascii=False).encode())
    run.write_tar(f"data/{shard}.tar", members)
    run.set_cell(f"data/{shard}.parquet", "file_sha256", 0, digest)


def png_bomb(side):
    """A PNG of side x side pixels of one colour in a few hundred KB."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(200)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_run_in_an_object_store_is_looked_at_as_one_on_disk(run_folder):
    coloured_run(run_folder)
    assert list(find_problems(run_folder, deep=True)) == []
    tar = run_folder / "data" / "train-000000.tar"
    write_whole(tar, tar.read_bytes()[:-512])
    (run_folder / "attempts" / "train-000001.parquet").unlink()
    write_whole(run_folder / "rejected" / "note.txt", b"left over")
    problems = list(find_problems(run_folder))
    assert [problem.split()[0] for problem in problems] == ["data/train-000000.tar", "attempts/train-000001.parquet", "rejected/note.txt"]
