from __future__ import annotations

import pytest

from jobs.config import config_from_words
from jobs.papers.write import write_papers
from manifests.records import RunRecord
from tests.jobs.coloured import fill

WORDS = ("identities.sampled.count=4", "expressions.words=[neutral,happiness,anger]", "split.train=0.75", "split.val=0.25", "image.format=png")
RECORD = RunRecord(config_hash="c" * 64, weights={"gate": "1" * 64, "auditor": "2" * 64}, versions={"facemint": "0", "python": "3"}, counts={"accepted": 24})
SUMMARY = {"metrics": [{"label": "a | <b>", "stage": "accepted", "value": 0.5, "unit": "cosine", "n": 12}, {"label": "none", "stage": "x", "value": None}]}


def papers_of(folder, *words):
    return write_papers(folder, config_from_words([*WORDS, *words]), RECORD, SUMMARY, has_sheet=False)


@pytest.fixture(scope="session")
def run(bundled, tmp_path_factory):
    """A finished run of coloured pictures with its papers."""
    folder = tmp_path_factory.mktemp("papers")
    assert fill(folder)
    papers_of(folder)
    return folder
