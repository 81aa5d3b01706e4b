"""`facemint verify` on damaged run folders: of every kind of damage, how many were found; and how many problems it has with whole ones."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jobs.verify import find_problems
from tests.bench import damage_bytes, damage_records, damage_tables, damage_tars
from tests.bench.coloured_run import coloured_run
from tests.bench.machine import head, say, table
from tests.bench.tampering import NotHere, Tampering
from tests.jobs.coloured import ColouredSpec

KINDS = {kind.__name__: kind for part in (damage_bytes, damage_tars, damage_tables, damage_records) for kind in part.KINDS}
MAX_DRAWS = 50  # to find a place for a kind of damage


def damaged(folder: Path, number: int, seed: int) -> Iterator[tuple[str, int, str]]:
    """So many (kind, number, first problem) of one folder, whole in between; the problem is "" where none was found. Kinds take turns."""
    names = sorted(KINDS)
    for each in range(number):
        name = names[each % len(names)]
        for attempt in range(MAX_DRAWS):
            run = Tampering(folder, np.random.default_rng([seed, each, attempt]))
            try:
                KINDS[name](run)
            except NotHere:
                run.restore()
                continue
            try:
                yield name, each, next(find_problems(folder), "")
            finally:
                run.restore()
            break


def clean_runs(scratch: Path, number: int) -> Iterator[tuple[str, list[str]]]:
    """(settings, problems) of so many whole runs with different seeds and settings."""
    for each in range(number):
        draw = np.random.default_rng([20, each])
        words = (
            f"seed={each}",
            f"views={int(draw.integers(1, 4))}",
            f"shard_size={int(draw.integers(3, 30))}",
            f"batch_size={int(draw.integers(1, 9))}",
            f"max_attempts={int(draw.integers(1, 7))}",
            f"identities.sampled.count={int(draw.integers(2, 6))}",
            f"image.format={'png' if each % 2 else 'jpeg'}",
            f"scenes.every={'true' if each % 3 == 0 else 'false'}",
            *(("min_acceptance=0.2", "cell_attempts=9") if each % 4 == 0 else ()),
        )
        if each % 2 == 0:
            words = tuple(word for word in words if not word.startswith("image.format"))  # the fake core makes PNG
        folder = scratch / f"clean-{each}"
        coloured_run(folder, *words, spec=ColouredSpec(acceptance=float(draw.uniform(0.1, 1.0))))
        yield " ".join(words), list(find_problems(folder, deep=True))


def bundled_run(folder: Path) -> bool:
    """A small run with the bundled model; whether it could be made."""
    from click.testing import CliRunner

    from jobs.cli import main as facemint

    words = ("sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1", "qc.rejecting=[single_face]", "batch_size=2", "max_attempts=2", "shard_size=2")
    result = CliRunner().invoke(facemint, ["run", "smallest", "--out", str(folder), "--local", *words])
    return result.exit_code in (0, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000, help="four of five on a run of the fake core, the rest on one of the bundled model")
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="print every problem that was found")
    words = parser.parse_args()
    made: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    missed = []
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="facemint-mutations-") as scratch:
        bases = {"fake core": Path(scratch) / "fake", "bundled model": Path(scratch) / "bundled"}
        coloured_run(bases["fake core"])
        shares = {"fake core": words.mutants}
        if bundled_run(bases["bundled model"]):
            shares = {"fake core": words.mutants - words.mutants // 5, "bundled model": words.mutants // 5}
        else:
            say("The bundled model's run could not be made; all damage is done to the fake core's.\n")
        for base, number in shares.items():
            before = list(find_problems(bases[base], deep=True))
            assert not before, before
            start = time.perf_counter()
            for kind, each, problem in damaged(bases[base], number, words.seed):
                made[kind, base] += 1
                found[kind, base] += bool(problem)
                if words.verbose:
                    say(f"{kind} {each}: {problem[:200]}")
                if not problem:
                    missed.append(f"{kind} number {each} of the {base}, seed {words.seed}")
            seconds += time.perf_counter() - start
            assert list(find_problems(bases[base], deep=True)) == before, "the folder wasn't restored"
        clean = list(clean_runs(Path(scratch), words.clean))
    total = sum(made.values())
    say(head(f"verify on {total:,} damaged run folders", ("pyarrow", "pillow"), target="all found, none on whole ones"))
    rows = [(kind, *(f"{found[kind, base]} / {made[kind, base]}" for base in shares)) for kind in sorted(KINDS)]
    every = [f"{sum(found[kind, base] for kind in KINDS)} / {sum(made[kind, base] for kind in KINDS)}" for base in shares]
    say(table(("kind of damage", *shares), [*rows, ("**all**", *every)]))
    problems = sum(len(each) for _, each in clean)
    say(f"{problems} problems on {len(clean)} whole runs with different seeds and settings. {seconds / max(1, total) * 1000:.0f} ms for a damaged one.\n")
    for line in [*missed, *(f"{settings}: {each[0]}" for settings, each in clean if each)]:
        say(f"- {line}")
    raise SystemExit(1 if missed or problems else 0)


if __name__ == "__main__":
    main()
