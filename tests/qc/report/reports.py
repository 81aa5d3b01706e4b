"""Inputs of a small drawn report, for tests of its sections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from manifests.ledger import Weight
from manifests.vocabulary import AFFECTNET8
from qc.calibration import Calibration
from qc.report.inputs import Embedded, Gallery, People, Reference, ReportInputs, reason_bits

PEOPLE = ("ann", '<script>alert("x")</script>', "eve", "zoe")
WIDTH = 16


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def inputs(**changed: Any) -> ReportInputs:
    """Four people x eight expressions x two views; slot 0's first attempt shows another person, slot 63 stays empty, slot 62 is set aside."""
    draw = np.random.default_rng(0)
    slots, attempts = [], []
    for slot in range(64):
        status = {62: "quarantined", 63: "unfilled"}.get(slot, "filled")
        slots.append({"slot": slot, "split": "test" if slot // 16 == 3 else "train", "identity_id": PEOPLE[slot // 16], "expression": AFFECTNET8[slot % 8],
                      "scene_id": f"scene-{slot % 6}", "identity_group": None, "pose_bin": "", "status": status})  # fmt: skip
        for attempt in range(0 if slot == 62 else 2 if slot in (0, 63) else 1):
            failed = ["identity", "pose"] if (slot, attempt) == (0, 0) else ["expression"] if slot == 63 else []
            row: dict[str, Any] = {"slot": slot, "attempt": attempt, "seed": 1000 + slot, "accepted": not failed, "reasons": reason_bits(failed)}
            row |= {
                "sim_gate_ref": draw.uniform(0.3, 0.8),
                "sim_audit_ref": draw.uniform(0.2, 0.7),
                "landmark5_x0": 40.0,
                "face_count": 1.0,
                "second_face_area": 0.0,
            }
            row |= {f"obs_prob_{name}": 0.93 if name == AFFECTNET8[slot % 8] else 0.01 for name in AFFECTNET8}
            row |= {"obs_valence": draw.uniform(-1, 1), "obs_arousal": draw.uniform(-1, 1), "obs_yaw": draw.normal(0, 20), "obs_pitch": draw.normal(0, 5)}
            row |= {"expression_error": 0.1, "expression_error_share": 0.6, "pose_error": 4.0, "n_sharpness": 50.0, "q_sharpness": 50.0, "n_made_up": 1.0}
            attempts.append(row)
    frame = pd.DataFrame(attempts)
    kept = int(frame["accepted"].sum())
    labels = pd.DataFrame({"file_hash": np.arange(kept, dtype=np.uint64), "pixel_hash": np.arange(kept, dtype=np.uint64),
                           "phash64": draw.integers(0, 1 << 63, kept, dtype=np.uint64), "has_phash": True, "req_valence": draw.uniform(-1, 1, kept),
                           "req_arousal": draw.uniform(-1, 1, kept), "req_yaw": draw.normal(0, 20, kept), "req_pitch": 0.0})  # fmt: skip
    values: dict[str, Any] = {
        "title": "A run & its <report>",
        "command": "facemint run demo.yaml --out runs/demo",
        "created": "2025-01-31",
        "config_sha256": "c" * 64,
        "manifest_sha256": "d" * 64,
        "bundle_id": "bundle",
        "version": "0.1.0",
        "seed": 1,
        "seconds": None,
        "slots": pd.DataFrame(slots),
        "uncommitted": 0,
        "attempts": frame,
        "labels": labels,
        "embedded": embedded(frame),
        "people": People(identity_ids=PEOPLE, gate=references(1), auditor=references(2)),
        "gallery": gallery(),
        "reference": Reference(source="drawn portraits", auditor=unit(draw.standard_normal((40, WIDTH)))),
        "classes": {name: name for name in AFFECTNET8},
        "calibration": Calibration(threshold=0.3, target_fmr=0.05, achieved_fmr=0.05, fnmr=0.1, num_identities=60, num_comparisons=9000, estimable=True,
                                   model_sha256="a" * 64, source="drawn"),
        "models": [Weight(name="gate", file="gate.onnx", sha256="b" * 64, role="gate", licence="Apache-2.0", source="ours", bytes=1)],
        "versions": {"numpy": "2"},
    }  # fmt: skip
    return ReportInputs(**{**values, **changed})


def references(seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((len(PEOPLE), WIDTH)))


def embedded(frame: pd.DataFrame, **changed: Any) -> Embedded:
    """Every attempt near the reference of its person; the first attempt of slot 0 near the next person's."""
    draw, rows = np.random.default_rng(3), np.arange(len(frame))
    own = frame["slot"].to_numpy() // 16
    own[0] = 1
    values: dict[str, Any] = {
        "row": rows,
        "gate": unit(references(1)[own] + 0.1 * draw.standard_normal((len(rows), WIDTH))),
        "auditor": unit(references(2)[own] + 0.1 * draw.standard_normal((len(rows), WIDTH))),
        "pixels": unit(draw.standard_normal((len(rows), 48))),
        "background": draw.random((len(rows), 12)).astype(np.float32),
        "file_bytes": draw.integers(4000, 9000, len(rows)),
        "phash64": draw.integers(0, 1 << 63, len(rows), dtype=np.uint64),
        "mirrored_phash64": draw.integers(0, 1 << 63, len(rows), dtype=np.uint64),
        "phash256": draw.integers(0, 256, (len(rows), 32), dtype=np.uint8),
        "mirrored_phash256": draw.integers(0, 256, (len(rows), 32), dtype=np.uint8),
    }
    return Embedded(**{**values, **changed})


def gallery(**changed: Any) -> Gallery:
    draw = np.random.default_rng(5)
    values: dict[str, Any] = {
        "source": "drawn people",
        "identity_ids": [f"real-{k}" for k in range(300)],
        "held_out": np.arange(300) >= 200,
        "gate": unit(draw.standard_normal((300, WIDTH))),
        "auditor": unit(draw.standard_normal((300, WIDTH))),
        "phash64": draw.integers(0, 1 << 63, 600, dtype=np.uint64),
        "phash256": draw.integers(0, 256, (600, 32), dtype=np.uint8),
        "phash_owner": np.repeat(np.arange(300), 2),
    }
    return Gallery(**{**values, **changed})
