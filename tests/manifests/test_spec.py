from __future__ import annotations

import pytest

from manifests.errors import ConfigError
from manifests.spec import Expression, Identity, SplitFractions
from tests.manifests.specs import SMALL, changed


def test_fingerprint_is_a_hash_of_every_field():
    seen = {
        SMALL.fingerprint(),
        changed(run_seed=6).fingerprint(),
        changed(shard_size=9).fingerprint(),
        changed(views_per_cell=3).fingerprint(),
        changed(scene_ids=SMALL.scene_ids[::-1]).fingerprint(),
        changed(identities=SMALL.identities[1:]).fingerprint(),
        changed(split=SplitFractions(train=1.0, val=0.0, test=0.0)).fingerprint(),
    }
    assert len(seen) == 7
    assert changed().fingerprint() == SMALL.fingerprint()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"identities": ()}, "there are no identities"),
        ({"expressions": ()}, "there are no expressions"),
        ({"scene_ids": ()}, "there are no scenes"),
        ({"scene_ids": ("a", "b", "a")}, 'scenes has "a" more than once'),
        ({"scene_ids": ("a", "")}, "empty name"),
        ({"identities": (Identity(identity_id="x"), Identity(identity_id="x", group="g"))}, 'identities has "x" more than once'),
        ({"expressions": (Expression(word="joy", intensity=0.5),) * 2}, 'expressions has "joy at 0.5" more than once'),
        ({"mode": "blend"}, "mode is"),
        ({"scenes": "all"}, "scenes is"),
        ({"mode": "swap"}, "keeps the expression of the background"),
        ({"mode": "reenact"}, 'goes with scenes "own"'),
        ({"scenes": "own"}, "and no other mode does"),
        ({"mode": "reenact", "scenes": "own"}, "10 identities and 7 scenes"),
        ({"views_per_cell": 0}, "views_per_cell is 0"),
        ({"shard_size": 0}, "shard_size 0"),
        ({"run_seed": -1}, "run seed is -1"),
        ({"run_seed": 2**63}, "run seed"),
    ],
)
def test_wrong_axes_are_named(fields, reason):
    with pytest.raises(ConfigError, match=reason):
        changed(**fields)


@pytest.mark.parametrize("intensity", [0.0, -0.1, 1.1, float("nan")])
def test_intensity_is_above_zero_and_at_most_one(intensity):
    with pytest.raises(ConfigError, match="has intensity"):
        Expression(word="joy", intensity=intensity)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0), (0.0, 0.0, 0.0)])
def test_split_fractions_sum_to_one(shares):
    with pytest.raises(ConfigError, match="sum to 1"):
        SplitFractions(train=shares[0], val=shares[1], test=shares[2])
