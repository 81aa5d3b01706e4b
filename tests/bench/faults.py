"""Plants faults into accepted pictures of finished runs and counts how many the checks find, and how often they object to clean pictures."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jobs.attempts import Answer, Attempt
from jobs.axes import Screenings, plan_spec
from jobs.config import load_config
from jobs.images import decode_rgb, encode
from jobs.labelling import JudgeAndLabel
from jobs.reopen import answers_of_shard
from jobs.shards import read_markers
from jobs.staging import StagingLog
from jobs.worker import GenerateAndJudgeSpec
from manifests.planner import Plan
from qc.dataset.duplicates import exact_duplicates, perceptual_candidates, perceptual_duplicates, pixel_features
from qc.dataset.hashes import phash64
from qc.images import Picture, Refused, decode_picture, pixel_sha256
from qc.statistics.intervals import wilson
from tests.bench.machine import head, say, table
from tests.qc.faults import FAULTS, FILE_FAULTS, HARD, SOFT, Points, Rgb, saved

SEED = 20_261_121
TARGET = "recall of 99 % for hard and 95 % for soft faults, at most 0.5 % false alarms"
DEFECTS = ("not_finite", "blank", "no_face", "many_faces", "exposure", "sharpness", "integrity", "crop", "colour", "compression", "seam")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture that its run's checks accept, with what was asked."""

    judge: JudgeAndLabel
    attempt: Attempt
    answer: Answer

    @property
    def image(self) -> Rgb:
        return decode_rgb(self.answer.image)

    @property
    def points(self) -> Points:
        return np.asarray(self.answer.labels["landmarks5"], np.float32).reshape(5, 2)

    def reasons(self, image: Rgb, **asked: str) -> tuple[str, ...]:
        """Why the picture, stored as JPEG, is rejected under the request, or under one that differs in `asked`."""
        attempt = dataclasses.replace(self.attempt, row=dataclasses.replace(self.attempt.row, **asked))  # type: ignore[arg-type]
        return self.judge.again([attempt], [dataclasses.replace(self.answer, image=encode(image, "jpeg"))])[0].verdict.reasons


def read_samples(folder: Path, count: int) -> tuple[list[Sample], Counter[str], int]:
    """At most `count` accepted pictures, spread over the run; and the defects, by reason, of all attempts."""
    config = load_config(folder / "config.yaml")
    judge = GenerateAndJudgeSpec(folder=str(folder), config=config).build_judge()
    plan = Plan(plan_spec(config, Screenings(identities=None, expressions=None, scenes=None)))  # runs of sampled people only
    samples, defects, attempts = [], Counter[str](), 0
    for marker in read_markers(folder).values():
        rows = {row.slot: row for row in plan.row_list(marker["start"], marker["stop"])}
        for answer in answers_of_shard(folder, marker)[0]:
            attempts += 1
            defects.update(reason for reason in answer.verdict.reasons if reason in DEFECTS)
            if answer.verdict.accepted:
                row = rows[answer.slot]
                samples.append(Sample(judge=judge, attempt=Attempt(row=row, attempt=answer.attempt, seed=row.seed(config.seed, answer.attempt)), answer=answer))
    places = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int))
    return [samples[k] for k in places], defects, attempts


def fault_rows(samples: Sequence[Sample]) -> list[list[object]]:
    """A row for each type of fault."""
    rows = [_row(f.name, HARD, f.expected, [_of_file(f.apply(sample.answer.image)) for sample in samples]) for f in FILE_FAULTS]
    for fault in FAULTS:
        draw = np.random.default_rng(SEED)
        found = [s.reasons(fault.apply(s.image, s.points, samples[k - 1].image, draw)) for k, s in enumerate(samples)]
        rows.append(_row(fault.name, fault.kind, fault.expected, found))
    people = sorted({s.attempt.row.identity_id for s in samples})
    words = sorted({s.attempt.row.expression for s in samples})
    scenes = sorted({s.attempt.row.scene_id for s in samples})
    for name, kind, key, values, expected in (
        ("asked for another person", HARD, "identity_id", people, ("identity", "identity_rank")),
        ("asked for another expression", HARD, "expression", words, ("expression", "affect", "eyes", "mouth")),
        ("asked for another scene", SOFT, "scene_id", scenes, ("pose", "background", "seam", "alignment")),
    ):
        found = [s.reasons(s.image, **{key: _next(values, getattr(s.attempt.row, key))}) for s in samples]
        rows.append(_row(name, kind, expected, found))
    return rows + duplicate_rows(samples)


