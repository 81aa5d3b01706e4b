from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobs.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent
WRITES = ("rites", "rints", "ompares", "ists", "hecks")


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_help_line_says_what_is_written(path):
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert any(word in result.output for word in WRITES)


def test_a_configuration_error_is_one_sentence_with_exit_code_2(tmp_path):
    result = CliRunner().invoke(main, ["plan", "demo", "--out", str(tmp_path / "out"), "sampler.step=3"])
    assert result.exit_code == 2
    assert result.output == 'facemint: configuration: there is no key "sampler.step". Did you mean "sampler.steps"?\n'
    assert not (tmp_path / "out").exists()


def test_a_configuration_error_needs_no_heavy_import(tmp_path):
    program = (
        "import sys; from jobs.cli import main\n"
        "try: main(['run', 'demo', '--out', sys.argv[1], 'sampler.step=3'])\n"
        "except SystemExit as stop: assert stop.code == 2\n"
        "print([name for name in ('torch', 'ray', 'diffusers', 'onnxruntime', 'cv2', 'pandas', 'pyarrow') if name in sys.modules])"
    )
    before = time.process_time()
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert time.process_time() - before < 5


def test_words_and_recipes_are_listed():
    assert len(CliRunner().invoke(main, ["show", "words"]).output.splitlines()) == 136
    assert "demo" in CliRunner().invoke(main, ["show"]).output
    assert "steps: 9" in CliRunner().invoke(main, ["show", "demo", "sampler.steps=9"]).output


def test_a_folder_that_is_no_run_is_said(tmp_path):
    for command in ("status", "verify"):
        result = CliRunner().invoke(main, [command, str(tmp_path)])
        assert result.exit_code == 2 and "no run folder" in result.output
