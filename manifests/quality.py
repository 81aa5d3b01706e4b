"""The label columns of face image quality: ISO/IEC 29794-5-style components, artefact measures of our own, and the rank of the identity."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class QualityColumns:
    """q_ scalar 0 .. 100 and n_ native value of each component; None: not measured. Units are those of the checks that measure them."""

    q_luminance_mean: int | None = None
    n_luminance_mean: float | None = None
    q_under_exposure: int | None = None
    n_under_exposure: float | None = None
    q_over_exposure: int | None = None
    n_over_exposure: float | None = None
    q_dynamic_range: int | None = None
    n_dynamic_range: float | None = None
    q_sharpness: int | None = None
    n_sharpness: float | None = None
    q_background_uniformity: int | None = None
    n_background_uniformity: float | None = None
    q_illumination_uniformity: int | None = None
    n_illumination_uniformity: float | None = None
    q_luminance_variance: int | None = None
    n_luminance_variance: float | None = None
    q_natural_colour: int | None = None
    n_natural_colour: float | None = None
    q_single_face: int | None = None
    n_single_face: float | None = None
    q_eyes_open: int | None = None
    n_eyes_open: float | None = None
    q_mouth_closed: int | None = None
    n_mouth_closed: float | None = None
    q_inter_eye_distance: int | None = None
    n_inter_eye_distance: float | None = None
    q_head_size: int | None = None
    n_head_size: float | None = None
    q_leftward_crop: int | None = None
    n_leftward_crop: float | None = None
    q_rightward_crop: int | None = None
    n_rightward_crop: float | None = None
    q_margin_above: int | None = None
    n_margin_above: float | None = None
    q_margin_below: int | None = None
    n_margin_below: float | None = None
    q_head_yaw: int | None = None  # their native values are obs_yaw, obs_pitch, obs_roll
    q_head_pitch: int | None = None
    q_head_roll: int | None = None
    obs_identity_rank: int | None = None  # of the asked-for identity among all of the run, by the gate; 1 is nearest
    n_colour_cast: float | None = None  # of the kept background against the scene, CIELAB units
    n_blockiness: float | None = None  # 1: no 8 x 8 blocks
    n_seam: float | None = None  # grey levels a px along the mask's edge, more than in the scene


QUALITY_COLUMNS = tuple(field.name for field in dataclasses.fields(QualityColumns))
