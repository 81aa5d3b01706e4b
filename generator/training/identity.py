"""Trains the five bundled face recognisers: three conditioners, the gate and the auditor, each with its own architecture and loss."""

# B batch, D width

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from generator.training.corpus import NUM_ATTRIBUTES, Corpus, has_shards, identity_groups, load_corpus
from generator.training.crops import CropSpec, FaceCrops, plain_crops
from generator.training.export import Storage, export_onnx
from generator.training.loop import LoopConfig
from generator.training.losses import margin_logits, supervised_contrast, weighted_triplet
from generator.training.nets import Embedder, Trunk
from generator.training.verification import swap_figures, verification_figures
from manifests.errors import ConfigError

Loss = Literal["arc", "contrast", "triplet", "contrast_cos"]


@dataclass(frozen=True, kw_only=True)
class RecogniserSpec:
    """One recogniser: its trunk, embedding width, loss and which identities it learns from."""

    block: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    dim: int
    loss: Loss
    pool: str = "mean"
    inner: tuple[int, int] | None = None
    audit: bool = False  # learns from the audit identities and nothing else
    more: bool = False  # learns from the identities of MORE shards, too, which nothing else knows
    pictures_per_identity: int = 4  # in a batch
    seed: int = 0
    crops: CropSpec = field(default_factory=CropSpec)


RECOGNISERS: dict[str, RecogniserSpec] = {
    "identity_arc": RecogniserSpec(
        block="residual", widths=(24, 48, 96, 192), depths=(1, 2, 2), dim=256, loss="arc", pool="places", pictures_per_identity=2, seed=11
    ),
    "identity_metric": RecogniserSpec(block="pooled", widths=(24, 48, 96, 192), depths=(1, 2, 2), dim=128, loss="contrast", seed=12),
    "identity_triplet": RecogniserSpec(block="plain", widths=(24, 48, 96, 160), depths=(1, 1, 2), dim=128, loss="triplet", pool="places", seed=13),
    "gate": RecogniserSpec(
        block="bottleneck", widths=(32, 64, 160, 320), depths=(2, 3, 2), dim=192, loss="contrast_cos", pool="places", seed=14, more=True,
        crops=CropSpec(jitter_px=1.5, swap_share=0.75, colour=0.6),
    ),
    "auditor": RecogniserSpec(
        block="patch", widths=(48, 112, 192), depths=(2, 3, 3), dim=160, loss="contrast_cos", audit=True, inner=(12, 100), seed=15,
        crops=CropSpec(jitter_px=1.0, swap_share=0.7, colour=0.4, degrade_share=0.5),
    ),
}  # fmt: skip
MORE = "more-*.tar"
EMA_DECAY = 0.99
TRIPLET_FOCUS_STEPS = 60  # by which the focus on hard pictures grows by one


class Recogniser(nn.Module):
    """An embedder with the heads that only training needs: attributes of the identity and, for margin losses, class directions."""

    def __init__(self, embedder: Embedder, dim: int, num_classes: int) -> None:
        super().__init__()
        self.embedder = embedder
        self.attributes = nn.Linear(dim, NUM_ATTRIBUTES)
        self.classes = nn.Parameter(torch.randn(num_classes, dim) * 0.05)

    def forward(self, images: Tensor) -> Tensor:
        return self.embedder(images)


