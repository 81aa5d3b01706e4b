"""Trains the face parser of quality control: ten classes per pixel and 68 landmarks of an aligned portrait."""

# B batch, H W = 128 pixels, P = 68 landmarks

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.augment import degrade, jitter_bytes, similarity_jitter, to_unit, warp_bytes
from generator.training.corpus import IMAGE_SIZE, Corpus
from generator.training.export import export_onnx
from generator.training.loop import LoopConfig
from generator.training.nets import ResidualBlock, conv_norm
from manifests.geometry import transform_points

NAME = "face_parser"
OUTPUTS = ("labels", "landmarks")
NUM_CLASSES = 10
NUM_LANDMARKS = 68
SEED = 41
CLASS_WEIGHT = (0.7, 1.0, 1.0, 1.0, 3.0, 2.5, 2.0, 1.5, 2.0, 0.7)  # small parts count more
# Landmark k of a mirrored face is landmark MIRROR68[k] of the face (iBUG order).
MIRROR68 = np.array([
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
])  # fmt: skip


class Parser(nn.Module):
    """A small U-Net: classes by pixel shuffle from 64 x 64, landmarks as the mean of 32 x 32 heat maps.

    (B, 3, 128, 128) in -1..1 to logits (B, 10, 128, 128) and landmarks (B, 68, 2) in pixels, centres at half steps.
    The mean of a heat map is the soft-argmax of Sun et al. (2018), eq. 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down2 = conv_norm(3, 24, 3, stride=2)  # 64
        self.down4 = ResidualBlock(24, 48, 2)
        self.down8 = ResidualBlock(48, 80, 2)
        self.down16 = nn.Sequential(ResidualBlock(80, 112, 2), ResidualBlock(112, 112))
        self.up8 = conv_norm(112 + 80, 80, 3)
        self.up4 = conv_norm(80 + 48, 56, 3)
        self.up2 = conv_norm(56 + 24, 32, 3)
        self.classes = nn.Conv2d(32, NUM_CLASSES * 4, 3, padding=1)
        self.heat = nn.Conv2d(56, NUM_LANDMARKS, 1)
        places = (torch.arange(32) + 0.5) * 4
        self.register_buffer("places", places, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x2 = self.down2(images)
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        y8 = self.up8(torch.cat([_double(self.down16(x8)), x8], dim=1))
        y4 = self.up4(torch.cat([_double(y8), x4], dim=1))
        y2 = self.up2(torch.cat([_double(y4), x2], dim=1))
        labels = F.pixel_shuffle(self.classes(y2), 2)  # (B, 10, 128, 128)
        weight = self.heat(y4).float().flatten(2).softmax(dim=2).unflatten(2, (32, 32))  # (B, P, 32, 32)
        places: Tensor = self.places  # type: ignore[assignment]
        return labels, torch.stack([(weight.sum(dim=2) * places).sum(dim=2), (weight.sum(dim=3) * places).sum(dim=2)], dim=2)


class ParserTask:
    """Naming every pixel and finding every landmark of portraits that are aligned a little wrong and coloured anyhow."""

    name = NAME

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus.rows(np.flatnonzero(~corpus.held_out))
        self.weight = torch.tensor(CLASS_WEIGHT)
        torch.manual_seed(SEED)  # weights at the start; batches are drawn by the loop
        self.network: nn.Module = Parser()

    def batch(self, draw: np.random.Generator, batch_size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Portraits (B, 3, 128, 128), their label maps (B, 128, 128) and landmarks (B, 68, 2) in pixels."""
        rows = draw.choice(len(self.corpus), batch_size, replace=False)
        flip = draw.random(batch_size) < 0.5
        matrix = similarity_jitter(draw, batch_size, size=IMAGE_SIZE, scale=(0.85, 1.15), turn_deg=6.0, shift_px=3.5, flip=flip)
        images_rgb = jitter_bytes(self.corpus.images_rgb[rows], draw, strength=1.3, grey=0.15)
        images = to_unit(warp_bytes(images_rgb, matrix, IMAGE_SIZE, replicate=True))
        soft = torch.from_numpy(np.flatnonzero(draw.random(batch_size) < 0.4))
        images[soft] = degrade(images[soft], draw, share=0.8)
        labels = warp_bytes(self.corpus.labels[rows], matrix, IMAGE_SIZE, nearest=True, replicate=True)
        points = transform_points(matrix, self.corpus.landmarks68_px[rows])
        points[flip] = points[flip][:, MIRROR68]
        return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels).long(), torch.from_numpy(points).float()

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        images, labels, points = self.batch(draw, batch_size)
        logits, found = self.network(images)
        classes = F.cross_entropy(logits.float(), labels, weight=self.weight)
        distance = F.smooth_l1_loss(found.float(), points, beta=1.0)
        accuracy = float((logits.detach()[:, :, ::4, ::4].argmax(dim=1) == labels[:, ::4, ::4]).float().mean())
        return classes + 0.2 * distance, {"classes": float(classes.detach()), "distance": float(distance.detach()), "accuracy": accuracy}


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def build(corpus: Corpus) -> ParserTask:
    """The training task."""
    return ParserTask(corpus)


def loop_config(steps: int) -> LoopConfig:
    """How the parser is trained."""
    return LoopConfig(steps=steps, batch_size=48, learning_rate=3e-3, warmup_steps=60, weight_decay=0.02, ema_decay=0.99, seed=SEED)


def load_network(name: str, folder: Path) -> Parser:
    """The trained parser from NAME.safetensors, in evaluation mode."""
    network = Parser()
    network.load_state_dict(load_file(folder / f"{name}.safetensors"))
    return network.eval().requires_grad_(False)


def export(network: nn.Module, path: Path, corpus: Corpus) -> dict[str, float]:
    """Writes the ONNX file with its two named outputs; parity is checked on eight held-out portraits."""
    rows = np.flatnonzero(corpus.held_out)[:: max(1, int(corpus.held_out.sum()) // 8)][:8]
    return export_onnx(network, path, example=to_unit(corpus.images_rgb[rows]).contiguous().numpy(), outputs=OUTPUTS)


@torch.no_grad()
def measure(network: nn.Module, corpus: Corpus) -> dict[str, float]:
    """Pixel accuracy, mean intersection over union of the classes, and landmark error on held-out identities."""
    held = corpus.rows(np.flatnonzero(corpus.held_out))
    confusion = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    errors: list[NDArray[np.float32]] = []
    for start in range(0, len(held), 24):
        logits, points = network(to_unit(held.images_rgb[start : start + 24]))
        truth = held.labels[start : start + 24].astype(np.int64)
        confusion += np.bincount((truth * NUM_CLASSES + logits.argmax(dim=1).numpy()).ravel(), minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
        errors.append(np.linalg.norm(points.numpy() - held.landmarks68_px[start : start + 24], axis=2))
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    iou = right / np.maximum(union, 1)
    error = np.concatenate(errors)
    eyes = np.linalg.norm(held.landmarks5_px[:, 1] - held.landmarks5_px[:, 0], axis=1).mean()
    return {
        "pixel_accuracy": float(right.sum() / confusion.sum()),
        "mean_iou": float(iou[union > 0].mean()),
        **{f"iou_{k}": float(value) for k, value in enumerate(iou)},
        "landmark_error_px": float(error.mean()),
        "landmark_error_p95_px": float(np.quantile(error, 0.95)),
        "landmark_error_share_of_eye_distance": float(error.mean() / eyes),
    }
