from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.config import config_from_words
from jobs.images import encode
from jobs.marking.detect import Findings, look
from jobs.marking.marker import Marker
from jobs.marking.watermark import Reading
from manifests.errors import InputError
from tests.jobs.coloured import fill
from tests.jobs.marking.pictures import natural

PAYLOAD = 0xFACE


@pytest.fixture(scope="module")
def marked():
    return Marker(iptc=True, watermark=PAYLOAD).encode(natural(1), "jpeg", photograph=False)


def test_every_mark_is_found(marked):
    seen = look("a.jpg", marked)
    assert seen.source_type == "trainedAlgorithmicMedia" and seen.manifest is None and seen.watermark.payload == PAYLOAD and seen.synthetic


def test_a_clean_picture_is_not_called_synthetic():
    assert not look("a.jpg", encode(natural(1), "jpeg")).synthetic


def test_a_run_id_is_printed_only_where_it_can_be_believed():
    unsure = Findings(name="a", source_type=None, manifest=None, watermark=Reading(z=8.0, payload=PAYLOAD, check_holds=False))
    assert "run id unreadable" in unsure.line() and unsure.to_json()["watermark"]["run_id"] is None


def test_the_command_prints_a_line_for_a_file(marked, tmp_path):
    (tmp_path / "a.jpg").write_bytes(marked)
    result = CliRunner().invoke(main, ["detect", str(tmp_path / "a.jpg")])
    assert result.exit_code == 0 and "IPTC trainedAlgorithmicMedia; C2PA none; watermark z" in result.output and "run id 00000000face" in result.output


def test_the_command_prints_json(marked, tmp_path):
    (tmp_path / "a.jpg").write_bytes(marked)
    result = CliRunner().invoke(main, ["detect", "--json", str(tmp_path / "a.jpg")])
    assert json.loads(result.output)["synthetic"] is True


def test_a_run_is_counted(tmp_path):
    assert fill(tmp_path)
    (tmp_path / "config.yaml").write_text(config_from_words(["identities.sampled.count=4"]).to_yaml())
    result = CliRunner().invoke(main, ["detect", str(tmp_path), "--max", "5"])
    assert result.exit_code == 0 and "5 pictures, 0 with IPTC, 0 with C2PA, 0 with a watermark" in result.output


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe1\xff\xff", b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffiTXt"])
def test_what_is_no_picture_is_refused_in_a_sentence(content):
    with pytest.raises(InputError, match=r"detect: a\.jpg was left out"):
        look("a.jpg", content)
