"""Plans to test with, small ones and drawn ones."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from manifests.poses import PoseBin
from manifests.spec import Expression, Identity, PlanSpec, SplitFractions

SMALL = PlanSpec(
    identities=tuple(Identity(identity_id=f"i{number:02d}", group="ab"[number % 2]) for number in range(10)),
    expressions=tuple(Expression(word=word, intensity=1.0) for word in ("joy", "fear", "anger")),
    scene_ids=tuple(f"s{number}" for number in range(7)),
    scenes="spread",
    views_per_cell=2,
    mode="all",
    split=SplitFractions(train=0.7, val=0.1, test=0.2),
    run_seed=5,
    shard_size=8,
)


def changed(**fields: Any) -> PlanSpec:
    """SMALL with other values."""
    return dataclasses.replace(SMALL, **fields)


@st.composite
def plan_specs(draw: st.DrawFn) -> PlanSpec:
    """Plans of every mode with up to 12 identities, 5 expressions, 9 scenes in up to 3 pose bins, 4 views, and quotas of single expressions."""
    mode = draw(st.sampled_from(["all", "swap", "reenact"]))
    scenes = "own" if mode == "reenact" else draw(st.sampled_from(["spread", "every"]))
    num_identities = draw(st.integers(1, 12))
    num_scenes = num_identities if mode == "reenact" else draw(st.integers(1, 9))
    scene_ids = tuple(f"s{number}" for number in range(num_scenes))
    num_poses = 0 if mode == "reenact" else draw(st.integers(0, min(3, num_scenes)))
    parts = draw(st.tuples(*[st.integers(0, 5)] * 3).filter(any))
    words = range(0 if mode == "swap" else draw(st.integers(1, 5)))
    return PlanSpec(
        identities=tuple(Identity(identity_id=f"i{number}", group=draw(st.sampled_from(["a", "b", None]))) for number in range(num_identities)),
        expressions=tuple(Expression(word=f"w{number}", intensity=0.5, views=draw(st.sampled_from([None, None, 1, 3]))) for number in words),
        scene_ids=scene_ids,
        scenes=scenes,
        views_per_cell=draw(st.integers(1, 4)),
        mode=mode,
        split=SplitFractions(train=parts[0] / sum(parts), val=parts[1] / sum(parts), test=parts[2] / sum(parts)),
        run_seed=draw(st.integers(0, 2**63 - 1)),
        shard_size=draw(st.integers(1, 30)),
        poses=tuple(PoseBin(name=f"pose{number}", scene_ids=scene_ids[number::num_poses]) for number in range(num_poses)),
    )
