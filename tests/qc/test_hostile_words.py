from __future__ import annotations

import html.parser
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jobs.cli import main
from jobs.config import config_from_words, load_config
from jobs.papers.write import write_papers
from jobs.references import Screener, folder_hash, screen_folder
from manifests.errors import ConfigError, FacemintError
from manifests.printable import is_printable, printable
from manifests.records import RunRecord
from manifests.vocabulary import find_word
from qc.report.page import render_page
from qc.report.summary import build_summary
from tests.jobs.coloured import fill
from tests.qc.hostile_words import MARK, hostile_words
from tests.qc.report import reports

WORDS = hostile_words()
STEERING = {"Cc", "Cs", "Zl", "Zp"}


class Parser(html.parser.HTMLParser):
    """Collects what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inside = ""

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside in ("script", "style"):
            self.scripts.append(data)


class Eyes:
    landmarks5_px = np.array([[20, 30], [50, 30], [35, 45], [22, 55], [48, 55]], dtype=np.float32)


SCREENER = Screener(detect=lambda image: [Eyes()], objection=lambda image, points: None)


def is_file_name(word: str) -> bool:
    name = os.fsencode(word) if not any("\ud800" <= char < "\udc80" or "\udcff" < char <= "\udfff" for char in word) else b""
    return 0 < len(name) <= 250 and b"/" not in name and b"\0" not in name and name not in (b".", b"..") and not name.startswith(b".")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of people whose names are hostile, as folder names and as file names."""
    folder = tmp_path_factory.mktemp("people")
    for number, word in enumerate(word for word in WORDS if is_file_name(word)):
        place = folder / word / "1.png" if number % 2 else folder / f"{word}.png"
        place.parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64)).save(place, "PNG")
    return folder


def test_there_are_two_hundred_hostile_strings_at_least():
    assert len(WORDS) >= 200


@pytest.mark.parametrize("start", range(4))
def test_no_hostile_string_is_an_expression_word(start):
    for word in WORDS[start::4]:
        with pytest.raises(ConfigError) as raised:
            find_word(word)
        assert len(str(raised.value)) < 1_000


def test_hostile_recipe_values_are_refused_or_kept_as_text():
    for key in ("identities.path", "expressions.words", "mode", "seed", "models.core", "device", "no.such.key"):
        for word in (word for word in WORDS if len(word) < 20_000):
            try:
                config = config_from_words([f"{key}={word}"])
            except FacemintError as error:
                assert is_printable(printable(error))
            else:
                assert config.to_yaml()


def test_recipes_of_hostile_text_are_refused_with_a_reason(tmp_path):
    path = tmp_path / "recipe.yaml"
    for word in WORDS:
        path.write_bytes(f"mode: {word}\n".encode(errors="surrogatepass"))
        try:
            load_config(path)
        except FacemintError as error:
            assert is_printable(printable(error))


def test_what_is_printed_has_no_control_character_and_one_line():
    for word in WORDS:
        shown = printable(word)
        assert not any(unicodedata.category(char) in STEERING for char in shown)
        assert len(shown) < 30_000
        shown.encode("utf-8")


def test_hostile_file_and_folder_names_are_used_or_left_out_with_a_reason(people):
    assert len(folder_hash(people)) == 64
    screening = screen_folder(people, SCREENER, "identities")
    assert len(screening.usable) + len(screening.unusable) == sum(is_file_name(word) for word in WORDS)
    assert all(is_printable(item.file) for item in (*screening.usable, *screening.unusable))
    json.dumps(screening.to_json(), ensure_ascii=False).encode("utf-8")


def test_the_command_line_refuses_hostile_words_in_one_line_without_a_traceback(tmp_path):
    for word in [word for word in WORDS if "\0" not in word and len(word) < 20_000][::5]:
        for arguments in (["show", word], ["show", "demo", f"mode={word}"], ["verify", word]):
            done = CliRunner().invoke(main, arguments)
            assert done.exception is None or isinstance(done.exception, SystemExit), (word, done.exception)
            assert "\x1b" not in done.output
            assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def report():
    """The report of a run whose people, scenes and groups have hostile names, in turns."""
    names = [word for word in WORDS if len(word) < 20_000 and not any("\ud800" <= char <= "\udfff" for char in word)]  # such a file is left out
    slots = reports.inputs().slots
    found = []
    for start in range(0, len(names), 64):
        turn = [names[(start + k) % len(names)] for k in range(64)]
        changed = slots.assign(identity_id=turn, scene_id=turn[::-1], identity_group=turn)
        found.append(build_summary(reports.inputs(slots=changed, embedded=None, people=None, title=turn[0], command=turn[1])))
    return found


def test_no_script_of_a_hostile_name_is_in_the_page(report):
    for summary in report:
        page = render_page(summary)
        page.encode("utf-8")
        parser = Parser()
        parser.feed(page)
        assert len([name for name, _ in parser.attributes if name.startswith("on") or name == "style"]) == 0
        assert all(MARK not in script for script in parser.scripts)
        assert all(value.startswith(("#", "data:image/")) for name, value in parser.attributes if name in ("href", "src", "action", "data", "xlink:href"))


def test_the_json_of_the_report_is_json_whatever_the_names(report):
    for summary in report:
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_hostile_folder_name_makes_no_markup_in_the_card(bundled, tmp_path):
    assert fill(tmp_path)
    record = RunRecord(config_hash="c" * 64, weights={}, versions={"facemint": "0", "python": "3"}, counts={"accepted": 24})
    for word in [word for word in WORDS if "/" not in word and is_file_name(word) and 0 < len(word) < 300]:
        config = config_from_words(["expressions.words=[neutral]", "image.format=png", "identities.sampled.count=1"])
        object.__setattr__(config.identities, "path", word)
        write_papers(tmp_path, config, record, {}, has_sheet=False)
        line = next(line for line in Path(tmp_path / "README.md").read_text(encoding="utf-8").splitlines() if "photographs of people (" in line)
        assert line.count("|") == 5
        assert "<" not in line.replace("&lt;", "")
        assert "](" not in line.replace("\\](", "")
        json.loads(Path(tmp_path / "croissant.json").read_text(encoding="utf-8"))
