"""Does the head look where the background's person looked: angle between the two head rotations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qc.checks.context import CheckContext, QCRequest, measured
from qc.iso.mapping import MAPPINGS


@dataclass(frozen=True, kw_only=True)
class PoseCheck:
    """Refuses heads that are turned away from the requested pose."""

    max_angle_deg: float = 15.0
    name: str = "pose"
    unit: str = "deg"
    source: str = "our own: three times the 5 degrees that generators controlled by pose aim at, because the estimator errs too"

    def measure(self, image_rgb: NDArray[np.uint8], context: CheckContext) -> dict[str, float]:
        """Yaw, pitch, roll, and the angle to the request."""
        reading, request = context.reading, context.request
        if reading is None:
            return {}
        values = {"obs_yaw": reading.yaw_deg, "obs_pitch": reading.pitch_deg, "obs_roll": reading.roll_deg}
        values |= {f"q_head_{name[4:]}": MAPPINGS[f"head_{name[4:]}"](angle) for name, angle in values.items()}
        if request.pose_deg is not None:
            values["pose_error"] = pose_angle_deg(reading.pose_deg, request.pose_deg)
        return values

    def judge(self, measurements: Mapping[str, float], request: QCRequest) -> str | None:
        """Turned too far."""
        angle = measured(measurements, "pose_error")
        return "pose" if angle is not None and angle > self.max_angle_deg else None

    def limit(self) -> str:
        """The limit as people read it."""
        return f"at most {self.max_angle_deg:g} degrees"


def pose_angle_deg(first_deg: Sequence[float], second_deg: Sequence[float]) -> float:
    """Angle of the rotation that takes one head pose (yaw, pitch, roll) to another."""
    trace = float(np.trace(_rotation(first_deg).T @ _rotation(second_deg)))
    return math.degrees(math.acos(min(1.0, max(-1.0, (trace - 1) / 2))))


def _rotation(pose_deg: Sequence[float]) -> NDArray[np.float64]:
    yaw, pitch, roll = (math.radians(angle) for angle in pose_deg)
    cy, sy, cp, sp, cr, sr = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
