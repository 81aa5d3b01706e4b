"""Runs all benchmarks of this folder, or the named ones, one after the other, and prints one Markdown document."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.bench.machine import say

FOLDER = Path(__file__).resolve().parent
LIMIT_SECONDS = 8 * 3600.0  # of one benchmark
LONG = ("kills",)  # hours: only when named


def names() -> list[str]:
    """The benchmarks of this folder: the files that can be run."""
    files = [path for path in FOLDER.glob("*.py") if path.stem != "__main__"]
    return sorted(path.stem for path in files if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8"))


def main() -> int:
    """Runs them; the number of those that failed is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; without any: all but {', '.join(LONG)}")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds that one benchmark may take")
    words = parser.parse_args()
    unknown = sorted(set(words.names) - set(names()))
    if unknown:
        parser.error(f'there is no benchmark "{unknown[0]}"; there are {", ".join(names())}')
    say("# Benchmarks\n")
    return sum(not succeeds(name, words.limit) for name in words.names or [name for name in names() if name not in LONG])


def succeeds(name: str, limit: float) -> bool:
    """Runs one benchmark in a session of its own, whose processes are gone afterwards."""
    process = subprocess.Popen([sys.executable, "-m", f"tests.bench.{name}"], cwd=FOLDER.parent.parent, start_new_session=True)
    try:
        code: int | None = process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        say(f"## {name}\n\nexit code {code}\n")
    elif code is None:
        say(f"## {name}\n\nnot finished after {limit:.0f} seconds\n")
    return code == 0


if __name__ == "__main__":
    sys.exit(main())
