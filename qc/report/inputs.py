"""What a report is computed from: tables of slots, attempts and labels, what a spread of the pictures looks like, and what they are compared with."""

# S slots, N attempts, A accepted ones in the order of the attempts, P embedded pictures, D width of an embedding

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from manifests.errors import InputError
from manifests.ledger import Weight
from manifests.verdicts import REJECT_REASONS
from qc.calibration import Calibration
from qc.checks import CHECKS, Check

SLOT_COLUMNS = ("slot", "split", "identity_id", "expression", "scene_id", "identity_group", "pose_bin", "status")
ATTEMPT_COLUMNS = ("slot", "attempt", "seed", "accepted", "reasons")
SEED = 20240501  # of every draw of a report


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What recognisers and pixels say of P pictures, a spread of all attempts with a face."""

    row: NDArray[np.int64]  # (P,) rows of the attempts, ascending
    gate: NDArray[np.float32]  # (P, D) unit
    auditor: NDArray[np.float32]  # (P, D') unit
    pixels: NDArray[np.float32]  # (P, F) `qc.dataset.duplicates.pixel_features`
    background: NDArray[np.float32]  # (P, B) `qc.dataset.shortcuts.background_features`
    file_bytes: NDArray[np.int64]  # (P,) of the stored picture
    phash64: NDArray[np.uint64]  # (P,)
    mirrored_phash64: NDArray[np.uint64]  # (P,)
    phash256: NDArray[np.uint8]  # (P, 32)
    mirrored_phash256: NDArray[np.uint8]  # (P, 32)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Accepted pictures that aren't embedded and whose label's hash is near that of a training picture; C of them were decoded and hashed."""

    num_compared: int  # accepted pictures whose label has a hash
    num_found: int
    complete: bool  # False: too many hashes were alike to compare them all
    row: NDArray[np.int64]  # (C,) rows of the attempts, ascending
    phash64: NDArray[np.uint64]  # (C,)
    mirrored_phash64: NDArray[np.uint64]  # (C,)
    phash256: NDArray[np.uint8]  # (C, 32)
    mirrored_phash256: NDArray[np.uint8]  # (C, 32)


