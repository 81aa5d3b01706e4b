"""The worker: pictures made of conditions, then judged and labelled; no Ray inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.attempts import Answer, Attempt
from jobs.bundle import BUNDLED, check_weights, core_folder, core_size
from jobs.config import RunConfig
from jobs.locations import location

if TYPE_CHECKING:  # loaded where a worker is built: who only describes one needn't wait for its libraries
    from jobs.conditions import ConditionTables
    from jobs.generating import Generate
    from jobs.labelling import JudgeAndLabel


@dataclass(frozen=True, kw_only=True)
class GenerateAndJudgeSpec:
    """What a worker process needs to know; weights and conditions are named by path."""

    folder: str  # of the run, whose condition tables were prepared
    config: RunConfig
    weights: Mapping[str, str] = field(default_factory=dict)  # name -> sha256 that the run has; empty: only the bundle's own ledger is asked

    @property
    def num_gpus(self) -> float:
        """GPUs of a worker on CUDA; a fraction is shared with others."""
        return self.config.placement.gpus_per_worker if self.config.device == "cuda" else 0.0

    @property
    def batch_bytes(self) -> int:
        """Pictures of a batch x bytes of a picture before it is encoded."""
        return self.config.batch_size * core_size(self.config.models) ** 2 * 3

    def build(self) -> GenerateAndJudge:
        """The worker with its nets loaded."""
        tables = self._tables()
        return GenerateAndJudge(self._open_generate(tables), self._open_judge(tables))

    def build_generate(self) -> Generate:
        """The half that makes pixels."""
        return self._open_generate(self._tables())

    def build_judge(self) -> JudgeAndLabel:
        """The half that judges and labels them."""
        return self._open_judge(self._tables())

    def _tables(self) -> ConditionTables:
        from jobs.conditions import read_tables

        check_weights(self.config.models, self.weights)
        return read_tables(location(self.folder) / "conditions")

    def _open_generate(self, tables: ConditionTables) -> Generate:
        import torch

        from generator.loading import load_core
        from generator.sampler import SamplerConfig
        from jobs.generating import Generate

        config = self.config
        torch.set_num_threads(config.threads)
        core = load_core(core_folder(config.models), device=config.device, dtype=config.models.dtype)
        sampler = SamplerConfig(kind=config.sampler.kind, steps=config.sampler.steps, guidance=config.sampler.guidance)
        core.denoiser_for(sampler)  # a kind that this core has no weights for is said now, not by every attempt
        return Generate(tables, core, sampler, encoders=tuple(core.conditions.config.identity_dims), batch_size=config.batch_size)

    def _open_judge(self, tables: ConditionTables) -> JudgeAndLabel:
        from jobs.files import read_json
        from jobs.judging import open_judge
        from jobs.labelling import JudgeAndLabel
        from jobs.marking.marker import marker_of
        from qc.parsing import FaceParser

        config = self.config
        judge = open_judge(config, min_cosine=read_json(location(self.folder) / "conditions" / "gate.json")["threshold"])
        parser = FaceParser(BUNDLED / "faces" / "face_parser.onnx", threads=config.threads)
        return JudgeAndLabel(tables, judge, parser, image_format=config.image.format, marker=marker_of(config))


class GenerateAndJudge:
    """Both halves one after the other; an answer depends on its own attempt only."""

    def __init__(self, generate: Generate, judge: JudgeAndLabel) -> None:
        self.generate = generate
        self.judge = judge

    def __call__(self, attempts: Sequence[Attempt]) -> list[Answer]:
        """One answer per attempt, at most a batch of them."""
        return self.judge(attempts, self.generate(attempts))
