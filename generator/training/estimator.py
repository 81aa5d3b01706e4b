"""Trains the expression estimator of quality control: units, category, valence and arousal, and head pose from a recogniser crop."""

# B batch, N rows

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.augment import crop_affine
from generator.training.corpus import Corpus
from generator.training.crops import CropSpec, FaceCrops, plain_crops
from generator.training.export import export_onnx
from generator.training.expression_labels import AFFECTNET8, NUM_UNITS, affectnet8, mirror_pose, mirror_units, unit_labels, valence_arousal
from generator.training.loop import LoopConfig
from generator.training.nets import Trunk, conv_norm

NAME = "expression_estimator"
OUTPUTS = ("units", "basic", "valence_arousal", "pose_deg")
SEED = 31
POSE_SCALE_DEG = 10.0


class Estimator(nn.Module):
    """Plain trunk, a hidden layer over all places, and four read-outs; (B, 3, 112, 112) in -1..1.

    units (B, 35) weights and lateral; basic (B, 8) logits; valence_arousal (B, 2) in -1..1; pose_deg (B, 3) yaw, pitch and
    roll, the roll against the crop: take off the angle by which alignment turned the picture to get the roll in the picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk("plain", (24, 48, 96, 176), (1, 1, 2))
        self.narrow = conv_norm(176, 40, 1)
        self.hidden = nn.Linear(40 * 7 * 7, 160)
        self.norm = nn.BatchNorm1d(160)
        self.out = nn.Linear(160, NUM_UNITS + len(AFFECTNET8) + 2 + 3)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden = F.relu(self.norm(self.hidden(self.narrow(self.trunk(images)).flatten(1))))
        units, basic, affect, pose = self.out(hidden).split([NUM_UNITS, len(AFFECTNET8), 2, 3], dim=1)
        return units, basic, torch.tanh(affect), pose * POSE_SCALE_DEG


class EstimatorTask:
    """Reading every label of the expression and the pose at once."""

    name = NAME

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus.rows(np.flatnonzero(~corpus.held_out))
        self.units, self.basic, self.affect = unit_labels(self.corpus), affectnet8(self.corpus), valence_arousal(self.corpus)
        self.spread = torch.from_numpy(np.sqrt(self.units.var(axis=0) + 0.01))
        self.crops = FaceCrops(self.corpus, CropSpec(jitter_px=1.5, swap_share=0.3, colour=1.0, grey=0.15, degrade_share=0.4))
        torch.manual_seed(SEED)  # weights at the start; batches are drawn by the loop
        self.network: nn.Module = Estimator()

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        rows = draw.choice(len(self.corpus), batch_size, replace=False)
        crops = self.crops.draw(rows, draw)
        units, basic, affect, pose = (part.float() for part in self.network(crops.images))
        pose_deg = self.corpus.pose_deg[rows].copy()
        pose_deg[:, 2] += crops.turn_deg
        wanted = torch.from_numpy(mirror_units(self.units[rows], crops.flip))
        parts = {
            "units": F.smooth_l1_loss(units / self.spread, wanted / self.spread, beta=0.3),
            "basic": F.cross_entropy(basic, torch.from_numpy(self.basic[rows]), label_smoothing=0.05),
            "affect": F.smooth_l1_loss(affect, torch.from_numpy(self.affect[rows]), beta=0.3),
            "pose": F.smooth_l1_loss(pose / POSE_SCALE_DEG, torch.from_numpy(mirror_pose(pose_deg, crops.flip)) / POSE_SCALE_DEG, beta=0.3),
        }
        loss = 2 * parts["units"] + 0.5 * parts["basic"] + parts["affect"] + parts["pose"]
        accuracy = float((basic.argmax(dim=1) == torch.from_numpy(self.basic[rows])).float().mean())
        return loss, {key: float(part.detach()) for key, part in parts.items()} | {"accuracy": accuracy}


def build(corpus: Corpus) -> EstimatorTask:
    """The training task."""
    return EstimatorTask(corpus)


def loop_config(steps: int) -> LoopConfig:
    """How the estimator is trained."""
    return LoopConfig(steps=steps, batch_size=96, learning_rate=2e-3, warmup_steps=60, weight_decay=0.05, ema_decay=0.99, seed=SEED)


def load_network(name: str, folder: Path) -> Estimator:
    """The trained estimator from NAME.safetensors, in evaluation mode."""
    network = Estimator()
    network.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return network.eval().requires_grad_(False)


def export(network: nn.Module, path: Path, corpus: Corpus) -> dict[str, float]:
    """Writes the ONNX file with its four named outputs; parity is checked on eight held-out portraits."""
    rows = np.flatnonzero(corpus.held_out)[:: max(1, int(corpus.held_out.sum()) // 8)][:8]
    return export_onnx(network, path, example=plain_crops(corpus.images_rgb[rows], corpus.landmarks5_px[rows]).numpy(), outputs=OUTPUTS, storage="byte")


@torch.no_grad()
def estimate(network: nn.Module, corpus: Corpus) -> dict[str, NDArray[np.float32]]:
    """All outputs for corpus rows, with the roll as in the picture."""
    parts = [network(plain_crops(corpus.images_rgb[i : i + 64], corpus.landmarks5_px[i : i + 64])) for i in range(0, len(corpus), 64)]
    out = {name: torch.cat([part[k].float() for part in parts]).numpy() for k, name in enumerate(OUTPUTS)}
    matrix = crop_affine(corpus.landmarks5_px, None)
    out["pose_deg"][:, 2] -= np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    return out


def measure(network: nn.Module, corpus: Corpus) -> dict[str, float]:
    """Errors on held-out identities, with the error of always answering the mean beside the unit error."""
    held = corpus.rows(np.flatnonzero(corpus.held_out))
    out = estimate(network, held)
    truth = unit_labels(held)
    pose = np.abs(out["pose_deg"] - held.pose_deg).mean(axis=0)
    correct = out["basic"].argmax(axis=1) == affectnet8(held)
    affect = np.abs(out["valence_arousal"] - valence_arousal(held)).mean(axis=0)
    correlation = [float(np.corrcoef(out["units"][:, k], truth[:, k])[0, 1]) for k in range(NUM_UNITS)]
    return {
        "unit_mae": float(np.abs(out["units"] - truth).mean()),
        "unit_mae_of_the_mean": float(np.abs(truth - truth.mean(axis=0)).mean()),
        "unit_correlation": float(np.nanmean(correlation)),
        "basic_accuracy": float(correct.mean()),
        "valence_mae": float(affect[0]),
        "arousal_mae": float(affect[1]),
        "yaw_mae_deg": float(pose[0]),
        "pitch_mae_deg": float(pose[1]),
        "roll_mae_deg": float(pose[2]),
    }
