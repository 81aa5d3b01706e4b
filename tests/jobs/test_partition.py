from __future__ import annotations

import pytest
from click.testing import CliRunner

from jobs.cli import main
from jobs.partition import parse_part
from manifests.errors import ConfigError


def test_parts_are_numbered_from_zero():
    assert [parse_part(text) for text in ("0/1", "0/3", "2/3", "007/8")] == [(0, 1), (0, 3), (2, 3), (7, 8)]


@pytest.mark.parametrize("text", ["", "3", "1/2/3", "-1/3", "1/-3", "1.0/3", " 0/1", "0/1\n", "a/b", "٣/٤", "1/9999999999"])
def test_other_words_are_no_part(text):
    with pytest.raises(ConfigError, match="is not a part, expected I/N"):
        parse_part(text)


def test_a_part_beyond_the_last_is_said_with_the_range():
    with pytest.raises(ConfigError, match="expected I/N from 0/4 to 3/4"):
        parse_part("4/4")


def test_no_parts_are_refused():
    with pytest.raises(ConfigError, match="divides a run into no parts"):
        parse_part("0/0")


QUICK = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1",
         "qc.rejecting=[single_face]", "batch_size=2", "shard_size=1", "expressions.words=[neutral]", "views=2")  # fmt: skip
SAME = ("data", "rejected", "attempts", "slots", "manifest", "conditions", "run.json")


def facemint(*words):
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


def tree(folder):
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items()) if name.split("/")[0] in SAME}


def test_parts_and_a_report_are_a_run(bundled, tmp_path):
    whole = facemint("run", "smallest", "--out", tmp_path / "whole", "--local", *QUICK)
    assert whole.exit_code in (0, 4), whole.output
    for part in ("1/2", "0/2"):
        assert not (tmp_path / "parts" / "run.json").exists()  # says that nothing is missing
        made = facemint("make", "smallest", "--out", tmp_path / "parts", "--local", "--part", part, *QUICK)
        assert made.exit_code in (0, 4), made.output
    assert facemint("report", tmp_path / "parts").exit_code == 0
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")
