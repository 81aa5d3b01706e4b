"""Expression labels as training needs them: 35 numbers, their mirror image, the eight classes, and valence and arousal."""

# N rows

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.training.corpus import BASICS, Corpus

NUM_UNITS = 35  # 34 unit weights 0..1, then lateral -1..1
# Left and right partners among the units: eye closure, opening, slit; brow down, outer up, inner up, up; nostril width, raise.
MIRROR = np.array([3, 4, 5, 0, 1, 2, 10, 11, 12, 13, 6, 7, 8, 9, *range(14, 30), 32, 33, 30, 31])
AFFECTNET8 = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
# Category centres on Russell's (1980) circumplex, -1..1: valence, arousal. Disgust and contempt after AffectNet's means
# (Mollahosseini et al. 2019) in sign and rough size.
VALENCE_AROUSAL = {
    "neutral": (0.0, 0.0), "happiness": (0.85, 0.4), "sadness": (-0.8, -0.4), "surprise": (0.2, 0.85),
    "fear": (-0.6, 0.8), "disgust": (-0.7, 0.3), "anger": (-0.7, 0.75), "contempt": (-0.55, 0.15),
}  # fmt: skip
BASIC_TO_AFFECTNET8 = np.array([AFFECTNET8.index(name) for name in BASICS])


def unit_labels(corpus: Corpus) -> NDArray[np.float32]:
    """(N, 35) unit weights and lateral."""
    return np.concatenate([corpus.units, corpus.lateral[:, None]], axis=1).astype(np.float32)


def mirror_units(units: NDArray[np.float32], flip: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The labels of the mirror image where `flip`: left and right units change places and lateral its sign."""
    out = units.copy()
    out[flip, :34] = units[flip][:, MIRROR]
    out[flip, 34] *= -1
    return out


def mirror_pose(pose_deg: NDArray[np.float32], flip: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Yaw and roll change their signs where `flip`."""
    out = pose_deg.copy()
    out[flip] *= np.array([-1, 1, -1], dtype=np.float32)
    return out


def affectnet8(corpus: Corpus) -> NDArray[np.int64]:
    """Class numbers in the order of AFFECTNET8."""
    return BASIC_TO_AFFECTNET8[corpus.basic]


def valence_arousal(corpus: Corpus) -> NDArray[np.float32]:
    """(N, 2) in -1..1: the centre of the leading category, scaled by how strong the units are against their mean in that category.

    The corpus has no ratings; this is a stated convention and not a measurement of anyone's feeling.
    """
    centres = np.array([VALENCE_AROUSAL[name] for name in BASICS])
    strength = np.linalg.norm(corpus.units, axis=1)
    typical = np.array([strength[corpus.basic == i].mean() if (corpus.basic == i).any() else 1.0 for i in range(len(BASICS))])
    scale = np.clip(strength / np.maximum(typical[corpus.basic], 1e-6), 0, 1.4)
    return np.clip(centres[corpus.basic] * scale[:, None], -1, 1).astype(np.float32)
