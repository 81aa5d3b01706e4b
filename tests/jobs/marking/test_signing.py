from __future__ import annotations

import hashlib
import json
import tarfile

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.config import config_from_words
from jobs.marking.detect import look_through_run
from jobs.marking.signing import sign_run
from jobs.shards import read_markers
from manifests.errors import InputError
from tests.jobs.coloured import fill, tree
from tests.jobs.marking.certificates import credential


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    assert fill(folder)
    (folder / "config.yaml").write_text(config_from_words(["identities.sampled.count=4"]).to_yaml())
    return folder


def stamp(content, form, source_type):
    """Bytes that differ, as a signature's do."""
    return content + source_type.encode()


def members(folder, name):
    with tarfile.open(folder / f"{name}.tar") as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_the_runs_own_files_stay_as_they_are(run):
    before = tree(run)
    list(sign_run(run, stamp, photographs=False))
    after = {name: content for name, content in tree(run).items() if not name.startswith("signed/")}
    assert after == before


def test_signed_labels_have_the_new_hash_and_the_mark(run):
    for name in sign_run(run, stamp, photographs=True):
        files = members(run / "signed", name)
        table = pq.read_table(run / "signed" / f"{name}.parquet")
        assert table.schema.equals(pq.read_schema(run / "data" / f"{name}.parquet"), check_metadata=True)
        for row in table.to_pylist():
            content = files[f"{row['sample_id']}.png"]
            assert content.endswith(b"compositeWithTrainedAlgorithmicMedia")
            assert row["file_sha256"] == hashlib.sha256(content).hexdigest() == json.loads(files[f"{row['sample_id']}.json"])["file_sha256"]
            assert row["marking"] == ["c2pa"] == json.loads(files[f"{row['sample_id']}.json"])["marking"]


def test_the_signed_marker_promises_what_is_there(run):
    for name in sign_run(run, stamp, photographs=False):
        marker = json.loads((run / "signed" / f"{name}.json").read_text())
        assert {file: hashlib.sha256((run / file).read_bytes()).hexdigest() for file in marker["files"]} == {
            file: promise["sha256"] for file, promise in marker["files"].items()
        }


def test_a_command_that_was_killed_is_completed(run):
    signing = sign_run(run, stamp, photographs=False)
    first = next(signing)
    signing.close()
    assert set(sign_run(run, stamp, photographs=False)) == read_markers(run).keys() - {first}
    assert list(sign_run(run, stamp, photographs=False)) == []


def test_a_damaged_shard_is_not_signed(run):
    path = next((run / "data").glob("*.tar"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="is not the file that its marker promises"):
        list(sign_run(run, stamp, photographs=False))


def test_the_command_signs_and_detect_finds_it(run, tmp_path):
    own = credential(tmp_path)
    words = ["mark", str(run), "--certificate", str(own.certificate)]
    result = CliRunner().invoke(main, words, env={"FACEMINT_C2PA_KEY": str(own.key)})
    assert result.exit_code == 0, result.output
    assert all(seen.manifest.state == "Valid" and seen.synthetic for seen in look_through_run(run, "signed"))
    result = CliRunner().invoke(main, ["detect", str(run), "--place", "signed"])
    assert "24 with C2PA" in result.output
    assert all(own.key.read_bytes().split(b"\n")[1] not in content for content in tree(run).values())


def test_without_a_key_the_command_says_how_to_name_one(run):
    result = CliRunner().invoke(main, ["mark", str(run)])
    assert result.exit_code == 2 and "FACEMINT_C2PA_KEY" in result.output + str(result.exception)
