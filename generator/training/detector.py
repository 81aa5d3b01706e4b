"""Trains the face detector of quality control: a map of face centres, sizes and five points, eight pixels a cell."""

# B pictures, h w = H/8 x W/8 cells

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.augment import to_unit
from generator.training.composites import CANVAS_SIZE, Composer, face_centre_px, face_side_px
from generator.training.corpus import Corpus
from generator.training.export import export_onnx
from generator.training.loop import LoopConfig
from generator.training.nets import ResidualBlock, conv_norm

NAME = "face_detector"
OUTPUTS = ("heat", "size", "points")
STRIDE = 8
MEAN_SIDE_PX = 60.0
SEED = 51


class Detector(nn.Module):
    """Fully convolutional, stride 8 with context from strides 16 and 32; (B, 3, H, W) in -1..1, H and W multiples of 32.

    heat (B, 1, h, w) in 0..1; size (B, 1, h, w) face side in px; points (B, 10, h, w) five landmarks as px from the cell's centre.
    Centres as points: CenterNet (Zhou et al. 2019).
    """

    def __init__(self) -> None:
        super().__init__()
        self.to8 = nn.Sequential(conv_norm(3, 16, 3, stride=2), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2))
        self.to16 = ResidualBlock(64, 96, 2)
        self.to32 = nn.Sequential(ResidualBlock(96, 128, 2), ResidualBlock(128, 128))
        self.up16 = conv_norm(128 + 96, 96, 3)
        self.up8 = conv_norm(96 + 64, 80, 3)
        self.inner = conv_norm(80, 64, 3)
        self.out = nn.Conv2d(64, 12, 1)
        nn.init.constant_(self.out.bias, 0.0)  # type: ignore[arg-type]
        with torch.no_grad():
            self.out.bias[0] = -4.0  # type: ignore[index]

    def raw(self, images: Tensor) -> Tensor:
        """(B, 12, h, w): heat logit, log of side over the mean side, points in face sides."""
        x8 = self.to8(images)
        x16 = self.to16(x8)
        y16 = self.up16(torch.cat([F.interpolate(self.to32(x16), scale_factor=2.0), x16], dim=1))
        return self.out(self.inner(self.up8(torch.cat([F.interpolate(y16, scale_factor=2.0), x8], dim=1))))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        raw = self.raw(images)
        size = MEAN_SIDE_PX * raw[:, 1:2].clamp(-3, 3).exp()
        return raw[:, :1].sigmoid(), size, raw[:, 2:] * size


