"""The checks of a picture; a new one is a file in this folder and a line in this table."""

from __future__ import annotations

from qc.checks.alignment import AlignmentCheck
from qc.checks.blank import BlankCheck
from qc.checks.context import Check, CheckContext, QCRequest
from qc.checks.exposure import ExposureCheck
from qc.checks.expression import ExpressionCheck
from qc.checks.identity import IdentityCheck
from qc.checks.pose import PoseCheck
from qc.checks.sharpness import SharpnessCheck
from qc.checks.single_face import SingleFaceCheck

CHECKS: tuple[Check, ...] = (
    BlankCheck(),
    SingleFaceCheck(),
    AlignmentCheck(),
    IdentityCheck(),
    ExpressionCheck(),
    PoseCheck(),
    ExposureCheck(),
    SharpnessCheck(),
)


def with_limits(*changed: Check, checks: tuple[Check, ...] = CHECKS) -> tuple[Check, ...]:
    """The checks with those of the same name replaced."""
    by_name = {check.name: check for check in changed}
    unknown = set(by_name) - {check.name for check in checks}
    assert not unknown, f"no such check: {unknown}"
    return tuple(by_name.get(check.name, check) for check in checks)


__all__ = ["CHECKS", "Check", "CheckContext", "QCRequest", "with_limits"]
