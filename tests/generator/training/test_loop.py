from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.loop import LoopConfig, train
from manifests.errors import ResumeMismatch

CONFIG = LoopConfig(steps=6, batch_size=4, learning_rate=1e-2, warmup_steps=2, bf16=False, save_every_s=-1.0, log_every=2)


class Stopped(Exception):
    """Stands for a killed process."""


class Regression:
    """A convolution that learns to double its input; can stop at a step, or overflow at one."""

    name = "regression"

    def __init__(self, *, stop_at: int = -1, overflow_at: int = -1, channels: int = 5) -> None:
        weight = torch.Generator().manual_seed(0)
        self.network: nn.Module = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.network.parameters():
            nn.init.normal_(parameter, std=0.1, generator=weight)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stop_at, self.overflow_at, self.channels = stop_at, overflow_at, channels

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        if step == self.stop_at:
            raise Stopped
        x = torch.from_numpy(draw.standard_normal((batch_size, self.channels, 6, 6), dtype=np.float32))
        loss = (self.network(x) - 2 * x).square().mean()
        return loss * (float("inf") if step == self.overflow_at else 1.0), {"step_number": float(step)}


def silent(line: str) -> None:
    """Says nothing."""


def test_interrupted_training_ends_in_the_same_bytes(tmp_path: Path):
    train(Regression(), CONFIG, tmp_path / "whole", say=silent)
    with pytest.raises(Stopped):
        train(Regression(stop_at=3), CONFIG, tmp_path / "cut", say=silent)
    train(Regression(), CONFIG, tmp_path / "cut", say=silent)
    for file in ("regression.safetensors", "regression.state.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()
    assert json.loads((tmp_path / "cut" / "regression.json").read_text())["step"] == 6


def test_finished_training_is_left_as_it_is(tmp_path: Path):
    train(Regression(), CONFIG, tmp_path, say=silent)
    before = (tmp_path / "regression.safetensors").read_bytes()
    network = train(Regression(stop_at=0), CONFIG, tmp_path, say=silent)
    assert (tmp_path / "regression.safetensors").read_bytes() == before
    assert torch.equal(network.state_dict()["weight"], load_file(tmp_path / "regression.safetensors")["weight"])


def test_kept_weights_are_the_averaged_ones(tmp_path: Path):
    network = train(Regression(), CONFIG, tmp_path, say=silent)
    raw = load_file(tmp_path / "regression.state.safetensors")["raw.weight"]
    assert not torch.equal(network.state_dict()["weight"], raw)
    assert not network.training


def test_overflowing_batch_changes_nothing(tmp_path: Path):
    network = train(Regression(overflow_at=3), CONFIG, tmp_path, say=silent)
    assert all(bool(p.isfinite().all()) for p in network.parameters())


def test_training_lowers_the_loss_and_says_so(tmp_path: Path):
    lines: list[str] = []
    train(Regression(), LoopConfig(steps=40, batch_size=8, learning_rate=3e-2, warmup_steps=2, bf16=False, log_every=10), tmp_path, say=lines.append)
    log = json.loads((tmp_path / "regression.json").read_text())["log"]
    assert len(lines) == len(log) == 4
    assert log[-1]["loss"] < log[0]["loss"] / 2


def test_state_of_another_network_is_refused(tmp_path: Path):
    train(Regression(), CONFIG, tmp_path, say=silent)
    with pytest.raises(ResumeMismatch, match="another shape"):
        train(Regression(channels=3), CONFIG, tmp_path, say=silent)


def test_learning_rate_rises_then_falls_to_its_last_share():
    rates = [CONFIG.learning_rate_at(step) for step in range(CONFIG.steps + 1)]
    assert rates[0] < rates[1] == CONFIG.learning_rate
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert np.isclose(rates[-1], CONFIG.learning_rate * CONFIG.final_fraction)
