from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("generator", "jobs", "manifests", "qc")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
ALL_PYTHON = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"torch.load", "torch.jit.load", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "pd.read_pickle", "pandas.read_pickle", "eval", "exec"}
FORBIDDEN_ARGUMENTS = {("allow_pickle", True), ("weights_only", False), ("trust_remote_code", True)}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """The floor plan of pyproject.toml, checked on the four folders below `root`."""
    from importlinter import cli

    program = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(Path(cli.__file__).parent.parent)])}
    return subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_the_floor_plan_holds():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("manifests/rows.py", "import qc"),
        ("generator/sampler.py", "import qc"),
        ("qc/judge.py", "import torch"),
        ("generator/sampler.py", "import ray"),
        ("jobs/cli.py", "import omegaconf"),
        ("jobs/config.py", "import omegaconf"),  # the one place where it is allowed
    ],
)
def test_the_floor_plan_is_watched(tmp_path, file, line):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / file).write_text(line + "\n")
    result = lint_imports(tmp_path)
    assert result.returncode == (0 if file == "jobs/config.py" else 1), result.stdout + result.stderr
    assert "Contracts: " in result.stdout


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_says_what_it_is_and_is_one_idea_long(path):
    text = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring, f"{relative(path)} has no module docstring"
    assert docstring.splitlines()[0].endswith((".", ":")), f"the first line of {relative(path)} is not a sentence"
    assert len(text.splitlines()) <= 320, f"{relative(path)} has {len(text.splitlines())} lines, at most 320"


def loaders(tree: ast.AST) -> list[str]:
    """What a file uses that can run code of the file it reads."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(f"from {node.module}")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FORBIDDEN_CALLS:
                found.append(name)
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and (keyword.arg, keyword.value.value) in FORBIDDEN_ARGUMENTS:
                    found.append(f"{keyword.arg}={keyword.value.value}")
    return found


@pytest.mark.parametrize("path", ALL_PYTHON, ids=relative)
def test_no_file_is_read_in_a_way_that_could_run_it(path):
    assert loaders(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("text", ["import pickle", "from joblib import load", "torch.load('x')", "np.load('x', allow_pickle=True)", "eval('1')"])
def test_the_search_for_loaders_finds_them(text):
    assert loaders(ast.parse(text))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_file_swallows_every_error(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            silent = all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
            assert not (broad and silent), f"{relative(path)}:{node.lineno}"


def test_every_test_folder_is_a_package():
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [relative(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_constraints_pin_every_dependency_within_its_range():
    import tomllib
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {pin.name: next(iter(pin.specifier)).version for pin in map(Requirement, (line for line in lines if line and not line.startswith("#")))}
    for text in [*project["dependencies"], *project["optional-dependencies"]["test"], *project["optional-dependencies"]["train"]]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(pins[wanted.name.lower()]), f"{wanted} against {pins[wanted.name.lower()]}"


def test_the_readme_names_every_command():
    if importlib.util.find_spec("jobs") is None or importlib.util.find_spec("jobs.cli") is None or not (ROOT / "README.md").is_file():
        pytest.skip("the command line or the README is not there")
    from jobs.cli import main

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in main.commands if f"facemint {name}" not in readme] == []
