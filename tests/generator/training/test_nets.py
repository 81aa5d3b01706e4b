from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.training.embeddings import IDENTITY_FILES
from generator.training.identity import RECOGNISERS, build_embedder
from generator.training.nets import BLOCKS, Embedder, Trunk, recalibrate


@pytest.mark.parametrize("name", RECOGNISERS)
def test_every_recogniser_maps_a_crop_to_its_width(name: str):
    with torch.no_grad():
        assert build_embedder(RECOGNISERS[name]).eval()(torch.zeros(2, 3, 112, 112)).shape == (2, RECOGNISERS[name].dim)


def test_no_two_recognisers_share_a_trunk_and_no_two_conditioners_a_loss():
    assert len({spec.block for spec in RECOGNISERS.values()}) == len({spec.seed for spec in RECOGNISERS.values()}) == len(RECOGNISERS) == len(BLOCKS)
    assert len({RECOGNISERS[name].loss for name in IDENTITY_FILES}) == len(IDENTITY_FILES) == 3


def test_inner_crop_ignores_the_border():
    torch.manual_seed(0)
    embedder = Embedder(Trunk("plain", (8, 8, 16), (1, 1)), 4, inner=(12, 100)).eval()
    images = torch.rand(1, 3, 112, 112)
    changed = images.clone()
    changed[:, :, :12] = -1
    changed[:, :, :, 100:] = 1
    with torch.no_grad():
        assert torch.equal(embedder(images), embedder(changed))


def test_recalibrated_statistics_are_the_mean_over_the_batches():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    draw = np.random.default_rng(0)
    batches = [torch.from_numpy(draw.normal(3, 2, (4, 2, 5, 5))).float() for _ in range(3)]
    recalibrate(network, [lambda b=b: network(b) for b in batches])
    wanted = torch.stack([b.mean(dim=(0, 2, 3)) for b in batches]).mean(dim=0)
    assert torch.allclose(network[0].running_mean, wanted, atol=1e-5)
    assert not network.training
