"""Convolutional trunks of the bundled recognisers and checkers, five unlike architectures, and what turns features into an embedding."""

# B images, C channels, H W pixels, D width

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(into: int, out: int, kernel: int, *, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    """Convolution and batch norm, then ReLU unless `act` is false; the norm folds into the convolution on export."""
    parts: list[nn.Module] = [nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)]
    return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if act else []))


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, as in He et al. (2016)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(into, out, 3, stride=stride), conv_norm(out, out, 3, act=False))
        self.shortcut = nn.Identity() if into == out and stride == 1 else conv_norm(into, out, 1, stride=stride, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class PooledBlock(nn.Module):
    """Residual block whose shortcut has no weights: mean pooling and zero channels, as in dlib's face network (King 2017)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(into, out, 3, stride=stride), conv_norm(out, out, 3, act=False))
        self.stride, self.extra = stride, out - into

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.avg_pool2d(x, self.stride, ceil_mode=True) if self.stride > 1 else x
        return F.relu(self.body(x) + F.pad(shortcut, (0, 0, 0, 0, 0, self.extra)))


class PlainBlock(nn.Module):
    """Two 3 x 3 convolutions and no shortcut, as in VGG (Simonyan and Zisserman 2015) with batch norm."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(into, out, 3, stride=stride), conv_norm(out, out, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class BottleneckBlock(nn.Module):
    """Narrow, filter, widen beside a shortcut, as in deeper ResNets (He et al. 2016)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        middle = out // 2
        self.body = nn.Sequential(conv_norm(into, middle, 1), conv_norm(middle, middle, 3, stride=stride), conv_norm(middle, out, 1, act=False))
        self.shortcut = nn.Identity() if into == out and stride == 1 else conv_norm(into, out, 1, stride=stride, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class PatchBlock(nn.Module):
    """Pre-normed 3 x 3 and 1 x 1 beside a shortcut; halving is a 2 x 2 patch convolution as in ConvNeXt (Liu et al. 2022)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.reduce = nn.Identity() if stride == 1 else nn.Conv2d(into, out, stride, stride, bias=False)
        self.body = nn.Sequential(nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(out, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return x + self.body(x)


BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "residual": ResidualBlock,
    "pooled": PooledBlock,
    "plain": PlainBlock,
    "bottleneck": BottleneckBlock,
    "patch": PatchBlock,
}


class Trunk(nn.Module):
    """A stem and stages of one kind of block; (B, 3, H, W) to (B, widths[-1], H / s, W / s).

    The stem halves the picture (a quarter for patches); every stage after the stem halves it again, but a patch trunk's first.
    """

    def __init__(self, block: str, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        make, patch = BLOCKS[block], block == "patch"
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, 4, bias=False), nn.BatchNorm2d(widths[0])) if patch else conv_norm(3, widths[0], 3, stride=2)
        stages: list[nn.Module] = []
        width = widths[0]
        for i, (out, depth) in enumerate(zip(widths[0 if patch else 1 :], depths, strict=True)):
            stride = 1 if patch and i == 0 else 2
            stages += [make(width if j == 0 else out, out, stride if j == 0 else 1) for j in range(depth)]
            width = out
        self.stem, self.stages, self.width = stem, nn.Sequential(*stages), width

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x))


class Embedder(nn.Module):
    """Trunk, then one linear map to an embedding that is not normalised; (B, 3, 112, 112) in -1..1 to (B, D).

    pool "mean" averages over the picture; "places" weighs every place and channel separately, the global depthwise
    convolution of MobileFaceNet. inner crops the centre [start:stop] of the picture and enlarges it back to 112: another
    alignment inside the same graph.
    """

    def __init__(self, trunk: Trunk, dim: int, *, pool: str = "mean", side: int = 7, inner: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.trunk, self.inner = trunk, inner
        self.places = nn.Conv2d(trunk.width, trunk.width, side, groups=trunk.width, bias=False) if pool == "places" else None
        self.norm = nn.BatchNorm1d(trunk.width)
        self.linear = nn.Linear(trunk.width, dim)

    def features(self, x: Tensor) -> Tensor:
        """Pooled trunk features (B, C)."""
        if self.inner is not None:
            x = x[:, :, self.inner[0] : self.inner[1], self.inner[0] : self.inner[1]]
            x = F.interpolate(x, size=(112, 112), mode="bilinear", align_corners=False)
        maps = self.trunk(x)
        pooled = maps.mean(dim=(2, 3)) if self.places is None else self.places(maps).flatten(1)
        return self.norm(pooled)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.features(x))


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Sequence[Callable[[], object]]) -> None:
    """Sets batch-norm statistics to the plain mean over some batches, as averaged weights never saw the running ones.

    batches are calls that run the network forward in training mode.
    """
    network.train()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) and m.training]  # frozen parts stay as they are
    kept = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for run in batches:
        run()
    network.eval()
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
