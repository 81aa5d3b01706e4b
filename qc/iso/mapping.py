"""The mappings of ISO/IEC 29794-5:2025 from native measures to quality scalars 0 .. 100."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SigmoidMap:
    """h (a + s S(x; x0, w)), S the logistic function about x0 with width w, rounded half up and clipped."""

    h: float = 100.0
    a: float = 0.0
    s: float = 1.0
    x0: float
    w: float

    def __call__(self, x: float) -> float:
        """The scalar of a native value."""
        return scalar(self.h * (self.a + self.s * sigmoid(x, self.x0, self.w)))


def sigmoid(x: float, middle: float, width: float) -> float:
    """1 / (1 + exp((middle - x) / width))."""
    return 1 / (1 + math.exp(min(700.0, (middle - x) / width)))


def scalar(value: float) -> float:
    """A quality scalar: rounded half up, clipped to 0 .. 100."""
    return float(min(100, max(0, math.floor(value + 0.5))))


def _luminance_mean(x: float) -> float:
    return scalar(100 * sigmoid(x, 0.2, 0.05) * (1 - sigmoid(x, 0.8, 0.05)))


def _luminance_variance(x: float) -> float:
    return scalar(100 * math.sin(math.pi * 60 * x / (60 * x + 1)))


def _head_pose(degrees: float) -> float:
    return scalar(100 * max(0.0, math.cos(math.radians(degrees))) ** 2)


def _head_size(x: float) -> float:
    return SigmoidMap(h=200, a=1, s=-1, x0=0, w=0.05)(abs(x - 0.45))


# Component -> mapping. Luminance is linear light, 0 .. 1; distances are in units of the standard: inter-eye distances, or t, from the
# middle of the eyes to the chin.
MAPPINGS: Mapping[str, Callable[[float], float]] = {
    "background_uniformity": SigmoidMap(h=190, a=1, s=-1, x0=10, w=100),
    "illumination_uniformity": lambda x: scalar(100 * max(0.0, x) ** 0.3),
    "luminance_mean": _luminance_mean,
    "luminance_variance": _luminance_variance,
    "under_exposure": SigmoidMap(h=120, a=0.832, s=-1, x0=0.92, w=0.05),
    "over_exposure": lambda x: scalar(1 / (x + 0.01)),
    "dynamic_range": lambda x: scalar(12.5 * x),
    "natural_colour": SigmoidMap(h=200, a=1, s=-1, x0=0, w=10),
    "single_face": lambda x: scalar(100 * (1 - x)),
    "eyes_open": SigmoidMap(x0=0.02, w=0.01),
    "mouth_closed": SigmoidMap(a=1, s=-1, x0=0.2, w=0.06),
    "inter_eye_distance": SigmoidMap(x0=70, w=20),
    "head_size": _head_size,
    "leftward_crop": SigmoidMap(x0=0.9, w=0.1),
    "rightward_crop": SigmoidMap(x0=0.9, w=0.1),
    "margin_above": SigmoidMap(x0=1.4, w=0.1),
    "margin_below": SigmoidMap(x0=1.8, w=0.1),
    "head_yaw": _head_pose,
    "head_pitch": _head_pose,
    "head_roll": _head_pose,
}


def graded(component: str, native: float) -> dict[str, float]:
    """The two columns of a component: n_ its native value, q_ its scalar."""
    return {f"n_{component}": native, f"q_{component}": MAPPINGS[component](native)}
