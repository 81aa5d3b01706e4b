"""Judges generated pictures: faces, embeddings and expression by nets, then every check; all measurements are kept."""

# N pictures, H W pixels, D width of an embedding

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from manifests.errors import ConfigError, InputError
from manifests.verdicts import Measurement, QCVerdict, verdict
from qc.alignment import crop_turn_deg, recogniser_crops
from qc.checks import CHECKS, Check, CheckContext, QCRequest
from qc.checks.sharpness import laplacian_variance
from qc.expression import ExpressionEstimator, ExpressionReading
from qc.faces import Face
from qc.packs import Detector
from qc.parsing import ParsedPicture
from qc.recognition import Recogniser
from qc.roles import refuse_shared_models

SAME_COSINE = 1e-5  # cosines within rounding of each other are equal


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Which checks there are with their limits, and which of them may reject; the others only measure."""

    checks: tuple[Check, ...] = CHECKS
    rejecting: tuple[str, ...] = tuple(check.name for check in CHECKS)

    def __post_init__(self) -> None:
        names = [check.name for check in self.checks]
        for name in self.rejecting:
            if name not in names:
                raise ConfigError(f'judge: "{name}" is not a check; there are {", ".join(names)}.')


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the nets saw in one picture; everything is None without a face."""

    faces: tuple[Face, ...]
    gate_embedding: NDArray[np.float32] | None  # (D,) unit
    audit_embedding: NDArray[np.float32] | None  # (D,) unit; also None without an auditor
    reading: ExpressionReading | None
    sharpness: float | None  # of the face
    parsed: ParsedPicture | None = None  # None where the picture was not parsed


class Judge:
    """One detector, one gate, at most one auditor and one expression estimator, on CPU.

    The auditor's cosine is measured and never used. A model that holds two of the roles conditioner, gate and auditor is
    refused; `conditioners` maps the names of those that made the pictures to their sha256.
    """

    def __init__(
        self,
        config: JudgeConfig,
        *,
        detector: Detector,
        gate: Recogniser,
        auditor: Recogniser | None,
        estimator: ExpressionEstimator,
        conditioners: dict[str, str],
    ) -> None:
        refuse_shared_models(conditioners, (gate.name, gate.sha256), None if auditor is None else (auditor.name, auditor.sha256))
        self.config = config
        self.detector = detector
        self.gate = gate
        self.auditor = auditor
        self.estimator = estimator

    def observe(
        self, images_rgb: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], parsed: Sequence[ParsedPicture] | None = None
    ) -> list[Observation]:
        """What is seen in N pictures of any size; backgrounds and identity pictures are read by this too.

        parsed  what the face parser saw in them, where they are portraits; without it, what needs landmarks isn't measured
        """
        faces = [tuple(self.detector.detect(image)) for image in images_rgb]
        seen = [number for number, found in enumerate(faces) if found]
        crops = recogniser_crops([images_rgb[number] for number in seen], [faces[number][0].landmarks5_px for number in seen])
        gate = self.gate.embed(crops)  # (len(seen), D)
        audit = self.auditor.embed(crops) if self.auditor is not None else None
        turns_deg = [crop_turn_deg(faces[number][0].landmarks5_px) for number in seen]
        readings = [reading.in_picture(turn) for reading, turn in zip(self.estimator.read(crops), turns_deg, strict=True)]
        place = {number: row for row, number in enumerate(seen)}
        observations = []
        for number, found in enumerate(faces):
            row = place.get(number)
            observations.append(
                Observation(
                    faces=found,
                    gate_embedding=None if row is None else gate[row],
                    audit_embedding=None if row is None or audit is None else audit[row],
                    reading=None if row is None else readings[row],
                    sharpness=None if row is None else laplacian_variance(crops[row]),
                    parsed=None if parsed is None else parsed[number],
                )
            )
        return observations

    def judge(self, images_rgb: NDArray[np.uint8], requests: Sequence[QCRequest]) -> list[QCVerdict]:
        """Verdicts of N pictures (N, H, W, 3) against their requests."""
        return self.judge_observed(images_rgb, requests, self.observe(images_rgb))

    def judge_observed(self, images_rgb: NDArray[np.uint8], requests: Sequence[QCRequest], observations: Sequence[Observation]) -> list[QCVerdict]:
        """Verdicts where the pictures were observed before, which is for who keeps the embeddings."""
        if images_rgb.ndim != 4 or images_rgb.shape[3] != 3 or images_rgb.dtype != np.uint8 or not len(images_rgb) == len(requests) == len(observations):
            raise InputError(f"judge: got {images_rgb.dtype} {images_rgb.shape} for {len(requests)} requests, expected uint8 (N, H, W, 3) and N requests.")
        return [self._verdict(image, request, seen) for image, request, seen in zip(images_rgb, requests, observations, strict=True)]

    def judge_again(self, measurements: dict[str, float], request: QCRequest) -> QCVerdict:
        """The verdict on measurements that were stored, without the picture."""
        failed = [check.judge(measurements, request) for check in self.config.checks if check.name in self.config.rejecting]
        kept = [Measurement(name=name, value=value, unit="stored") for name, value in measurements.items()]
        return verdict(kept, [reason for reason in failed if reason is not None])

    def _verdict(self, image_rgb: NDArray[np.uint8], request: QCRequest, seen: Observation) -> QCVerdict:
        context = CheckContext(
            request=request,
            faces=seen.faces,
            gate_cosine=_cosine(seen.gate_embedding, request.gate_reference),
            audit_cosine=_cosine(seen.audit_embedding, request.audit_reference),
            reading=seen.reading,
            label_map=None if seen.parsed is None else seen.parsed.label_map,
            landmarks68_px=None if seen.parsed is None else seen.parsed.landmarks68_px,
            identity_rank=identity_rank(seen.gate_embedding, request.gate_reference, request.people),
            sharpness=seen.sharpness,
        )
        measurements: list[Measurement] = []
        failed: list[str] = []
        for check in self.config.checks:
            values = check.measure(image_rgb, context)
            measurements += [Measurement(name=name, value=value, unit=check.unit) for name, value in values.items()]
            reason = check.judge(values, request)
            if reason is not None and check.name in self.config.rejecting:
                failed.append(reason)
        return verdict(measurements, failed)


def identity_rank(embedding: NDArray[np.float32] | None, reference: NDArray[np.float32] | None, people: NDArray[np.float32] | None) -> int | None:
    """1 + how many of the people (P, D) are nearer to a face (D,) than the asked one; the asked one may be among them."""
    if embedding is None or reference is None or people is None:
        return None
    cosines = people @ embedding
    return 1 + int(np.count_nonzero(cosines > float(reference @ embedding) + SAME_COSINE))


def _cosine(embedding: NDArray[np.float32] | None, reference: NDArray[np.float32] | None) -> float:
    if embedding is None or reference is None:
        return float("nan")
    if embedding.shape != reference.shape:
        raise InputError(f"judge: embedding has {embedding.shape}, the reference {reference.shape} numbers; they come from different recognisers.")
    return float(np.dot(embedding.astype(np.float64), reference.astype(np.float64)))