@dataclass(frozen=True, kw_only=True)
class People:
    """References of the identities that a run asks for; no row for an identity that a recogniser doesn't know."""

    identity_ids: Sequence[str]
    gate: NDArray[np.float32]  # (I, D) unit
    auditor: NDArray[np.float32]  # (I, D')


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """People that pictures must not look like, and people that nothing was trained on."""

    source: str
    identity_ids: Sequence[str]  # (G,)
    held_out: NDArray[np.bool_]  # (G,) the reference; the others are the gallery
    gate: NDArray[np.float32] | None  # (G, D) unit centres
    auditor: NDArray[np.float32]  # (G, D')
    phash64: NDArray[np.uint64]  # (H,) of all its pictures
    phash256: NDArray[np.uint8] | None  # (H, 32); None: not known, so that candidates can't be confirmed
    phash_owner: NDArray[np.int64]  # (H,) rows of `identity_ids`
    tiles: Sequence[bytes | None] | None = None  # (G,) small pictures as `qc.report.gallery_tiles` checks them


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Pictures that the distribution of the accepted ones is compared with."""

    source: str
    auditor: NDArray[np.float32]  # (M, D') unit


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """Everything that a report says follows from this.

    `slots`     one row a slot: SLOT_COLUMNS; text columns as categories where there are many rows
    `attempts`  one row an attempt in the order of slots and attempts: ATTEMPT_COLUMNS and a column per measurement; `reasons` is a set of
                REJECT_REASONS, as bits (`reason_bits`)
    `labels`    one row an accepted attempt in the same order: file_hash, pixel_hash, phash64 (uint64), has_phash, req_valence, req_arousal, req_yaw,
                req_pitch; None: not read
    """

    title: str
    command: str
    created: str  # the caller's, so that equal runs can give equal reports
    config_sha256: str
    manifest_sha256: str
    bundle_id: str
    version: str
    seed: int
    seconds: float | None  # wall time of generating and judging
    slots: pd.DataFrame
    uncommitted: int  # slots of shards that aren't finished
    attempts: pd.DataFrame
    labels: pd.DataFrame | None
    embedded: Embedded | None
    people: People | None
    gallery: Gallery | None
    reference: Reference | None
    classes: Mapping[str, str | None]  # expression word -> of AFFECTNET8
    checks: Sequence[Check] = CHECKS
    rejecting: Sequence[str] = tuple(check.name for check in CHECKS)
    calibration: Calibration | None  # of the gate
    models: Sequence[Weight]
    versions: Mapping[str, str]
    marking: Sequence[str] = ()
    chosen: tuple[int, int] | None = None  # sampled people and the candidates that the auditor took them from; None: it chose nobody
    candidates: Candidates | None = None  # None: copies are looked for among the embedded pictures alone

    def __post_init__(self) -> None:
        for name, frame, columns in (("slots", self.slots, SLOT_COLUMNS), ("attempts", self.attempts, ATTEMPT_COLUMNS)):
            missing = [column for column in columns if column not in frame.columns]
            if missing:
                raise InputError(f"report: the table of {name} has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns[:12]))}.")
        if self.labels is not None and len(self.labels) != int(self.accepted.sum()):
            raise InputError(f"report: {len(self.labels)} labels for {int(self.accepted.sum())} accepted attempts, expected one each.")

    @cached_property
    def accepted(self) -> NDArray[np.bool_]:
        """(N,) of the attempts."""
        return self.attempts["accepted"].to_numpy(dtype=bool)

    @cached_property
    def reasons(self) -> NDArray[np.int64]:
        """(N,) sets of reject reasons as bits."""
        return self.attempts["reasons"].to_numpy(dtype=np.int64)

    @cached_property
    def slot_row(self) -> NDArray[np.int64]:
        """(N,) row of the slots that each attempt belongs to."""
        numbers = self.slots["slot"].to_numpy(dtype=np.int64)
        order = np.argsort(numbers, kind="stable")
        wanted = self.attempts["slot"].to_numpy(dtype=np.int64)
        place = np.minimum(np.searchsorted(numbers[order], wanted), max(len(order) - 1, 0))
        if len(wanted) and (not len(order) or (numbers[order][place] != wanted).any()):
            raise InputError("report: an attempt belongs to no slot. The files of the run are not of one plan.")
        return order[place]

    @cached_property
    def identity(self) -> NDArray[np.int64]:
        """(N,) number of the asked identity of each attempt, in the order of `identity_names`."""
        return self._identity_codes[0][self.slot_row]

    @cached_property
    def identity_names(self) -> tuple[str, ...]:
        """Names of the asked identities."""
        return self._identity_codes[1]

    @cached_property
    def _identity_codes(self) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        codes, names = pd.factorize(self.slots["identity_id"])
        return codes.astype(np.int64), tuple(str(name) for name in names)

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.attempts["slot"].to_numpy(dtype=np.int64), self.attempts["attempt"].to_numpy(dtype=np.int64)

    def of_attempts(self, column: str) -> NDArray[Any]:
        """A column of the slots, a value an attempt."""
        return self.slots[column].to_numpy()[self.slot_row]

    def measured(self, name: str) -> NDArray[np.float64] | None:
        """A measurement of every attempt, nan where it is missing; None where no attempt has it."""
        if name not in self.attempts.columns:
            return None
        values = self.attempts[name].to_numpy(dtype=np.float64)
        return values if np.isfinite(values).any() else None

    def key(self, row: int) -> str:
        """Key of an attempt's picture: 12 digits of the slot, and the attempt for a rejected one."""
        slot, attempt = int(self._numbers[0][row]), int(self._numbers[1][row])
        return f"{slot:012d}" if self.accepted[row] else f"{slot:012d}_{attempt:03d}"


def reason_bits(reasons: Sequence[str]) -> int:
    """A set of reject reasons as a number; its lowest bit is the first reason by precedence."""
    return sum(1 << REJECT_REASONS.index(reason) for reason in set(reasons))


def reason_names(bits: int) -> list[str]:
    """The reasons of a set, by precedence."""
    return [reason for place, reason in enumerate(REJECT_REASONS) if bits >> place & 1]


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """At most `limit` places out of `count`, evenly spread."""
    if count <= limit:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).astype(np.int64)
