from __future__ import annotations

import dataclasses
import json

import pytest

from manifests.errors import RoleError, WeightsError
from manifests.ledger import Ledger, check_roles, read_ledger, verify_ledger, weigh, write_ledger


def enter(folder, name, role, content):
    (folder / f"{name}.onnx").write_bytes(content)
    return weigh(folder, f"{name}.onnx", name=name, role=role, licence="Apache-2.0", source="made by the test")


@pytest.fixture
def ledger(tmp_path):
    weights = (enter(tmp_path, "gate", "gate", b"g" * 50), enter(tmp_path, "auditor", "auditor", b"a" * 50), enter(tmp_path, "core", "core", b"c" * 50))
    return Ledger(folder=tmp_path, weights=weights)


def test_a_ledger_reads_back_as_written_in_the_order_of_names(ledger):
    write_ledger(ledger)
    again = read_ledger(ledger.folder)
    assert [weight.name for weight in again.weights] == ["auditor", "core", "gate"]
    assert set(again.weights) == set(ledger.weights)
    assert set(json.loads((ledger.folder / "weights.json").read_text())[0]) == {"name", "file", "sha256", "role", "licence", "source", "bytes"}


def test_untouched_files_verify(ledger):
    verify_ledger(ledger)


def test_one_changed_byte_is_found(ledger):
    path = ledger.path("gate")
    path.write_bytes(b"g" * 49 + b"h")
    with pytest.raises(WeightsError, match='"gate".*has sha256'):
        verify_ledger(ledger)


def test_a_short_file_is_found(ledger):
    ledger.path("core").write_bytes(b"c")
    with pytest.raises(WeightsError, match='"core".*has 1 bytes, expected 50'):
        verify_ledger(ledger)


def test_a_missing_file_is_found(ledger):
    ledger.path("core").unlink()
    with pytest.raises(WeightsError, match="does not exist"):
        verify_ledger(ledger)


def test_lookups_by_name_and_role(ledger):
    assert ledger.path("gate").read_bytes() == b"g" * 50
    assert [weight.name for weight in ledger.with_role("auditor")] == ["auditor"]
    assert ledger.hashes()["core"] == ledger.find("core").sha256
    with pytest.raises(WeightsError, match='has no "prior"; it has gate, auditor, core'):
        ledger.find("prior")


def test_three_different_models_may_hold_the_three_roles(ledger):
    check_roles(ledger.weights)


@pytest.mark.parametrize(("first", "second"), [("conditioner", "gate"), ("conditioner", "auditor"), ("gate", "auditor")])
def test_one_model_may_not_hold_two_roles_even_under_two_names(tmp_path, first, second):
    weights = [enter(tmp_path, "one", first, b"same"), enter(tmp_path, "other", second, b"same")]
    with pytest.raises(RoleError, match=f'{first} "one" and {second} "other" are the same model'):
        check_roles(weights)


def test_one_model_may_hold_a_role_twice_and_any_other_roles(tmp_path):
    check_roles([enter(tmp_path, "one", "gate", b"same"), enter(tmp_path, "two", "gate", b"same"), enter(tmp_path, "three", "detector", b"same")])


def test_a_file_may_not_leave_the_folder(ledger):
    for file in ("../gate.onnx", "/etc/hostname", ""):
        with pytest.raises(WeightsError, match="below the folder"):
            dataclasses.replace(ledger.weights[0], file=file)


def test_unknown_roles_and_broken_hashes_are_refused(ledger):
    with pytest.raises(WeightsError, match="role of"):
        dataclasses.replace(ledger.weights[0], role="judge")
    with pytest.raises(WeightsError, match="sha256 of"):
        dataclasses.replace(ledger.weights[0], sha256="ABC")


def test_a_name_twice_is_refused(ledger):
    with pytest.raises(WeightsError, match='names "gate" twice'):
        Ledger(folder=ledger.folder, weights=(ledger.weights[0], ledger.weights[0]))


@pytest.mark.parametrize(("text", "reason"), [("{", "is not JSON"), ('[{"name": "x"}]', "other keys"), ('[{"nom": "x"}]', "other keys")])
def test_a_broken_ledger_is_named(tmp_path, text, reason):
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(WeightsError, match=reason):
        read_ledger(tmp_path)


def test_a_folder_without_a_ledger_is_named(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        read_ledger(tmp_path)


def test_a_file_that_is_not_there_can_not_be_entered(tmp_path):
    with pytest.raises(WeightsError, match="can't be entered"):
        weigh(tmp_path, "x.onnx", name="x", role="gate", licence="-", source="-")
