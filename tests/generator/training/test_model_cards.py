from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator.training.model_cards import card_text, hours, rounded, write_model_cards
from manifests.errors import InputError

RECORD = {
    "name": "gate", "pictures": 4320, "identities": 720, "steps": 580, "batch_size": 96, "seconds": 361, "device": "2 CPU cores",
    "command": "facemint train gate --corpus CORPUS", "figures": {"eer": 0.061234, "bytes": 2128813.0},
}  # fmt: skip


def test_card_says_data_command_cost_figures_licence_and_limits():
    text = card_text("gate", RECORD)
    for part in ("4,320 portraits of 720 people", "`facemint train gate --corpus CORPUS`", "580 steps of 96 pictures, 6 minutes, 2 CPU cores",
                 "| eer | 0.0612 |", "| bytes | 2,128,813 |", "Apache-2.0", "MakeHuman CC0", "rendered people"):  # fmt: skip
        assert part in text


def test_cards_are_written_for_every_record_and_the_benchmark_goes_to_the_denoisers(tmp_path: Path):
    (tmp_path / "cards").mkdir()
    for name in ("gate", "sfsr"):
        (tmp_path / "cards" / f"{name}.json").write_text(json.dumps({**RECORD, "name": name}))
    evaluation = tmp_path / "evaluation.json"
    methods = {"facemint": {"psnr_hole_db": {"mean": 18.123}}, "exact target": {"psnr_hole_db": {"mean": None}}}
    evaluation.write_text(json.dumps({"data": {"quadruples": 150}, "methods": methods}))
    written = write_model_cards(tmp_path, tmp_path / "bundled", evaluation=evaluation)
    assert [path.name for path in written] == ["gate.md", "sfsr.md"]
    assert "| psnr hole db | 18.1 |  |" in written[1].read_text()
    assert "150 swaps" not in written[0].read_text()


def test_no_records_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no training records"):
        write_model_cards(tmp_path, tmp_path)


def test_durations_and_figures_read_well():
    assert [hours(s) for s in (40, 361, 9000)] == ["40 seconds", "6 minutes", "2.5 hours"]
    assert [rounded(v) for v in (3.0, 0.0612345, 12345.6, 18.126)] == ["3", "0.0612", "12346", "18.1"]
