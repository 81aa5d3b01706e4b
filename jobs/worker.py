"""The worker: conditions of a batch in, pictures made, encoded, judged and labelled out; no Ray inside."""

# N attempts, H W pixels

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jobs.attempts import Answer, Attempt
from jobs.conditions import AUDITOR, GATE, ConditionTables, Wish, condition_batch, read_tables
from jobs.config import RunConfig
from jobs.files import read_json
from jobs.images import decode_rgb, encode, pixel_sha256
from jobs.judging import open_judge
from manifests.records import SampleRecord
from manifests.verdicts import QCVerdict
from manifests.vocabulary import AFFECTNET8, vocabulary
from qc.checks import QCRequest
from qc.judge import Judge, Observation
from qc.parsing import FaceParser

LABEL_FIELDS = tuple(field.name for field in dataclasses.fields(SampleRecord) if field.name.startswith(("obs_", "sim_", "q_", "n_", "expression_error")))
WHOLE_FIELDS = ("q_luminance_mean", "q_under_exposure", "q_over_exposure", "q_dynamic_range", "q_sharpness")


@dataclass(frozen=True, kw_only=True)
class GenerateAndJudgeSpec:
    """What a worker process needs to know; weights and conditions are named by path."""

    folder: str  # of the run, whose condition tables were prepared
    config: RunConfig

    @property
    def num_gpus(self) -> float:
        """One GPU for a worker on CUDA."""
        return 1.0 if self.config.device == "cuda" else 0.0

    def build(self) -> GenerateAndJudge:
        """The worker with its nets loaded."""
        return GenerateAndJudge(self)


class GenerateAndJudge:
    """Makes and judges pictures of attempts; every batch has the same padded shape, so an answer depends on its own attempt only."""

    def __init__(self, spec: GenerateAndJudgeSpec) -> None:
        import torch

        from generator.loading import load_core
        from generator.sampler import SamplerConfig
        from jobs.bundle import BUNDLED, core_folder

        config = spec.config
        torch.set_num_threads(config.threads)
        self.config = config
        conditions = Path(spec.folder) / "conditions"
        self.tables: ConditionTables = read_tables(conditions)
        self.core = load_core(core_folder(config.models), device=config.device, dtype=config.models.dtype)
        self.encoders = tuple(self.core.conditions.config.identity_dims)
        self.sampler = SamplerConfig(kind=config.sampler.kind, steps=config.sampler.steps, guidance=config.sampler.guidance)
        self.judge: Judge = open_judge(config, min_cosine=read_json(conditions / "gate.json")["threshold"])
        self.parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx", threads=config.threads)
        self.words = {word.word: word for word in vocabulary()}
        self._background_sharpness: dict[str, float | None] = {}

    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        """One answer per attempt, at most a batch of them."""
        assert 0 < len(attempts) <= self.config.batch_size
        wishes = [self.tables.wish(attempt) for attempt in attempts]
        padded = [*wishes, *[wishes[-1]] * (self.config.batch_size - len(wishes))]
        seeds = np.array([wish.attempt.seed for wish in padded], dtype=np.int64)
        images = self.core.generate(condition_batch(padded, self.encoders), seeds, self.sampler)[: len(wishes)]
        contents = [encode(image, self.config.image.format) for image in images]
        shown = np.stack([decode_rgb(content) for content in contents])  # what the reader of the data set sees is what is judged
        observations = self.judge.observe(shown)
        verdicts = self.judge.judge_observed(shown, [self._request(wish) for wish in wishes], observations)
        label_maps = self._label_maps(shown)
        return [
            Answer(
                slot=wish.attempt.row.slot,
                attempt=wish.attempt.attempt,
                seed=wish.attempt.seed,
                image=contents[place],
                label_map=encode(label_maps[place], "png"),
                width=shown.shape[2],
                height=shown.shape[1],
                pixel_sha256=pixel_sha256(shown[place]),
                verdict=verdicts[place],
                labels=labels_of(wish, verdicts[place], observations[place]),
            )
            for place, wish in enumerate(wishes)
        ]

    def _request(self, wish: Wish) -> QCRequest:
        row = wish.attempt.row
        word = self.words.get(row.expression)
        return QCRequest(
            gate_reference=wish.person.embeddings.get(GATE),
            audit_reference=wish.person.embeddings.get(AUDITOR),
            units=wish.expression.units,
            affectnet8=word.affectnet8 if word and row.intensity == 1 else None,  # weaker expressions may read as neutral
            pose_deg=wish.scene.pose_deg,
            landmarks5_px=wish.scene.landmarks5_px,
            background_sharpness=self._sharpness_of(wish),
        )

    def _sharpness_of(self, wish: Wish) -> float | None:
        name = wish.scene.scene_id
        if name not in self._background_sharpness:
            self._background_sharpness[name] = self.judge.observe([decode_rgb(wish.scene.image_png)])[0].sharpness
        return self._background_sharpness[name]

    def _label_maps(self, images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """Classes of the pixels (H, W), of manifests.face_mask.LABELS; the parser sees portraits of its own size."""
        side = self.parser.net.side_px
        height, width = images.shape[1:3]
        small = images if (height, width) == (side, side) else np.stack([_resized(image, side, Image.Resampling.BOX) for image in images])
        labels = self.parser.parse(small).labels
        return [label if label.shape == (height, width) else _resized(label, height, Image.Resampling.NEAREST) for label in labels]


def labels_of(wish: Wish, verdict: QCVerdict, seen: Observation) -> dict[str, Any]:
    """Fields of the label row that follow from what was measured, as plain numbers; what wasn't measured is left out."""
    measured = verdict.measurements
    labels: dict[str, Any] = {"identity_source": wish.person.source}
    for name in LABEL_FIELDS:
        if name in measured:
            labels[name] = round(measured[name]) if name in WHOLE_FIELDS else float(measured[name])
    probabilities = [measured.get(f"obs_prob_{name}") for name in AFFECTNET8]
    if None not in probabilities:
        labels["obs_expression_probs"] = tuple(float(p) for p in probabilities if p is not None)
    yaw, pitch, roll = wish.scene.pose_deg
    labels |= {"req_yaw": float(yaw), "req_pitch": float(pitch), "req_roll": float(roll)}
    if seen.faces:
        x0, y0, x1, y1 = (float(value) for value in seen.faces[0].bbox_px)
        labels["bbox"] = (x0, y0, x1 - x0, y1 - y0)
        labels["landmarks5"] = tuple(float(value) for value in seen.faces[0].landmarks5_px.ravel())
    return labels


def _resized(image: NDArray[np.uint8], side: int, how: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((side, side), how), dtype=np.uint8)
