"""Stored pictures measured again: the judging half of a worker looks at the files' own bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobs.attempts import Answer, Attempt
from jobs.config import RunConfig
from jobs.recheck_shards import Judging
from manifests.rows import ManifestRow

AT_ONCE = 32  # pictures


def measured_again(folder: str, config: RunConfig, weights: Mapping[str, str], run_seed: int) -> Judging:
    """Looks at pictures with the run's nets; what a file holds stays as it is, but for its verdict and labels."""
    from jobs.worker import GenerateAndJudgeSpec

    look = GenerateAndJudgeSpec(folder=folder, config=config, weights=weights).build_judge()

    def judging(answers: Sequence[Answer], rows: Mapping[int, ManifestRow], spare: frozenset[tuple[int, int]]) -> list[Answer]:
        judged: list[Answer] = []
        for start in range(0, len(answers), AT_ONCE):
            some = answers[start : start + AT_ONCE]
            attempts = [Attempt(row=rows[each.slot], attempt=each.attempt, seed=rows[each.slot].seed(run_seed, each.attempt)) for each in some]
            judged += look.again(attempts, some)
        return judged

    return judging
