from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from generator.training.ablations import ABLATIONS, loop_config
from jobs.ablations import CHECKS, COLUMNS, markdown, run_ablations, summary
from manifests.errors import ConfigError, InputError

ABOUT = {
    "data": {"quadruples": 9, "files": ["counterpart-000000.tar"]}, "core": {"name": "core", "sha256": {}}, "device": "a processor", "threads": 1,
    "batch_size": 8, "dtype": "bfloat16", "seed": 0, "versions": {"torch": "2"}, "sampler": {"kind": "dpm++", "steps": 2, "guidance": 2.0},
}  # fmt: skip
TITLES = {ablation.name: ablation.title for ablation in ABLATIONS}


def record(value: float) -> dict:
    return {**ABOUT, "methods": {"facemint": {column.key: {"mean": value, "low": value - 0.1, "high": value + 0.1} for column in COLUMNS}}}


def test_orders_go_by_which_way_is_better_and_say_whether_intervals_overlap():
    records = {ablation.name: record(0.5) for ablation in ABLATIONS} | {"no_background": record(0.9), "no_third_encoder": record(0.45)}
    checks = {(check["than"], check["key"]): check for check in summary(records, TITLES, loop_config())["checks"]}
    assert len(checks) == len(CHECKS)
    pose, third, second = (
        checks[key]
        for key in (
            ("no_background", "pose_error_deg"),
            ("no_third_encoder", "auditor.cosine_identity"),
            ("no_second_encoder", "auditor.cosine_identity"),
        )
    )
    assert (pose["holds"], pose["intervals_apart"]) == (True, True)  # a lower error is better
    assert (third["holds"], third["intervals_apart"]) == (True, False)
    assert not second["holds"]  # equal is not better


def test_lower_cosine_than_a_single_encoders_is_no_success():
    records = {ablation.name: record(0.5) for ablation in ABLATIONS} | {"first_encoder_alone": record(0.9)}
    first = summary(records, TITLES, loop_config())["checks"][0]
    assert (first["than"], first["holds"]) == ("first_encoder_alone", False)


def test_page_has_a_line_for_each_training_and_for_each_order():
    page = markdown(summary({ablation.name: record(0.5) for ablation in ABLATIONS}, TITLES, loop_config(7)))
    assert all(f"| {title} |" in page for title in TITLES.values())
    assert all(check.says in page for check in CHECKS)
    assert "7 steps of 24" in page and "dpm++, 2 steps" in page


def test_folder_without_quadruples_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no counterpart"):
        run_ablations(tmp_path, tmp_path / "work")


def test_unknown_key_is_refused_before_anything_is_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="stepps"):
        run_ablations(tmp_path, tmp_path / "work", ["stepps=3"], data=[tmp_path / "counterpart-000000.tar"])


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves shards to the garbage collector
def test_two_lines_are_trained_and_measured_and_the_same_command_makes_nothing_anew(shared: Path, tmp_path: Path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("cg-000000.tar", "counterpart-000000.tar"):
        (corpus / name).symlink_to(shared / "corpus" / "shards" / name)
    threads = torch.get_num_threads()
    lines: list[str] = []
    arguments = (corpus, tmp_path / "work", ["steps=1", "batch_size=2", "sampler.steps=2"])
    try:
        found = run_ablations(*arguments, limit=3, lines=ABLATIONS[:2], threads=1, say=lines.append)
        assert set(found["figures"]) == {"full", "no_background"}
        assert json.loads((tmp_path / "work" / "ablations" / "ablations.json").read_text()) == found
        lines.clear()
        assert run_ablations(*arguments, limit=3, lines=ABLATIONS[:2], threads=1, say=lines.append) == found
    finally:
        torch.set_num_threads(threads)
    assert sum("trained already" in line or "measured already" in line for line in lines) == 4