def duplicate_rows(samples: Sequence[Sample]) -> list[list[object]]:
    """Copies among the pictures, which are found in the whole set."""
    images = [sample.image for sample in samples]
    rows: list[list[object]] = []
    both = [*images, *images]
    pairs = {frozenset(cluster.members) for cluster in exact_duplicates([pixel_sha256(image) for image in both], kind="pixels", top=len(both)).clusters}
    rows.append(
        _row(
            "the same picture twice",
            HARD,
            ("pixels",),
            [("pixels",) if {k, k + len(images)} <= set().union(*(p for p in pairs if k in p)) else () for k in range(len(images))],
        )
    )
    for name, again in (
        ("the same picture, JPEG 75", lambda image: decode_rgb(saved(image, "JPEG", quality=75))),
        ("the same picture, PNG", lambda image: decode_rgb(saved(image, "PNG", optimize=False))),
    ):
        both = [*images, *(again(image) for image in images)]
        hashes = np.array([phash64(image) for image in both], np.uint64)
        places = perceptual_candidates(hashes)
        found = perceptual_duplicates(hashes, places=places, features=pixel_features([both[k] for k in places]), top=len(both))
        joined = [set(cluster.members) for cluster in found.clusters]
        rows.append(
            _row(
                name, HARD, ("perceptual",), [("perceptual",) if any({k, k + len(images)} <= members for members in joined) else () for k in range(len(images))]
            )
        )
    return rows


