from __future__ import annotations

import shutil

import pytest
from click.testing import CliRunner

from jobs.cli import main
from manifests.ledger import read_ledger


@pytest.mark.parametrize(("held", "role"), [("auditor", "auditor"), ("identity_arc", "conditioner"), ("expression_encoder", "conditioner")])
def test_a_pack_with_a_model_of_another_role_is_refused_with_both_names(bundled, tmp_path, held, role):
    pack, people = tmp_path / "pack", tmp_path / "people"
    pack.mkdir()
    people.mkdir()
    shutil.copy(read_ledger(bundled).path(held), pack / "w600k.onnx")
    words = ["plan", "photos", "--out", str(tmp_path / "out"), f"models.pack={pack}", f"identities.path={people}"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert f'{role} "{held}" and gate "pack/w600k.onnx" are the same model' in result.output
    assert not (tmp_path / "out" / "config.yaml").exists()