class RecogniserTask:
    """Telling the training identities apart, and reading sixteen known numbers of each from its embedding."""

    def __init__(self, name: str, corpus: Corpus, spec: RecogniserSpec, *, more: Corpus | None = None, attribute_weight: float = 2.0) -> None:
        """more: further people to learn from, none of whom `corpus` has."""
        chosen = corpus.audit if spec.audit else ~corpus.audit & ~corpus.held_out
        self.name, self.spec, self.attribute_weight = name, spec, attribute_weight
        self.corpus = corpus.rows(np.flatnonzero(chosen))
        if more is not None:
            self.corpus = self.corpus.joined(more)
        self.groups = identity_groups(self.corpus.identity)
        self.crops = FaceCrops(self.corpus, spec.crops)
        first = np.array([group[0] for group in self.groups])
        table = self.corpus.attributes[first]
        self.attributes = torch.from_numpy((table - table.mean(axis=0)) / (table.std(axis=0) + 0.05)).float()
        torch.manual_seed(spec.seed)  # weights at the start; batches are drawn by the loop
        self.network: nn.Module = Recogniser(build_embedder(spec), spec.dim, len(self.groups))

    def batch(self, draw: np.random.Generator, batch_size: int) -> tuple[Tensor, Tensor]:
        """Crops (B, 3, 112, 112) and their class numbers (B,)."""
        each = self.spec.pictures_per_identity
        target = draw.choice(len(self.groups), batch_size // each, replace=False)
        rows = np.concatenate([draw.choice(self.groups[t], each, replace=len(self.groups[t]) < each) for t in target])
        return self.crops.draw(rows, draw).images, torch.from_numpy(np.repeat(target, each))

    def loss(self, draw: np.random.Generator, batch_size: int, step: int) -> tuple[Tensor, dict[str, float]]:
        images, target = self.batch(draw, batch_size)
        embedding = self.network(images).float()
        with torch.autocast("cpu", enabled=False):
            apart = self._apart(embedding, target, step)
            attribute = F.smooth_l1_loss(self.network.attributes(embedding), self.attributes[target])  # type: ignore[operator]
            return apart + self.attribute_weight * attribute, {"apart": float(apart.detach()), "attribute": float(attribute.detach())}

    def _apart(self, embedding: Tensor, target: Tensor, step: int) -> Tensor:
        unit = F.normalize(embedding)
        classes: Tensor = self.network.classes  # type: ignore[assignment]
        cosine = unit @ F.normalize(classes).T
        match self.spec.loss:
            case "arc":
                return F.cross_entropy(margin_logits(cosine, target, scale=24, angle=0.3), target)
            case "contrast":
                return supervised_contrast(unit, target, temperature=0.1)
            case "triplet":
                return 4 * weighted_triplet(unit, target, scale=6.0, focus=min(8.0, 1 + step / TRIPLET_FOCUS_STEPS))
            case "contrast_cos":
                return supervised_contrast(unit, target, temperature=0.12) + 0.3 * F.cross_entropy(margin_logits(cosine, target, scale=20, offset=0.2), target)


def build_embedder(spec: RecogniserSpec) -> Embedder:
    """The untrained network of a recogniser."""
    return Embedder(Trunk(spec.block, spec.widths, spec.depths), spec.dim, pool=spec.pool, inner=spec.inner)


def build(corpus: Corpus, name: str, folder: Path | None = None) -> RecogniserTask:
    """The training task of one recogniser of RECOGNISERS. folder: of the corpus, whose MORE shards some learn from, too, where there are any."""
    if name not in RECOGNISERS:
        raise ConfigError(f'recogniser "{name}" is not one of {", ".join(RECOGNISERS)}. Choose one of these.')
    spec = RECOGNISERS[name]
    more = load_corpus(folder, pattern=MORE) if spec.more and folder is not None and has_shards(folder, MORE) else None
    return RecogniserTask(name, corpus, spec, more=more)


def loop_config(name: str, steps: int) -> LoopConfig:
    """How one recogniser is trained."""
    return LoopConfig(steps=steps, batch_size=96, learning_rate=2e-3, warmup_steps=60, weight_decay=0.02, ema_decay=EMA_DECAY, seed=RECOGNISERS[name].seed)


def load_network(name: str, folder: Path) -> Embedder:
    """The trained embedder from NAME.safetensors, in evaluation mode; gradients flow to its input."""
    embedder = build_embedder(RECOGNISERS[name])
    state = load_file(folder / f"{name}.safetensors")
    embedder.load_state_dict({key.removeprefix("embedder."): value for key, value in state.items() if key.startswith("embedder.")})
    return embedder.eval().requires_grad_(False)


@torch.no_grad()
def embed(network: nn.Module, images_rgb: NDArray[np.uint8], landmarks5_px: NDArray[np.floating]) -> NDArray[np.float32]:
    """Embeddings (N, D) of aligned portraits, not normalised."""
    parts = [network(plain_crops(images_rgb[i : i + 64], landmarks5_px[i : i + 64])).float().numpy() for i in range(0, len(images_rgb), 64)]
    return np.concatenate(parts)


def export(network: nn.Module, path: Path, corpus: Corpus, *, storage: Storage = "byte") -> dict[str, float]:
    """Writes the ONNX file of an embedder; parity is checked on eight held-out portraits."""
    rows = np.flatnonzero(corpus.held_out)[:: max(1, int(corpus.held_out.sum()) // 8)][:8]
    example = plain_crops(corpus.images_rgb[rows], corpus.landmarks5_px[rows]).numpy()
    return export_onnx(network, path, example=example, storage=storage)


def measure(network: nn.Module, corpus: Corpus, quadruples: dict[str, Corpus]) -> dict[str, float]:
    """Verification on the held-out identities, and on true swaps: `quadruples` holds rows "background", "identity" and "target", or nothing."""
    held = corpus.rows(np.flatnonzero(corpus.held_out))
    figures = verification_figures(embed(network, held.images_rgb, held.landmarks5_px), held.identity)
    if not quadruples:
        return figures
    parts = {name: embed(network, rows.images_rgb, rows.landmarks5_px) for name, rows in quadruples.items()}
    return figures | swap_figures(parts["target"], parts["identity"], parts["background"])
