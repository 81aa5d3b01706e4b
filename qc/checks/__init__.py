"""The checks of a picture; a new one is a file in this folder and a line in this table."""

from __future__ import annotations

from qc.checks.affect import AffectCheck
from qc.checks.alignment import AlignmentCheck
from qc.checks.background import BackgroundCheck
from qc.checks.blank import BlankCheck
from qc.checks.colour import ColourCheck
from qc.checks.compression import CompressionCheck
from qc.checks.context import Check, CheckContext, QCRequest, Scene
from qc.checks.crop import CropCheck
from qc.checks.exposure import ExposureCheck
from qc.checks.expression import ExpressionCheck
from qc.checks.eyes import EyesCheck
from qc.checks.identity import IdentityCheck
from qc.checks.identity_rank import IdentityRankCheck
from qc.checks.illumination import IlluminationCheck
from qc.checks.integrity import IntegrityCheck
from qc.checks.mouth import MouthCheck
from qc.checks.pose import PoseCheck
from qc.checks.seam import SeamCheck
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
    IntegrityCheck(),
    CropCheck(),
    ColourCheck(),
    CompressionCheck(),
    SeamCheck(),
    EyesCheck(),
    MouthCheck(),
    IlluminationCheck(),
    BackgroundCheck(),
    AffectCheck(),
    IdentityRankCheck(),
)


def with_limits(*changed: Check, checks: tuple[Check, ...] = CHECKS) -> tuple[Check, ...]:
    """The checks with those of the same name replaced."""
    by_name = {check.name: check for check in changed}
    unknown = set(by_name) - {check.name for check in checks}
    assert not unknown, f"no such check: {unknown}"
    return tuple(by_name.get(check.name, check) for check in checks)


__all__ = ["CHECKS", "Check", "CheckContext", "QCRequest", "Scene", "with_limits"]