def clean_rows(samples: Sequence[Sample]) -> list[list[object]]:
    """What is said of pictures without a fault: as they are stored, stored again, and moved by a pixel."""
    rows = []
    for name, change in (
        ("as stored", None),
        ("decoded and stored again as JPEG 95", lambda image: image),
        ("moved by one pixel against its scene", lambda image: np.ascontiguousarray(np.pad(image, ((1, 0), (1, 0), (0, 0)), mode="edge")[:-1, :-1])),
        ("one level brighter", lambda image: np.clip(image.astype(np.int16) + 1, 0, 255).astype(np.uint8)),
    ):
        found = [s.judge.again([s.attempt], [s.answer])[0].verdict.reasons if change is None else s.reasons(change(s.image)) for s in samples]
        flagged = [reasons for reasons in found if reasons]
        defects = [reasons for reasons in found if set(reasons) & set(DEFECTS)]
        ci = wilson(len(defects), len(found))
        rows.append([name, len(found), _share(len(flagged), len(found)), _share(len(defects), len(found)), f"{ci.low:.1%} to {ci.high:.1%}", _by(flagged)])
    return rows


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="finished run folders with JPEG pictures, of another seed than the limits were chosen on")
    parser.add_argument("--clean", type=Path, metavar="RUN", help="a run whose accepted pictures, all of them, are stored again and judged")
    parser.add_argument("--images", type=int, default=40, help="of each type of fault, spread over the runs")
    words = parser.parse_args()
    say(head("Planted faults", target=TARGET))
    samples: list[Sample] = []
    defects, attempts = Counter[str](), 0
    for folder in words.runs:
        some, bad, count = read_samples(folder, -(-words.images // len(words.runs)))
        samples, defects, attempts = samples + some, defects + bad, attempts + count
    standing = [sample for sample in samples if not sample.judge.again([sample.attempt], [sample.answer])[0].verdict.reasons]
    say(f"{len(samples)} accepted pictures of {len(words.runs)} runs; the checks of today accept {len(standing)} of them, which the faults are planted into.\n")
    rows = fault_rows(standing)
    say(table(["fault", "kind", "n", "found", "by the check meant", "reasons"], rows))
    for kind in (HARD, SOFT):
        found = sum(row[2] * float(str(row[3]).rstrip("%")) / 100 for row in rows if row[1] == kind)  # type: ignore[operator]
        total = sum(row[2] for row in rows if row[1] == kind)  # type: ignore[misc]
        say(f"{kind}: {found / total:.1%} of {total:,}\n")
    say(table(["clean pictures", "n", "any objection", "a defect", "95 % interval", "reasons"], clean_rows(standing)))
    say(
        f"Of all {attempts} attempts of these runs, the share with each defect, an upper bound of its false alarms: "
        f"{', '.join(f'{name} {number / attempts:.1%}' for name, number in defects.most_common()) or 'none'}.\n"
    )
    if words.clean:
        say(false_alarms(words.clean))
    return 0


def false_alarms(folder: Path) -> str:
    """How often a defect is found in a run's accepted pictures, all of them, after they were stored again."""
    committed = read_samples(folder, sys.maxsize)[0]
    samples = committed + staged_samples(folder, committed[0].judge)
    found = [set(sample.reasons(sample.image)) & set(DEFECTS) for sample in samples]
    flagged = [tuple(sorted(reasons)) for reasons in found if reasons]
    ci = wilson(len(flagged), len(found))
    staged = sum(bool(reasons) for reasons in found[len(committed) :])
    return (
        f"Of {len(found):,} accepted pictures of another run, {len(committed):,} of them in committed shards, decoded and stored again as JPEG 95, "
        f"{len(flagged)} have a defect, {staged} of them in shards that are not committed: {_share(len(flagged), len(found))}, "
        f"95 % interval {ci.low:.2%} to {ci.high:.2%}; {_by(flagged)}.\n"
    )


def staged_samples(folder: Path, judge: JudgeAndLabel) -> list[Sample]:
    """Accepted pictures of shards that an unfinished run hasn't committed yet, read from a copy of its logs."""
    config = load_config(folder / "config.yaml")
    plan = Plan(plan_spec(config, Screenings(identities=None, expressions=None, scenes=None)))
    samples = []
    with tempfile.TemporaryDirectory() as name:
        for path in sorted((folder / "staging").glob("*.log")):
            (Path(name) / "staging").mkdir(exist_ok=True)
            shutil.copy(path, Path(name) / "staging")
            shard, run_hash = path.name.split(".")[:2]
            log = StagingLog(Path(name), run_hash)
            for staged in log.read(shard).answers:
                if staged.answer.verdict.accepted:
                    image, label_map = log.pictures(staged)
                    row = next(iter(plan.row_list(staged.answer.slot, staged.answer.slot + 1)))
                    attempt = Attempt(row=row, attempt=staged.answer.attempt, seed=row.seed(config.seed, staged.answer.attempt))
                    samples.append(Sample(judge=judge, attempt=attempt, answer=dataclasses.replace(staged.answer, image=image, label_map=label_map)))
            log.close()
    return samples


def _of_file(content: bytes) -> tuple[str, ...]:
    found: Picture | Refused = decode_picture(content)
    return (found.reason,) if isinstance(found, Refused) else ()


def _next(values: Sequence[str], value: str) -> str:
    return values[(values.index(value) + 1) % len(values)]


def _row(name: str, kind: str, expected: tuple[str, ...], found: Sequence[tuple[str, ...]]) -> list[object]:
    meant = sum(bool(set(reasons) & set(expected)) for reasons in found)
    flagged = [reasons for reasons in found if reasons]
    return [name, kind, len(found), _share(len(flagged), len(found)), _share(meant, len(found)), _by(flagged)]


def _by(found: Sequence[tuple[str, ...]]) -> str:
    return ", ".join(f"{name} {number}" for name, number in Counter(reason for reasons in found for reason in reasons).most_common(4)) or "-"


def _share(count: int, n: int) -> str:
    return f"{count / n:.1%}" if n else "-"


if __name__ == "__main__":
    sys.exit(main())
