"""The training loop: any ready task, one optimiser, averaged weights, and resume by running the same command again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from manifests.errors import ResumeMismatch


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast to train; `steps` is the total, also after a resume."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 100
    weight_decay: float = 0.01
    ema_decay: float = 0.999  # of the averaged weights, which are the ones that are kept
    final_fraction: float = 0.02  # learning rate at the last step, as a share of the first (cosine between)
    clip_norm: float = 1.0
    save_every_s: float = 120.0
    log_every: int = 50
    seed: int = 0
    bf16: bool = True
    compile: bool = False
    device: str = "cpu"

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a half cosine down to final_fraction."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps))
        return self.learning_rate * (self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + np.cos(np.pi * progress)))


class Task(Protocol):
    """One thing to train: a network and its loss on a batch drawn with a given generator."""

    name: str

    @property
    def network(self) -> nn.Module:
        """What is trained."""
        ...

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss of a fresh batch and the figures to log. All randomness comes from `draw`."""
        ...


@dataclass(kw_only=True)
class Progress:
    """Where a training stands; written beside the weights."""

    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] | None = None


def train(task: Task, config: LoopConfig, folder: Path, *, say: Callable[[str], None] = print) -> nn.Module:
    """Trains until config.steps and returns the network with averaged weights loaded.

    Files in `folder`: NAME.safetensors (averaged weights), NAME.state.safetensors (raw weights and optimiser moments),
    NAME.json (step, seconds, log, configuration). Running the same call again goes on where the last save was;
    batches are drawn from (seed, step), so a resumed training sees the same batches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = task.network.to(config.device)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.99), fused=True)
    average = [p.detach().clone() for p in parameters]
    progress = _resume(task, folder, parameters, average, optimizer)
    if config.compile:
        network.compile()
    network.train()
    started = saved = logged = time.monotonic()
    before = progress.seconds
    window: list[dict[str, float]] = []
    while progress.step < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate_at(progress.step)
        draw = np.random.default_rng([config.seed, progress.step])
        with torch.autocast(config.device, torch.bfloat16, enabled=config.bf16):
            loss, figures = task.loss(draw, config.batch_size, progress.step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        if bool(torch.isfinite(norm)):  # subtle: one overflowing batch must not poison the moments
            optimizer.step()
        decay = min(config.ema_decay, (1 + progress.step) / (10 + progress.step))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)
        progress.step += 1
        window.append({"loss": float(loss.detach()), **figures})
        now = time.monotonic()
        progress.seconds = before + now - started
        if progress.step % config.log_every == 0:
            means = {key: round(float(np.mean([w[key] for w in window if key in w])), 5) for key in window[-1]}
            progress.log = [*(progress.log or []), {"step": progress.step, **means}]
            rate = config.batch_size * len(window) / max(1e-9, now - logged)
            say(f"{task.name} {progress.step}/{config.steps} {progress.seconds:.0f} s, {rate:.0f} images/s {means}")
            window, logged = [], now
        if now - saved > config.save_every_s or progress.step == config.steps:
            _save(task, folder, parameters, average, optimizer, progress, config)
            saved = now
    with torch.no_grad():
        for parameter, mean in zip(parameters, average, strict=True):
            parameter.copy_(mean)
    network.eval()
    return network


def _save(task: Task, folder: Path, parameters: Sequence[Tensor], average: list[Tensor], optimizer: torch.optim.Optimizer,
          progress: Progress, config: LoopConfig) -> None:  # fmt: skip
    network = task.network
    raw = {k: v.detach().clone().contiguous() for k, v in network.state_dict().items()}
    state = {f"raw.{k}": v for k, v in raw.items()}
    for i, parameter in enumerate(parameters):
        moments = optimizer.state.get(parameter, {})
        for key in ("exp_avg", "exp_avg_sq", "step"):
            if key in moments:
                state[f"opt.{i}.{key}"] = moments[key].detach().contiguous()
        state[f"ema.{i}"] = average[i].contiguous()
    _write(folder / f"{task.name}.state.safetensors", state)
    by_identity = {id(p): mean for p, mean in zip(parameters, average, strict=True)}
    averaged = dict(raw)
    for name, parameter in network.named_parameters():
        if id(parameter) in by_identity:
            averaged[name] = by_identity[id(parameter)].contiguous()
    _write(folder / f"{task.name}.safetensors", averaged)
    record: dict[str, Any] = {"step": progress.step, "seconds": round(progress.seconds), "config": asdict(config), "log": progress.log or []}
    temporary = folder / f".{task.name}.json.tmp"
    temporary.write_text(json.dumps(record, indent=1))
    os.replace(temporary, folder / f"{task.name}.json")


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, temporary)
    os.replace(temporary, path)


def _resume(task: Task, folder: Path, parameters: Sequence[Tensor], average: list[Tensor], optimizer: torch.optim.Optimizer) -> Progress:
    path = folder / f"{task.name}.state.safetensors"
    if not path.exists():
        return Progress()
    state = load_file(path)
    raw = {key[4:]: value for key, value in state.items() if key.startswith("raw.")}
    own = task.network.state_dict()
    if {k: v.shape for k, v in raw.items()} != {k: v.shape for k, v in own.items()}:
        raise ResumeMismatch(f'training {task.name}: "{path}" belongs to a network of another shape. Give another --work folder or remove it.')
    task.network.load_state_dict(raw)
    for i, parameter in enumerate(parameters):
        average[i].copy_(state[f"ema.{i}"])
        if f"opt.{i}.exp_avg" in state:
            # subtle: the fused optimiser pairs elements in memory order, so moments need their parameter's memory format
            moments = {key: torch.empty_like(parameter.detach()).copy_(state[f"opt.{i}.{key}"]) for key in ("exp_avg", "exp_avg_sq")}
            optimizer.state[parameter] = {"step": state[f"opt.{i}.step"], **moments}
    record = json.loads((folder / f"{task.name}.json").read_text())
    return Progress(step=record["step"], seconds=record["seconds"], log=record["log"])
