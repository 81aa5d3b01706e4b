"""A Linux namespace of a test's own: only its loop-back interface and its own processes, which all end with it.

Ray's `ray start` binds a machine's outer address, uses fixed ports, and `ray stop` stops every Ray of a user; here none of this touches anything else.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
SECONDS = 900  # that an island lasts at most
SET_FLAGS, UP, RUNNING = 0x8914, 0x1, 0x40  # of network interfaces, linux/sockios.h and linux/if.h


class Island:
    """Started by `with`; after it, nothing that was started on it is left."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = {**os.environ, **environment}
        self._root = os.geteuid() == 0
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, words: Sequence[object], log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """A process in a group of its own, which writes to the log."""
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self._inside(words), cwd=ROOT, env={**self.environment, **environment}, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def run(self, words: Sequence[object], *, timeout: float, **environment: str) -> subprocess.CompletedProcess[str]:
        """What a command said, and its exit code."""
        env = {**self.environment, **environment}
        return subprocess.run(self._inside(words), cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)

    def __enter__(self) -> Island:
        user = [] if self._root else ["--map-root-user"]
        words = ["unshare", *user, "--net", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, str(Path(__file__).resolve())]
        self._outside = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._outside.stdout is not None and self._outside.stderr is not None
        if self._outside.stdout.readline() != b"up\n":
            why = self._outside.stderr.read().decode(errors="replace").strip()
            self._outside.wait()
            raise OSError(why)
        self._first = int(Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children").read_text().split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._first, signal.SIGKILL)  # the kernel ends all other processes of the namespace with its first
        self._outside.communicate()
        for process in self._started:
            process.wait()

    def _inside(self, words: Sequence[object]) -> list[str]:
        user = [] if self._root else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self._first), *user, "--net", "--pid", "--mount", *map(str, words)]


def why_not() -> str | None:
    """Why there can't be an island on this machine."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "unshare and nsenter of util-linux are not installed"
    try:
        with Island({}):
            return None
    except OSError as error:
        return f"this user may not make namespaces ({error})"


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as interface:
        fcntl.ioctl(interface, SET_FLAGS, struct.pack("16sh14x", b"lo", UP | RUNNING))
    print("up", flush=True)  # noqa: T201
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.2)
        except ChildProcessError:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
