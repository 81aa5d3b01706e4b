"""kill -9 of the driver, the whole tree, a generator, or during a commit, at random instants; the same command again until it finishes; then compare."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from jobs.verify import find_problems
from tests.bench.killing import Command, Kill, Target, Watch, lost_and_doubled, scratch_folder
from tests.bench.machine import head, say, table
from tests.jobs.coloured import small_plan, tree

TARGETS: tuple[Target, ...] = ("driver", "tree", "worker", "commit")
MOST_KILLS = 6  # of one run, before it is left to finish
LIMIT_SECONDS = 600.0  # of one command
MAX_STUMBLES = 3  # commands of one run that end with an error of their own, such as a Ray that doesn't start in time on a busy machine


class Stumble(Exception):
    """A command ended with an error that is neither the end nor a request to be run again."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command that makes a run folder."""

    name: str
    words: tuple[str, ...]  # the command, with {folder} for the run folder
    num_slots: int
    targets: tuple[Target, ...]
    verified: bool  # the folder is that of `facemint run`, so that verify knows all of it

    def command(self, folder: Path, scratch: Path) -> Command:
        return Command([word.format(folder=folder) for word in self.words], scratch)


@dataclass(kw_only=True)
class Episode:
    """One run that was killed a few times and finished."""

    kills: list[Kill] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    equal: bool = False
    problems: int = 0  # that verify has with it
    left_over: int = 0  # processes that didn't end by themselves
    stumbles: list[str] = field(default_factory=list)
    attempts: int = 0  # lines of the journal: attempts that were begun; 0: it keeps none
    seconds: float = 0.0


def coloured(*, workers: int, batch_seconds: float = 0.02) -> Subject:
    """The fake core: 24 slots in four shards; with workers = 0 in the driver's process, which then is the generator, too."""
    options = ("--journal", "{folder}.journal", "--seconds", str(batch_seconds), "--workers", str(workers))
    words = (sys.executable, "-m", "tests.jobs.coloured", "{folder}", *options)
    targets: tuple[Target, ...] = TARGETS if workers else ("driver", "tree", "commit")
    name = f"fake core, {workers} Ray workers" if workers else "fake core, inline"
    return Subject(name=name, words=words, num_slots=small_plan().num_slots, targets=targets, verified=False)


def bundled() -> Subject:
    """`facemint run demo` with two people and two expressions, two shards, two Ray workers."""
    words = ("identities.sampled.count=2", "expressions.affectnet8=[neutral,happiness]", "sampler.steps=4", "shard_size=2", "batch_size=2", "max_attempts=8")
    command = (sys.executable, "-m", "jobs.cli", "run", "demo", "--out", "{folder}", *words)
    return Subject(name="bundled model, 2 Ray workers", words=command, num_slots=4, targets=TARGETS, verified=True)


def undisturbed(subject: Subject, folder: Path, scratch: Path) -> tuple[str, float]:
    """Hash of the tree that the command makes when nobody kills it, and its seconds."""
    command = subject.command(folder, scratch)
    finish(command)
    return tree_hash(folder), time.monotonic() - command.start


def episode(subject: Subject, folder: Path, scratch: Path, draw: np.random.Generator, targets: Iterator[Target], *, kills: int, expected: str,
            seconds: float) -> Episode:  # fmt: skip
    """Kills the command up to `kills` times, runs it to its end, and compares what it made."""
    result = Episode()
    watch = Watch()
    start = time.monotonic()
    command = subject.command(folder, scratch)
    try:
        for _ in range(kills):
            target = next(targets)
            passed = time.monotonic() - command.start
            delay = passed + float(draw.uniform(0.0, max(0.2, 1.1 * seconds - passed)))
            watch.note(command.process.pid)
            kill = command.kill(target, folder, delay)
            if kill.hit:
                result.kills.append(kill)
            watch.note(command.process.pid)
            if command.process.poll() is not None:
                if not kill.hit:
                    break  # it ended before
                command.close()
                command = subject.command(folder, scratch)
        for _ in range(kills + MAX_STUMBLES + 1):  # a worker that was killed can end a command: the same one again
            watch.note(command.process.pid)
            try:
                if finish(command):
                    break
            except Stumble as stumble:
                result.stumbles.append(str(stumble))
                if len(result.stumbles) > MAX_STUMBLES:
                    raise
            command = subject.command(folder, scratch)
    finally:
        command.close()
        result.left_over = watch.clean_up()
    result.lost, result.doubled = lost_and_doubled(folder, subject.num_slots)
    result.equal = tree_hash(folder) == expected
    result.problems = sum(1 for _ in find_problems(folder)) if subject.verified else 0
    journal = Path(f"{folder}.journal")
    result.attempts = len(journal.read_text().splitlines()) if journal.is_file() else 0
    result.seconds = round(time.monotonic() - start, 2)
    return result


