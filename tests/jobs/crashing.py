"""Ends a run at every step that touches its folder, one after the other, takes it up again, and says where the result differs; a process of its own.

A step is the moment before a rename, a sync, a deletion or a link, and before or in the middle of a write; the moment after one is that before the next.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs.files import whole_file
from jobs.staging_files import LogFile
from manifests.planner import Plan
from tests.jobs.coloured import ColouredSpec, fill, small_plan, tree

SPEC = ColouredSpec(acceptance=0.5, raising_slots=(1,))
CRASHED = 70
CALLS = ("fsync", "replace", "unlink", "link")  # of os


class Steps:
    """Counts steps, and ends the process at one of them as a kill does."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.names: list[str] = []

    def step(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) > self.last:
            os._exit(CRASHED)

    def watch(self) -> None:
        for name in CALLS:
            setattr(os, name, self._watched(name, getattr(os, name)))
        whole_file.write = self._torn("write", whole_file.write, _flushed_half)  # type: ignore[method-assign]
        LogFile.append = self._torn("append", LogFile.append, _half_of_parts)  # type: ignore[method-assign]

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*words: Any, **more: Any) -> Any:
            self.step(f"{name} {shown(words[0])}")
            return call(*words, **more)

        return watched

    def _torn(self, name: str, write: Callable[..., Any], half: Callable[[Any, Any], None]) -> Callable[..., Any]:
        def torn(file: Any, content: Any) -> None:
            self.step(name)
            if len(self.names) == self.last:  # the next step would be the end: half of it gets there
                half(file, content)
            self.step(f"amid {name}")
            write(file, content)

        return torn


def shown(word: Any) -> str:
    """What a call is about, without random parts."""
    if isinstance(word, int):
        return "handle"
    path = Path(word)
    return f"{path.parent.name}/{'.'.join(path.name.lstrip('.').split('.')[:2])}"


def _flushed_half(file: whole_file, content: bytes) -> None:
    file._stream.write(content[: len(content) // 2])
    file._stream.flush()


def _half_of_parts(log: LogFile, parts: Sequence[bytes]) -> None:
    content = b"".join(parts)
    os.write(log._stream.fileno(), content[: len(content) // 2])


def plan() -> Plan:
    return small_plan(identities=1, shard_size=3)


def make(folder: Path) -> bool:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return fill(folder, plan=plan(), spec=SPEC, max_attempts=3, cell_attempts=5)


def made_until(folder: Path, last: int) -> tuple[int, list[str]]:
    """Exit status of a child that made the folder and ended after `last` steps, and the steps."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        steps = Steps(last)
        steps.watch()
        status = 0 if make(folder) else 1
        os.write(write, json.dumps(steps.names).encode())
        os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        content = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, json.loads(content) if content else []


def main() -> None:
    folder = Path(sys.argv[1])
    os.fsync = lambda handle: None  # a killed process loses nothing that it wrote; only a power cut does
    gc.freeze()
    assert make(folder / "whole")
    whole = tree(folder / "whole")
    status, names = made_until(folder / "watched", sys.maxsize)
    problems = [] if status == 0 and tree(folder / "watched") == whole else ["the watched run differs"]
    for last, name in enumerate(names):
        run = folder / f"run{last}"
        status, _ = made_until(run, last)
        if status != CRASHED:
            problems.append(f"step {last} ({name}): the run ended with {status}")
        elif not make(run) or tree(run) != whole:
            problems.append(f"step {last} ({name}): another tree")
        shutil.rmtree(run)
    sys.stdout.write(json.dumps({"steps": names, "problems": problems}))


if __name__ == "__main__":
    main()
