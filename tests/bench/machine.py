"""What every benchmark prints at its head: the machine, how busy it is, and versions; and its tables, as Markdown."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path


def head(title: str, packages: Sequence[str] = ("numpy", "pyarrow"), *, target: str = "") -> str:
    """Heading of a benchmark: its title, the processor, its cores and load, Python, versions of the packages, and the target if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    versions = ", ".join(f"{name} {_version(name)}" for name in ("facemint", *packages))
    lines = [
        f"## {title}",
        "",
        f"{_processor()}, {cores} cores, {memory_gib():.0f} GiB, {busy}; {platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"{versions}; {datetime.date.today().isoformat()}",
    ]
    return "\n".join([*lines, *(["", f"Target: {target}."] if target else []), ""])


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers are right-aligned."""
    cells = [[_text(value) for value in row] for row in rows]
    numeric = [bool(cells) and all(_is_number(row[place]) for row in cells) for place in range(len(columns))]
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join('---:' if right else '---' for right in numeric)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells)]) + "\n"


def say(text: str) -> None:
    """Prints at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def memory_gib() -> float:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def peak_mb() -> float:
    """Largest resident size of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def resident_mb() -> float:
    """Resident size of this process now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 2**10
    raise OSError("/proc/self/status has no VmRSS")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit()


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
