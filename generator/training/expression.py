"""Trains the expression encoder: what a face branch sees less what a frozen identity branch explains, in 32 numbers."""

# B batch, N rows, C features, U = 35 units

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.corpus import Corpus, identity_groups
from generator.training.crops import CropSpec, FaceCrops, plain_crops
from generator.training.export import export_onnx
from generator.training.expression_labels import NUM_UNITS, mirror_units, unit_labels
from generator.training.identity import RECOGNISERS, build_embedder
from generator.training.loop import LoopConfig
from generator.training.losses import cross_covariance, graded_triplet
from generator.training.nets import Embedder, Trunk
from generator.training.verification import equal_error_rate, unit_rows

NAME = "expression_encoder"
EMBEDDING_DIM = 32
IDENTITIES_PER_EXPRESSION = 3
SEED = 21


class ExpressionEncoder(nn.Module):
    """Face features less projected identity features, then their first and second powers mapped to 32 numbers.

    The difference is the deviation of DLN (Zhang et al. 2021), section 3.1; the powers stand in for its high-order module.
    (B, 3, 112, 112) in -1..1 to (B, 32), each about zero mean and unit variance once `centre` and `spread` are set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.face = Embedder(Trunk("residual", (24, 48, 96, 160), (1, 2, 2)), EMBEDDING_DIM, pool="places")
        self.face.linear = nn.Identity()  # type: ignore[assignment]
        self.identity = build_embedder(RECOGNISERS["identity_arc"]).requires_grad_(False)
        self.project = nn.Linear(self.identity.trunk.width, self.face.trunk.width)
        self.head = nn.Linear(2 * self.face.trunk.width, EMBEDDING_DIM)
        self.register_buffer("centre", torch.zeros(EMBEDDING_DIM))
        self.register_buffer("spread", torch.ones(EMBEDDING_DIM))

    def train(self, mode: bool = True) -> ExpressionEncoder:
        super().train(mode)
        self.identity.eval()  # subtle: its batch norms must not follow this training
        return self

    def forward(self, images: Tensor) -> Tensor:
        deviation = self.face.features(images) - self.project(self.identity.features(images))
        raw = self.head(torch.cat([deviation, deviation.square() * 0.5], dim=1))
        return (raw - self.centre) / self.spread


class ExpressionNetwork(nn.Module):
    """The encoder with the linear read-out of units that only training needs."""

    def __init__(self, encoder: ExpressionEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.units = nn.Linear(EMBEDDING_DIM, NUM_UNITS)

    def forward(self, images: Tensor) -> Tensor:
        return self.encoder(images)


class ExpressionTask:
    """Ordering faces by their expression, reading the units, and telling nothing linear of the identity."""

    name = NAME

    def __init__(self, corpus: Corpus, identity: Embedder) -> None:
        self.corpus = corpus.rows(np.flatnonzero(~corpus.audit & ~corpus.held_out))
        self.units = unit_labels(self.corpus)
        self.variance = torch.from_numpy(self.units.var(axis=0) + 0.01)
        table = self.corpus.attributes
        self.attributes = torch.from_numpy((table - table.mean(axis=0)) / (table.std(axis=0) + 0.05)).float()
        self.groups = [group for group in identity_groups(self.corpus.expression) if len(group) >= IDENTITIES_PER_EXPRESSION]
        self.crops = FaceCrops(self.corpus, CropSpec(jitter_px=1.2, swap_share=0.5, colour=0.8, grey=0.1))
        torch.manual_seed(SEED)  # weights at the start; batches are drawn by the loop
        encoder = ExpressionEncoder()
        encoder.identity.load_state_dict(identity.state_dict())
        self.network: nn.Module = ExpressionNetwork(encoder)

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        each = IDENTITIES_PER_EXPRESSION
        chosen = draw.choice(len(self.groups), batch_size // each, replace=False)
        rows = np.concatenate([draw.choice(self.groups[i], each, replace=False) for i in chosen])
        crops = self.crops.draw(rows, draw)
        label = torch.from_numpy(mirror_units(self.units[rows], crops.flip))
        embedding = self.network(crops.images).float()
        with torch.autocast("cpu", enabled=False):
            units = ((self.network.units(embedding) - label).square() / self.variance).mean()  # type: ignore[operator]
            order = graded_triplet(embedding / EMBEDDING_DIM**0.5, label, margin=0.4)
            leak = cross_covariance(embedding, self.attributes[rows])
            size = embedding.mean(dim=0).square().mean() + (embedding.var(dim=0) - 1).square().mean()
            loss = units + 2 * order + 5 * leak + 0.05 * size
        return loss, {"units": float(units.detach()), "order": float(order.detach()), "leak": float(leak.detach())}


def build(corpus: Corpus, identity: Embedder) -> ExpressionTask:
    """The training task; `identity` is the trained identity_arc."""
    return ExpressionTask(corpus, identity)


def loop_config(steps: int) -> LoopConfig:
    """How the encoder is trained."""
    return LoopConfig(steps=steps, batch_size=96, learning_rate=2e-3, warmup_steps=60, weight_decay=0.02, ema_decay=0.99, seed=SEED)


def load_network(name: str, folder: Path) -> ExpressionEncoder:
    """The trained encoder from NAME.safetensors, in evaluation mode; gradients flow to its input."""
    encoder = ExpressionEncoder()
    state = load_file(folder / f"{name}.safetensors")
    encoder.load_state_dict({key.removeprefix("encoder."): value for key, value in state.items() if key.startswith("encoder.")})
    return encoder.eval().requires_grad_(False)


@torch.no_grad()
def encode(encoder: nn.Module, corpus: Corpus) -> NDArray[np.float32]:
    """Expression embeddings (N, 32) of corpus rows."""
    parts = [encoder(plain_crops(corpus.images_rgb[i : i + 64], corpus.landmarks5_px[i : i + 64])).float().numpy() for i in range(0, len(corpus), 64)]
    return np.concatenate(parts)


@torch.no_grad()
def standardise(encoder: ExpressionEncoder, corpus: Corpus) -> None:
    """Sets `centre` and `spread` so that each number has zero mean and unit variance over the rows given."""
    centre, spread = encoder.get_buffer("centre"), encoder.get_buffer("spread")
    embedding = torch.from_numpy(encode(encoder, corpus)) * spread + centre
    centre.copy_(embedding.mean(dim=0))
    spread.copy_(embedding.std(dim=0))


def export(encoder: nn.Module, path: Path, corpus: Corpus) -> dict[str, float]:
    """Writes the ONNX file with both branches; parity is checked on eight held-out portraits."""
    rows = np.flatnonzero(corpus.held_out)[:: max(1, int(corpus.held_out.sum()) // 8)][:8]
    return export_onnx(encoder, path, example=plain_crops(corpus.images_rgb[rows], corpus.landmarks5_px[rows]).numpy(), storage="byte")


def measure(encoder: nn.Module, corpus: Corpus) -> dict[str, float]:
    """On held-out identities: unit error of a linear read-out fitted on others, and how well people can be told apart (0.5 = not at all)."""
    fit = corpus.rows(np.flatnonzero(~corpus.held_out)[::5])
    held = corpus.rows(np.flatnonzero(corpus.held_out))
    train, test = (np.c_[encode(encoder, part), np.ones(len(part))] for part in (fit, held))
    weight, *_ = np.linalg.lstsq(train, unit_labels(fit), rcond=None)
    error = np.abs(test @ weight - unit_labels(held))
    unit = unit_rows(test[:, :-1])
    cosine = unit @ unit.T
    same = (held.identity[:, None] == held.identity[None]) & ~np.eye(len(held), dtype=bool)
    other = held.identity[:, None] != held.identity[None]
    mean_only = np.abs(unit_labels(held) - unit_labels(fit).mean(axis=0)).mean()
    return {"unit_mae": float(error.mean()), "unit_mae_of_the_mean": float(mean_only), "identity_eer": equal_error_rate(cosine[same], cosine[other])[0]}
