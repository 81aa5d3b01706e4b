"""The judge that a recipe asks for: its face pack, its limits, and the identity threshold at the stated false-match rate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from jobs.bundle import BUNDLED, SCENE_BANK
from jobs.config import RunConfig, flatten
from jobs.images import decode_rgb
from manifests.ledger import read_ledger
from qc.calibration import CALIBRATION_FILE, Calibration, calibrate_corpus, calibrate_folder, find_calibration, read_calibrations
from qc.checks import CHECKS, Check
from qc.expression import ExpressionEstimator
from qc.judge import Judge, JudgeConfig
from qc.packs import FacePack, bundled_pack, insightface_pack
from qc.recognition import Recogniser


def open_pack(config: RunConfig) -> FacePack:
    """The face finder and the identity gate: the bundled ones, or those of an insightface pack."""
    pack = config.models.pack
    return insightface_pack(Path(pack), threads=config.threads) if pack else bundled_pack(BUNDLED, threads=config.threads)


def calibrate_gate(config: RunConfig, pack: FacePack) -> Calibration:
    """The gate's threshold at the recipe's false-match rate.

    From the folder of photographs that the recipe names; without one a pack of the user's is calibrated on the bundled scenes,
    portraits of 72 rendered people, and the bundled gate has been calibrated already.
    """
    if config.qc.calibration:
        calibrations = calibrate_folder(Path(config.qc.calibration), pack.detector, pack.recogniser, targets=[config.qc.gate_fmr])
    elif config.models.pack:
        scenes = pq.read_table(SCENE_BANK, columns=["scene_id", "image", "landmarks5"]).to_pylist()
        calibrations = calibrate_corpus(
            [decode_rgb(scene["image"]) for scene in scenes],
            [np.reshape(scene["landmarks5"], (5, 2)) for scene in scenes],
            [scene["scene_id"] for scene in scenes],
            pack.recogniser,
            source=f"the bundled scenes, portraits of {len(scenes)} rendered people",
            targets=[config.qc.gate_fmr],
        )
    else:
        calibrations = read_calibrations(BUNDLED / CALIBRATION_FILE)
    return find_calibration(calibrations, pack.recogniser.sha256, config.qc.gate_fmr).require()


def open_judge(config: RunConfig, *, min_cosine: float, pack: FacePack | None = None) -> Judge:
    """A judge with all nets loaded, whose identity check refuses cosines below `min_cosine`."""
    pack = pack or open_pack(config)
    return Judge(
        JudgeConfig(checks=checks_of(config, min_cosine), rejecting=config.qc.rejecting),
        detector=pack.detector,
        gate=pack.recogniser,
        auditor=Recogniser(BUNDLED / "recognisers" / "auditor.onnx", name="auditor", threads=config.threads),
        estimator=ExpressionEstimator(BUNDLED / "expression" / "expression_estimator.onnx", threads=config.threads),
        conditioners={weight.name: weight.sha256 for weight in read_ledger(BUNDLED).with_role("conditioner")},
    )


def checks_of(config: RunConfig, min_cosine: float) -> tuple[Check, ...]:
    """The checks with the recipe's limits."""
    changed: dict[str, dict[str, object]] = {"identity": {"min_cosine": min_cosine, "source": f"false-match rate {config.qc.gate_fmr:g}"}}
    for key, value in flatten(config.qc.limits).items():
        check = max((check.name for check in CHECKS if key.startswith(f"{check.name}_")), key=len)  # identity_rank_..., not identity_...
        if value is not None:
            changed.setdefault(check, {})[key[len(check) + 1 :]] = value
    return tuple(dataclasses.replace(check, **changed.get(check.name, {})) for check in CHECKS)  # type: ignore[type-var]
