"""What the checks measured on an image, and whether it was accepted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from manifests.errors import InputError

# Reasons in order of precedence: the first one that applies is the reject reason of a sample, all of them are its failed gates.
# Later versions only append, because labels refer to the position.
REJECT_REASONS = (
    "not_finite",  # the model gave no picture
    "blank",  # almost one colour
    "no_face",
    "many_faces",
    "alignment",  # the face is not where the portrait has it
    "identity",
    "expression",
    "pose",
    "exposure",
    "sharpness",
    "duplicate",
    "error",  # the attempt failed with an error and was set aside
    "integrity",  # another size, or holes in the picture
    "crop",  # the edge of the picture cuts the face, or the face is too small
    "colour",  # a cast, or unnatural skin
    "compression",  # blocks of 8 x 8 px
    "seam",  # the mask's edge can be seen
    "eyes",  # not as open as asked
    "mouth",
    "illumination",
    "background",
    "affect",  # valence or arousal
    "identity_rank",  # somebody else of the run is nearer
)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number measured on one image."""

    name: str  # column name without prefix
    value: float  # nan: could not be measured
    unit: str  # "cosine", "deg", "px", "score 0..100", "ratio", ...


@dataclass(frozen=True, kw_only=True)
class QCVerdict:
    """Accepted, or the reasons against it; the measurements are kept in both cases."""

    accepted: bool
    reasons: tuple[str, ...]  # of REJECT_REASONS, by precedence; empty when accepted
    measurements: Mapping[str, float]  # name -> value; what could not be measured is absent

    def __post_init__(self) -> None:
        if self.accepted == bool(self.reasons):
            raise InputError(f"verdict: accepted is {self.accepted} with reasons {list(self.reasons)}; an image is accepted exactly when there are none.")
        for reason in self.reasons:
            if reason not in REJECT_REASONS:
                raise InputError(f'verdict: "{reason}" is not a reject reason; expected one of {", ".join(REJECT_REASONS)}.')

    @property
    def reject_reason(self) -> str | None:
        """First reason by precedence; None when accepted."""
        return self.reasons[0] if self.reasons else None


def verdict(measurements: Iterable[Measurement], failed: Iterable[str]) -> QCVerdict:
    """Verdict from what was measured and the reasons that apply, in any order and with repeats."""
    reasons = tuple(sorted(set(failed), key=_precedence))
    values = {measurement.name: measurement.value for measurement in measurements if not math.isnan(measurement.value)}
    return QCVerdict(accepted=not reasons, reasons=reasons, measurements=values)


def _precedence(reason: str) -> tuple[int, str]:
    return (REJECT_REASONS.index(reason) if reason in REJECT_REASONS else len(REJECT_REASONS), reason)
