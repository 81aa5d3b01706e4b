"""The axes of a plan: identities, expressions, scenes, views, mode, splits and seed; its hash names the plan."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from manifests.errors import ConfigError
from manifests.poses import PoseBin
from manifests.rows import MODES, Mode

# spread: each slot gets one scene, level counts; every: each cell is made with every scene; own: identity i goes with scene i
Scenes = Literal["spread", "every", "own"]

PLANNER_VERSION = 1  # raised when the same axes give other rows


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One identity to plan with."""

    identity_id: str
    group: str | None = None  # demographic group whose share is kept equal over the splits; None: unknown


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One expression to plan with."""

    word: str  # of the vocabulary
    intensity: float  # of the word's typical strength, above 0 .. 1
    views: int | None = None  # quota of its cells; None: the plan's views_per_cell

    def __post_init__(self) -> None:
        if self.views is not None and self.views < 1:
            raise ConfigError(f'plan: expression "{self.word}" has {self.views} views, expected 1 or more. Leave it out of the expressions instead.')
        if not 0 < self.intensity <= 1:
            raise ConfigError(f'plan: expression "{self.word}" has intensity {self.intensity}, expected above 0 and up to 1. Ask for "neutral" instead of 0.')


@dataclass(frozen=True, kw_only=True)
class SplitFractions:
    """Shares of the identities; they sum to 1."""

    train: float
    val: float
    test: float

    def __post_init__(self) -> None:
        shares = (self.train, self.val, self.test)
        if not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-9):
            raise ConfigError(f"plan: split fractions are {shares} with sum {sum(shares):g}, expected shares of 0 to 1 that sum to 1.")


@dataclass(frozen=True, kw_only=True)
class PlanSpec:
    """Everything that the rows of a run depend on."""

    identities: tuple[Identity, ...]
    expressions: tuple[Expression, ...]  # empty in mode "swap": the background's own is kept
    scene_ids: tuple[str, ...]
    scenes: Scenes
    views_per_cell: int
    mode: Mode
    split: SplitFractions
    run_seed: int  # 0 .. 2^63 - 1
    shard_size: int  # slots
    poses: tuple[PoseBin, ...] = ()  # a partition of scene_ids that is an axis of the cells; empty: none

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f'plan: mode is "{self.mode}", expected one of {", ".join(MODES)}.')
        if self.scenes not in ("spread", "every", "own"):
            raise ConfigError(f'plan: scenes is "{self.scenes}", expected "spread", "every" or "own".')
        if self.mode == "swap" and self.expressions:
            raise ConfigError('plan: mode "swap" keeps the expression of the background picture, but expressions were given. Leave them out or use mode "all".')
        for name, values in (
            ("identities", [identity.identity_id for identity in self.identities]),
            ("scenes", self.scene_ids),
            ("expressions", [f"{expression.word} at {expression.intensity:g}" for expression in self.expressions]),
        ):
            _check_axis(name, values, empty_allowed=name == "expressions" and self.mode == "swap")
        if (self.mode == "reenact") != (self.scenes == "own"):
            raise ConfigError(
                f'plan: mode is "{self.mode}" with scenes "{self.scenes}". Mode "reenact" keeps the person of each scene, so it goes with scenes "own", '
                "and no other mode does."
            )
        if self.scenes == "own" and len(self.identities) != len(self.scene_ids):
            raise ConfigError(f'plan: scenes "own" with {len(self.identities)} identities and {len(self.scene_ids)} scenes; give one identity for each scene.')
        self._check_poses()
        if self.views_per_cell < 1 or self.shard_size < 1:
            raise ConfigError(f"plan: views_per_cell is {self.views_per_cell} and shard_size {self.shard_size}, expected 1 or more.")
        if not 0 <= self.run_seed < 2**63:
            raise ConfigError(f"plan: run seed is {self.run_seed}, expected 0 to 2^63 - 1.")

    def fingerprint(self) -> str:
        """sha256 of the axes as canonical JSON."""
        text = json.dumps({"planner": PLANNER_VERSION, **self.to_json()}, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file; axes that a plan doesn't use are left out, so that they don't change its hash."""
        plain = asdict(self)
        plain["expressions"] = [{name: value for name, value in expression.items() if value is not None} for expression in plain["expressions"]]
        if not self.poses:
            del plain["poses"]
        return plain

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> PlanSpec:
        """The axes that `to_json` described."""
        nested = {
            "identities": tuple(Identity(**identity) for identity in plain["identities"]),
            "expressions": tuple(Expression(**expression) for expression in plain["expressions"]),
            "scene_ids": tuple(plain["scene_ids"]),
            "split": SplitFractions(**plain["split"]),
            "poses": tuple(PoseBin(name=pose["name"], scene_ids=tuple(pose["scene_ids"])) for pose in plain.get("poses", ())),
        }
        return PlanSpec(**{**plain, **nested})

    def _check_poses(self) -> None:
        if not self.poses:
            return
        if self.scenes == "own":
            raise ConfigError('plan: mode "reenact" keeps the pose of each scene, so poses can\'t be an axis. Leave scenes.poses out.')
        _check_axis("poses", [pose.name for pose in self.poses], empty_allowed=False)
        binned = [scene_id for pose in self.poses for scene_id in pose.scene_ids]
        if sorted(binned) != sorted(self.scene_ids) or not all(pose.scene_ids for pose in self.poses):
            raise ConfigError(f"plan: the poses hold {len(binned)} scenes of {len(self.scene_ids)}, expected each scene in one pose, and none empty.")


def _check_axis(name: str, values: Sequence[str], *, empty_allowed: bool) -> None:
    if not values and not empty_allowed:
        raise ConfigError(f"plan: there are no {name}. Give at least one.")
    if "" in values:
        raise ConfigError(f"plan: one of the {name} has an empty name. Name it.")
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ConfigError(f'plan: {name} has "{repeated[0]}" more than once. List each one once and raise views_per_cell instead.')