def cell_targets(faces: Sequence[NDArray[np.float64]], cells: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Heat (B, cells, cells) with 1 at each face's own cell, regression targets (B, 11, ..) and where they count (B, cells, cells)."""
    count = len(faces)
    heat = np.zeros((count, cells, cells), dtype=np.float32)
    wanted = np.zeros((count, 11, cells, cells), dtype=np.float32)
    weight = np.zeros((count, cells, cells), dtype=np.float32)
    ys, xs = np.mgrid[:cells, :cells].astype(np.float64)
    for i, points in enumerate(faces):
        for five in points:
            side, centre = float(face_side_px(five)), face_centre_px(five)
            cx, cy = np.clip(centre / STRIDE - 0.5, 0, cells - 1)
            near = np.exp(-((xs - cx) ** 2 + (ys - cy) ** 2) / (2 * max(0.6, 0.1 * side / STRIDE) ** 2))
            near[round(cy), round(cx)] = 1.0
            heat[i] = np.maximum(heat[i], near)
            close = (np.abs(xs - cx) <= 1.0) & (np.abs(ys - cy) <= 1.0)
            weight[i][close] = 1.0
            wanted[i, 0][close] = np.log(side / MEAN_SIDE_PX)
            place = np.stack([xs[close] + 0.5, ys[close] + 0.5], axis=-1) * STRIDE  # (n, 2)
            wanted[i, 1:, close] = ((five[None] - place[:, None]) / side).reshape(-1, 10)
    return heat, wanted, weight


def focal_loss(logit: Tensor, heat: Tensor) -> Tensor:
    """Penalty-reduced focal loss of CenterNet (Zhou et al. 2019), eq. 1, with alpha 2 and beta 4; a sum over cells per face."""
    probability = logit.sigmoid()
    own = heat >= 0.999
    positive = -((1 - probability) ** 2 * F.logsigmoid(logit))[own].sum()
    negative = -(((1 - heat) ** 4) * probability**2 * F.logsigmoid(-logit))[~own].sum()
    return (positive + negative) / own.sum().clamp(min=1)


class DetectorTask:
    """Finding the faces of composites."""

    name = NAME

    def __init__(self, corpus: Corpus, *, num_pieces: int = 1500) -> None:
        self.corpus = corpus.rows(np.flatnonzero(~corpus.held_out))
        self.composer = Composer(self.corpus, num_pieces=num_pieces)
        torch.manual_seed(SEED)  # weights at the start; batches are drawn by the loop
        self.network: nn.Module = Detector()

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        images_rgb, faces = self.composer.draw(batch_size, draw)
        heat, wanted, weight = (torch.from_numpy(a) for a in cell_targets(faces, CANVAS_SIZE // STRIDE))
        raw = self.network.raw(to_unit(images_rgb).contiguous(memory_format=torch.channels_last)).float()  # type: ignore[operator]
        centre = focal_loss(raw[:, 0], heat)
        error = (raw[:, 1:] - wanted).abs() * weight[:, None] / weight.sum().clamp(min=1)
        size, points = error[:, 0].sum(), error[:, 1:].sum() / 10
        loss = centre + size + 6 * points
        return loss, {"centre": float(centre.detach()), "size": float(size.detach()), "points": float(points.detach())}


def build(corpus: Corpus, *, num_pieces: int = 1500) -> DetectorTask:
    """The training task; its backgrounds are drawn from `num_pieces` faceless parts of portraits."""
    return DetectorTask(corpus, num_pieces=num_pieces)


def loop_config(steps: int) -> LoopConfig:
    """How the detector is trained."""
    return LoopConfig(steps=steps, batch_size=32, learning_rate=2e-3, warmup_steps=60, weight_decay=0.02, ema_decay=0.99, clip_norm=5.0, seed=SEED)


def load_network(name: str, folder: Path) -> Detector:
    """The trained detector from NAME.safetensors, in evaluation mode."""
    network = Detector()
    network.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return network.eval().requires_grad_(False)


def export(network: nn.Module, path: Path, corpus: Corpus) -> dict[str, float]:
    """Writes the ONNX file with its three named outputs and free sides; parity is checked on four composites of held-out identities."""
    composer = Composer(corpus.rows(np.flatnonzero(corpus.held_out)), num_pieces=4)
    images_rgb, _ = composer.draw(4, np.random.default_rng(0))
    return export_onnx(network, path, example=to_unit(images_rgb).contiguous().numpy(), outputs=OUTPUTS, spatial=True)


def measure(detect: Callable[[NDArray[np.uint8]], Sequence[Any]], corpus: Corpus, *, num_composites: int = 300) -> dict[str, float]:
    """Figures of a whole detector on held-out identities; `detect` returns faces with `landmarks5_px`, best first.

    exactly_one: share of portraits with one face found and that one in place; recall and precision: on composites;
    false_positive_pictures: share of face-free pictures with a face found; errors are shares of the face's side.
    """
    held = corpus.rows(np.flatnonzero(corpus.held_out))
    single, errors = [], []
    for image_rgb, truth in zip(held.images_rgb, held.landmarks5_px, strict=True):
        found = detect(image_rgb)
        error = [_landmark_error(face.landmarks5_px, truth) for face in found]
        single.append(len(found) == 1 and error[0] < 0.2)
        errors += [min(error)] if error else []
    composer = Composer(held, num_pieces=300, seed=1)
    images_rgb, faces = composer.draw(num_composites, np.random.default_rng(1))
    hits = total = claims = 0
    for image_rgb, points in zip(images_rgb, faces, strict=True):
        found = detect(image_rgb)
        hits += sum(any(_landmark_error(face.landmarks5_px, truth) < 0.25 for face in found) for truth in points)
        total, claims = total + len(points), claims + len(found)
    draw = np.random.default_rng(2)
    false = np.mean([len(detect(composer.background(draw))) > 0 for _ in range(num_composites)])
    return {
        "exactly_one": float(np.mean(single)),
        "landmark_error": float(np.mean(errors)) if errors else float("nan"),
        "recall": hits / max(1, total),
        "precision": hits / max(1, claims),
        "false_positive_pictures": float(false),
    }


def _landmark_error(found: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(found - truth, axis=1).mean() / face_side_px(truth))
