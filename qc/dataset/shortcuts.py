"""Probes for shortcuts: whether a label can be told from the background, the size of the file or the bits of the seed, which should not hold it."""

# N pictures, F width of the features, K classes

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from manifests.errors import InputError
from qc.statistics.intervals import Interval, integers, not_estimable, proportion
from qc.statistics.plain import Figures

FOLDS, PERMUTATIONS, MAX_WIDTH = 5, 200, 48
RIDGE = 1.0  # in units of the features' variance times the number of pictures / 100
ALPHA = 0.01
BACKGROUND = "background pixels, 12 x 12"


@dataclass(frozen=True, kw_only=True)
class Probe(Figures):
    """How well a linear probe tells a label."""

    target: str  # "identity", "expression", ...
    features: str
    n: int
    num_classes: int
    num_scenes: int
    status: Literal["chance", "shortcut", "not estimable"]  # shortcut: p <= 0.01
    reason: str  # why it is not estimable, else empty
    accuracy: float  # cross-validated, no scene in both parts; nan: not estimable
    ci: Interval  # draws scenes
    chance: float  # mean accuracy of the same probe on permuted labels
    p_value: float  # (1 + permutations that do as well) / (1 + permutations)


def probe(
    features: NDArray[np.floating],
    labels: NDArray[Any],
    scenes: NDArray[Any],
    *,
    target: str,
    name: str,
    seed: int,
    folds: int = FOLDS,
    permutations: int = PERMUTATIONS,
    within_scene: bool = True,
) -> Probe:
    """Ridge classifier on features (N, F), cross-validated by scene, against permutations of the labels within scenes.

    A background belongs to its scene, so a label that goes with scenes is no shortcut of the pixels: labels are permuted within scenes, and with
    `within_scene` each scene's mean is taken off its features, which leaves what the label itself changed. Where labels don't vary within scenes
    (each person has one scene of their own) nothing can be told: "not estimable".
    """
    rows, classes, groups = np.asarray(features, np.float64), integers(labels), integers(scenes)
    if rows.ndim != 2 or not len(rows) == len(classes) == len(groups):
        raise InputError(f"shortcuts: features are {rows.shape} for {len(classes)} labels and {len(groups)} scenes, expected one row each.")
    count, num_scenes = int(classes.max(initial=-1)) + 1, int(groups.max(initial=-1)) + 1
    generator = np.random.default_rng(seed)
    common = {"target": target, "features": name, "n": len(rows), "num_classes": count, "num_scenes": num_scenes}
    reason = _why_not(classes, groups, count, num_scenes, folds)
    if reason:
        gap = {"accuracy": np.nan, "chance": np.nan, "p_value": np.nan}
        return Probe(**common, status="not estimable", reason=reason, ci=not_estimable(0.95, reason), **gap)  # type: ignore[arg-type]
    if within_scene:
        rows = rows - _means(rows, groups)[groups]
    rows = _whitened(rows)
    fold_of = generator.permutation(num_scenes)[groups] % folds
    solvers = _solvers(rows, fold_of, folds)
    predicted = _predict(solvers, rows, classes, fold_of, count)
    accuracy = float((predicted == classes).mean())
    drawn = np.empty(permutations)
    for number in range(permutations):
        shuffled = _permuted_within(classes, groups, generator)
        drawn[number] = (_predict(solvers, rows, shuffled, fold_of, count) == shuffled).mean()
    p_value = (1 + int((drawn >= accuracy - 1e-12).sum())) / (1 + permutations)
    return Probe(
        **common,  # type: ignore[arg-type]
        status="shortcut" if p_value <= ALPHA else "chance",
        reason="",
        accuracy=accuracy,
        ci=proportion(predicted == classes, groups, seed=seed).ci,
        chance=float(drawn.mean()),
        p_value=p_value,
    )


def background_features(
    images_rgb: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], face_masks: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], side: int = 12
) -> NDArray[np.float32]:
    """Mean colours (N, 3 side^2) of what lies outside the face mask (N, H, W; 1 is face), 0 .. 1; squares without background are 0."""
    features = []
    for image, mask in zip(images_rgb, face_masks, strict=True):
        outside = np.ascontiguousarray(1 - mask, np.float32)
        share = cv2.resize(outside, (side, side), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(image.astype(np.float32) * outside[:, :, None], (side, side), interpolation=cv2.INTER_AREA)
        features.append((colour / np.maximum(share, 1e-3)[:, :, None] * (share > 0.01)[:, :, None] / 255).reshape(-1))
    return np.stack(features).astype(np.float32) if features else np.zeros((0, 3 * side * side), np.float32)


def parity_features(seeds: NDArray[np.integer], bits: int = 8) -> NDArray[np.float32]:
    """Lowest bits of each seed (N, bits); the first is its parity."""
    numbers = np.asarray(seeds).astype(np.uint64)
    return ((numbers[:, None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)).astype(np.float32)


def _why_not(classes: NDArray[np.int64], groups: NDArray[np.int64], count: int, num_scenes: int, folds: int) -> str:
    if count < 2:
        return "there are fewer than two classes"
    if num_scenes < folds:
        return f"{num_scenes} scenes are fewer than {folds} folds"
    pairs = np.unique(groups * count + classes) // count
    if (np.bincount(pairs, minlength=num_scenes) > 1).sum() < folds:
        return "labels do not vary within scenes"
    return ""


def _means(rows: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    size = np.bincount(groups)
    sums = np.zeros((len(size), rows.shape[1]))
    np.add.at(sums, groups, rows)
    return sums / size[:, None]


def _whitened(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most MAX_WIDTH principal coordinates of unit variance; made without labels, so all rows may share them."""
    centred = rows - rows.mean(axis=0)
    scale = centred.std(axis=0)
    centred = centred / np.where(scale > 1e-9, scale, np.inf)
    values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    chosen = np.flatnonzero(values > 1e-6 * max(values[-1], 1e-12))[::-1][:MAX_WIDTH]
    return centred @ (directions[:, chosen] / np.sqrt(values[chosen])) if values[-1] > 1e-12 else centred[:, :1]


def _solvers(rows: NDArray[np.float64], fold_of: NDArray[np.int64], folds: int) -> list[NDArray[np.float64]]:
    solvers = []
    for fold in range(folds):
        train = rows[fold_of != fold]
        gram = train.T @ train + RIDGE * max(len(train) / 100, 1.0) * np.eye(rows.shape[1])
        solvers.append(np.linalg.inv(gram))
    return solvers


def _predict(
    solvers: list[NDArray[np.float64]], rows: NDArray[np.float64], classes: NDArray[np.int64], fold_of: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    predicted = np.empty(len(rows), np.int64)
    for fold, solver in enumerate(solvers):
        test = fold_of == fold
        train = ~test
        size = np.bincount(classes[train], minlength=count)
        sums = np.zeros((count, rows.shape[1]))
        np.add.at(sums, classes[train], rows[train])
        # least squares on one-hot labels less their shares
        weights = solver @ (sums - size[:, None] / train.sum() * rows[train].sum(axis=0)).T
        predicted[test] = (rows[test] @ weights + size / train.sum()).argmax(axis=1)
    return predicted


def _permuted_within(classes: NDArray[np.int64], groups: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    by_group = np.argsort(groups, kind="stable")
    shuffled = np.lexsort((generator.random(len(groups)), groups))
    result = np.empty_like(classes)
    result[by_group] = classes[shuffled]
    return result
