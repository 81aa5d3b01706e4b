"""Pose bins: the scenes of a run by how far their head is turned, so that each bin can have its own quota."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from manifests.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PoseBin:
    """Scenes whose head is turned alike, to either side."""

    name: str  # "0-15", or "45+" for the last, open one: degrees of |yaw|
    scene_ids: tuple[str, ...]


def bin_names(edges_deg: Sequence[float]) -> tuple[str, ...]:
    """Names of the bins between edges of |yaw|; the last bin is open."""
    if list(edges_deg) != sorted(set(edges_deg)) or not all(math.isfinite(edge) and 0 <= edge <= 90 for edge in edges_deg):
        shown = ", ".join(f"{edge:g}" for edge in edges_deg)
        raise ConfigError(f"configuration: scenes.poses is [{shown}], expected rising degrees from 0 to 90, such as [0, 15, 45].")
    return (*(f"{low:g}-{high:g}" for low, high in pairwise(edges_deg)), f"{edges_deg[-1]:g}+") if edges_deg else ()


def pose_bins(edges_deg: Sequence[float], yaw_deg: Mapping[str, float]) -> tuple[PoseBin, ...]:
    """Bins of scenes in the order of `yaw_deg`; a scene below the first edge is in none. A bin without a scene raises ConfigError.

    edges_deg  rising lower edges of |yaw|; a scene exactly on an edge belongs to the bin above it
    yaw_deg    scene id -> measured yaw, degrees
    """
    names = bin_names(edges_deg)
    scenes: list[list[str]] = [[] for _ in names]
    for scene_id, yaw in yaw_deg.items():
        place = bisect_right(edges_deg, abs(yaw)) - 1
        if place >= 0:
            scenes[place].append(scene_id)
    empty = [name for name, found in zip(names, scenes, strict=True) if not found]
    if empty:
        counts = ", ".join(f"{name}: {len(found)}" for name, found in zip(names, scenes, strict=True))
        widest = max((abs(yaw) for yaw in yaw_deg.values()), default=0.0)
        raise ConfigError(
            f'plan: no scene is turned by {empty[0]} degrees (scenes of each bin: {counts}; the furthest turned has {widest:.0f} degrees). '
            "Change scenes.poses, or give photographs of such heads with scenes.path."
        )
    return tuple(PoseBin(name=name, scene_ids=tuple(found)) for name, found in zip(names, scenes, strict=True))
