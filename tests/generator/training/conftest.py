from __future__ import annotations

import pytest

from generator.training.corpus import Corpus
from tests.generator.training.drawn import draw_corpus


@pytest.fixture(scope="session")
def drawn_corpus() -> Corpus:
    """72 pictures of drawn heads: 12 identities to train on, 8 of the audit blocks and 4 held out, three pictures each."""
    return draw_corpus()
