"""Figures beside their limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qc.report.contract import contract_section, told_apart
from qc.report.page.blocks import value_and_limit


def fixed(value, digits):
    return f"{value:.{digits}f}"


def test_a_value_that_rounds_to_its_limit_gets_more_digits():
    assert told_apart(0.0502, 0.05, lambda value, digits: f"{100 * value:.{digits}f} %") == ("5.02 %", "5.00 %")


def test_the_limit_itself_gets_none():
    assert told_apart(0.05, 0.05, fixed) == ("0", "0")


@given(st.floats(0, 1), st.floats(0, 1))
def test_texts_that_differ_are_in_the_order_of_the_values(value, limit):
    first, second = told_apart(value, limit, fixed)
    assert first == second or (float(first) < float(second)) == (value < limit)


@pytest.mark.parametrize(
    ("value", "limit", "unit", "texts"),
    [
        (0.0502, 0.05, "share", ("5.02\u00a0%", "5.00\u00a0%")),
        (0.9995, 1.0, "share", ("99.95\u00a0%", "100.00\u00a0%")),
        (0.031, 0.05, "share", ("3.1\u00a0%", "5\u00a0%")),
        (0.05, 0.05, "share", ("5\u00a0%", "5\u00a0%")),
        (None, 0.05, "share", ("not measured", "5\u00a0%")),
    ],
)
def test_a_tile_shows_on_which_side_of_its_limit_a_figure_is(value, limit, unit, texts):
    assert value_and_limit(value, limit, unit) == texts


def test_a_warning_says_a_value_that_is_not_the_limit():
    shared = {"label": "EER", "unit": "share", "ci": None, "n": 100, "threshold": None, "source": ""}
    figure = {"id": "auditor_eer", "stage": "accepted", "value": 0.05004, **shared}
    (line,) = [line for line in contract_section([figure]) if line["id"] == "auditor_eer"]
    assert line["status"] == "warn" and "5.004 % (n = 100), expected at most 5.000 %; warns" in line["sentence"]
