from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.cluster.form import end_mark, yaml_document, yaml_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda each: st.lists(each) | st.dictionaries(TEXTS, each), max_leaves=8)


@given(VALUES)
def test_a_value_is_one_line_that_reads_as_itself(value):
    line = yaml_value(value)
    assert len(line.splitlines()) == 1
    assert yaml.safe_load(f"key: {line}  # comment\nnext: [{line}]\n") == {"key": value, "next": [value]}


@given(st.dictionaries(TEXTS, TEXTS))
def test_a_document_reads_as_itself(document):
    assert yaml.safe_load(yaml_document(document)) == document


def test_an_end_mark_is_no_line_of_the_text():
    assert end_mark("a\nEND_OF_RECIPE\nEND_OF_RECIPE_\n") == "END_OF_RECIPE__"
