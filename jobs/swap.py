"""One picture from three photographs: the identity of one, the expression of another, in the place and pose of the third."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jobs.bundle import core_folder, core_size
from jobs.conditions import AUDITOR, GATE
from jobs.config import RunConfig
from jobs.files import write_whole
from jobs.judging import calibrate_gate, open_judge, open_pack
from jobs.marking.marker import marker_of
from jobs.models import PortraitReading, ReferenceNets
from jobs.references import LIMITS
from manifests.errors import InputError
from manifests.rows import ConditionBatch
from qc.checks import QCRequest
from qc.images import require_picture
from qc.packs import FacePack


def swap_pictures(config: RunConfig, *, identity: Path, expression: Path, background: Path, out: Path) -> list[str]:
    """Writes the aligned portrait as PNG and returns the verdict and its figures as lines of text."""
    import torch

    from generator.loading import load_core
    from generator.sampler import SamplerConfig

    torch.set_num_threads(config.threads)
    pack = open_pack(config)
    nets = ReferenceNets(pack, size=core_size(config.models), threads=config.threads)
    person, shown, scene = (_read(path, what, pack, nets) for path, what in ((identity, "identity"), (expression, "expression"), (background, "background")))
    core = load_core(core_folder(config.models), device=config.device, dtype=config.models.dtype)
    conditions = ConditionBatch(
        identity_embeddings={name: person.embeddings[name][None] for name in core.conditions.config.identity_dims},
        expression_embedding=shown.expression[None],
        background_rgb=scene.image_rgb[None],
        face_mask=scene.face_mask[None],
    )
    sampler = SamplerConfig(kind=config.sampler.kind, steps=config.sampler.steps, guidance=config.sampler.guidance)
    image = core.generate(conditions, np.array([config.seed], dtype=np.int64), sampler)[0]
    judge = open_judge(config, min_cosine=calibrate_gate(config, pack).threshold, pack=pack)
    (seen_background,) = judge.observe([scene.image_rgb])
    request = QCRequest(
        gate_reference=person.embeddings[GATE],
        audit_reference=person.embeddings[AUDITOR],
        units=shown.units,
        affectnet8=None,
        pose_deg=scene.pose_deg,
        landmarks5_px=scene.landmarks5_px,
        background_sharpness=seen_background.sharpness,
    )
    (verdict,) = judge.judge(image[None], [request])
    write_whole(out, marker_of(config).encode(image, "png", photograph=True))
    lines = [f"wrote {out}, {image.shape[1]} x {image.shape[0]} px", "accepted" if verdict.accepted else f"rejected: {', '.join(verdict.reasons)}"]
    return lines + [f"{name:24} {value:8.3f}" for name, value in sorted(verdict.measurements.items()) if not name.startswith("obs_prob_")]


def _read(path: Path, what: str, pack: FacePack, nets: ReferenceNets) -> PortraitReading:
    picture = require_picture(path, LIMITS)
    faces = pack.detector.detect(picture.image_rgb)
    if len(faces) != 1:
        raise InputError(f"swap: the {what} picture {path} has {len(faces)} faces, expected exactly one. Crop it to one person.")
    return nets.read(picture.image_rgb, faces[0].landmarks5_px)