def finish(command: Command) -> bool:
    """Waits for a command; True when it says that the run is complete, False when it wants to be run again. Anything else is an error."""
    code = command.process.wait(timeout=LIMIT_SECONDS)
    errors = command.errors()
    command.close()
    if code not in (0, 3, 4, 75):
        raise Stumble(f"exit code {code}: {errors[-1000:]}")
    return code in (0, 4)


def tree_hash(folder: Path) -> str:
    """Of names and contents of everything that isn't a command's own."""
    digest = hashlib.sha256()
    for name, content in tree(folder).items():
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def run_kills(subject: Subject, number: int, seed: int, log: TextIO | None = None) -> list[Episode]:
    """Episodes with so many kills in all, the last of them a few more or less."""
    episodes: list[Episode] = []
    with scratch_folder() as scratch:
        expected, seconds = undisturbed(subject, scratch / "base", scratch)
        done = 0
        targets = shuffled(subject.targets, np.random.default_rng([seed, 2**20]))
        for each in range(2 * number):
            if done >= number:
                break
            draw = np.random.default_rng([seed, each])
            kills = min(int(draw.integers(1, MOST_KILLS + 1)), number - done)
            result = episode(subject, scratch / f"run{each}", scratch, draw, targets, kills=kills, expected=expected, seconds=seconds)
            done += len(result.kills)
            episodes.append(result)
            if log:
                log.write(json.dumps({"subject": subject.name, "episode": each, "seed": seed, **asdict(result)}) + "\n")
                log.flush()
    return episodes


def shuffled(targets: Sequence[Target], draw: np.random.Generator) -> Iterator[Target]:
    """Targets in random order, all of them before one comes again."""
    while True:
        for place in draw.permutation(len(targets)):
            yield targets[place]


def summary(subject: Subject, episodes: Sequence[Episode]) -> list[object]:
    """A row of the table."""
    by_target = Counter(kill.target for each in episodes for kill in each.kills)
    total = sum(by_target.values())
    runs = len(episodes)
    return [
        subject.name,
        total,
        ", ".join(f"{target} {by_target[target]}" for target in TARGETS if by_target[target]),
        runs,
        sum(each.lost for each in episodes),
        sum(each.doubled for each in episodes),
        f"{sum(each.equal for each in episodes)} of {runs}",
        sum(each.problems for each in episodes) if subject.verified else "-",
        sum(each.left_over for each in episodes),
        sum(len(each.stumbles) for each in episodes),
        f"{sum(each.seconds for each in episodes):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="of each model")
    parser.add_argument("--model", choices=("coloured", "bundled", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="file that gets a JSON line for each run")
    words = parser.parse_args()
    subjects: list[tuple[Subject, int]] = []
    if words.model != "bundled":
        subjects += [(coloured(workers=0), words.kills // 2), (coloured(workers=2), words.kills - words.kills // 2)]
    if words.model != "coloured":
        subjects.append((bundled(), words.kills))
    rows = []
    good = True
    log = words.log.open("a", encoding="utf-8") if words.log else None
    for subject, number in subjects:
        episodes = run_kills(subject, number, words.seed, log)
        rows.append(summary(subject, episodes))
        good = good and all(each.equal and not (each.lost or each.doubled or each.problems) for each in episodes)
    if log:
        log.close()
    say(head("kill -9 at random instants, then the same command", ("ray", "torch"), target="0 lost, 0 duplicate, equal trees"))
    say("The driver is the writer. Inline, it is the generator, too; with Ray, a worker is a generator's process.\n")
    of_run = ("runs", "lost", "duplicate", "equal to an undisturbed run", "problems", "processes left over", "other errors", "seconds")
    say(table(("model", "kills", "of", *of_run), rows))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
