from __future__ import annotations

import dataclasses
from typing import get_args

from jobs.sections import CheckName, LimitsSection
from manifests.verdicts import REJECT_REASONS
from qc.checks import CHECKS

DESCRIPTION = {"name", "unit", "source"}


def test_recipes_know_every_check_by_its_name():
    assert set(get_args(CheckName)) == {check.name for check in CHECKS}


def test_every_limit_of_a_check_can_be_set_by_a_recipe_and_no_other():
    limits = {f"{check.name}_{field.name}" for check in CHECKS for field in dataclasses.fields(check) if field.name not in DESCRIPTION}
    assert {field.name for field in dataclasses.fields(LimitsSection)} == limits - {"identity_min_cosine"}  # which follows from qc.gate_fmr


def test_every_check_has_its_reason_a_limit_and_a_source():
    for check in CHECKS:
        assert check.name in (*REJECT_REASONS, "single_face")
        assert check.limit() and check.unit and len(check.source) > 10
