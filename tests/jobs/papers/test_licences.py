from __future__ import annotations

import pytest
from click.testing import CliRunner

from jobs.bundle import BUNDLED
from jobs.cli import main
from jobs.config import config_from_words
from jobs.files import read_json
from jobs.papers.licences import licence_entries
from jobs.papers.release import Release, read_release
from jobs.papers.statements import state
from manifests.errors import ConfigError, InputError
from manifests.ledger import read_ledger

SAMPLED = "identities.sampled.count=2"


def entries(*words, release=None):
    return {entry["component"]: entry for entry in licence_entries(config_from_words(words), release or Release())}


def test_every_bundled_weight_and_bank_is_listed_with_licence_source_and_hash(bundled):
    found = entries(SAMPLED)
    for weight in read_ledger(BUNDLED).weights:
        assert (found[weight.name]["licence"], found[weight.name]["sha256"]) == (weight.licence, weight.sha256) and found[weight.name]["source"]


def test_packages_are_listed_with_what_they_declare(bundled):
    found = entries(SAMPLED)
    assert found["pandas"]["kind"] == "package" and "BSD" in found["pandas"]["licence"] and found["pandas"]["version"]


def test_an_own_core_takes_the_bundled_ones_place(bundled):
    found = entries(SAMPLED, "models.core=/mine/core")
    assert found["weights of the core (models.core)"]["licence"] == "not stated by you" and "core/unet/config" not in found


def test_a_stated_licence_of_an_input_is_listed(bundled):
    release = Release(licences={"identities.path": "own photographs, all agreed"})
    assert entries("identities.path=/x/faces", release=release)["photographs of people (identities.path)"]["licence"] == "own photographs, all agreed"


def test_statements_are_kept_and_added_to(tmp_path):
    state(tmp_path, {"licence": "cc0-1.0", "contact": ""}, ["scenes.path=CC0"])
    state(tmp_path, {"licence": "", "contact": "me"}, [])
    assert read_release(tmp_path) == Release(licence="cc0-1.0", contact="me", licences={"scenes.path": "CC0"})


def test_without_statements_nothing_is_written(tmp_path):
    state(tmp_path, {"licence": ""}, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["identities.path", "identities.path=", "seed=1"])
def test_a_word_that_is_no_licence_is_refused(tmp_path, word):
    with pytest.raises(ConfigError, match="expected KEY=TEXT"):
        state(tmp_path, {}, [word])


def test_a_date_that_is_none_is_refused():
    with pytest.raises(InputError, match="expected a date"):
        Release(published="yesterday")


def test_the_papers_list_equals_the_file(run):
    written = {entry["component"] for entry in read_json(run / "licences.json")}
    assert {"facemint", "gate", "auditor", "torch"} <= written


def test_report_takes_the_statements(tmp_path):
    result = CliRunner().invoke(main, ["report", str(tmp_path), "--licence-of", "nothing"])
    assert result.exit_code == 2
