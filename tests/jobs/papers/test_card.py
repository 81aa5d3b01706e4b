from __future__ import annotations

import re
import shutil

import datasets
import pytest
import yaml

from jobs.papers.release import Release, write_release
from manifests.records import CLASS_NAMES, LABEL_SCHEMA
from tests.jobs.coloured import ColouredSpec, fill
from tests.jobs.papers.conftest import papers_of

# The seven headings of Datasheets for Datasets (Gebru et al. 2021).
DATASHEET = ("Motivation", "Composition", "Collection process", "Preprocessing, cleaning, labelling", "Uses", "Distribution", "Maintenance")


@pytest.fixture(scope="module")
def card(run):
    return (run / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def head(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_the_head_has_what_hubs_read(card):
    expected = {"license", "task_categories", "tags", "size_categories", "annotations_creators", "source_datasets", "configs", "extra_gated_prompt"}
    assert expected <= head(card).keys() and head(card)["annotations_creators"] == ["machine-generated"]


def test_every_heading_of_a_datasheet_is_there(card):
    assert [heading for heading in DATASHEET if f"\n## {heading}\n" in card] == list(DATASHEET)


def test_the_folder_loads_as_a_data_set_with_a_split_each(run):
    loaded = datasets.load_dataset(str(run))
    assert set(loaded) == {"train", "validation"} and sum(loaded.num_rows.values()) == 24


def test_classes_lists_and_missing_values_have_their_types(run):
    features = datasets.load_dataset(str(run), "labels", split="train").features
    assert {name: features[name].names for name in CLASS_NAMES} == {name: list(names) for name, names in CLASS_NAMES.items()}
    assert isinstance(features["bbox"], datasets.List) and features["qc_gates_failed"].feature.dtype == "string"
    assert set(features) == set(LABEL_SCHEMA.names)


@pytest.mark.parametrize("name", ["rejected", "attempts", "slots"])
def test_every_other_config_loads(run, name):
    assert sum(datasets.load_dataset(str(run), name).num_rows.values()) > 0


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # of what mlcroissant 1.1 calls in newer versions of its packages
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")  # webdataset leaves files to the collector
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame:DeprecationWarning")
def test_every_snippet_of_the_card_runs(run, card, monkeypatch, tmp_path):
    monkeypatch.chdir(run)
    snippets = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    values = {}
    for snippet in snippets:
        code = compile(snippet, "README.md", "exec")
        run_snippet(code, values)
    assert len(snippets) == 4
    assert values["labels"]["train"].num_rows + values["labels"]["validation"].num_rows == 24
    assert len(values["table"]) == len(list(values["samples"])) and {"png", "json", "seg.png"} <= values["pictures"]["train"][0].keys()
    assert len(list(values["records"])) == 24


def run_snippet(code, values):
    import types

    module = types.ModuleType("snippet")
    module.__dict__.update(values)
    types.FunctionType(code, module.__dict__)()
    values.update(module.__dict__)


def test_without_statements_the_card_says_so(card):
    assert head(card)["license"] == "other" and "Licence of the data set: not stated by you." in card


def test_the_owners_statements_are_in_the_papers(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    write_release(folder, Release(licence="CC-BY-4.0", contact="faces@example.org", published="2026-12-01"))
    papers_of(folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert head(text)["license"] == "cc-by-4.0" and "withdrawal: faces@example.org." in text
    assert '"datePublished": "2026-12-01"' in (folder / "croissant.json").read_text(encoding="utf-8")


def test_photographs_need_rights_and_are_named_as_yours(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    papers_of(folder, "identities.sampled.count=0", "identities.path=/somewhere/friends", "scenes.from_identities=true")
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "must have\nthe right" in text or "must have the right" in text
    assert "compositeWithTrainedAlgorithmicMedia" in text
    assert '| photographs of people (identities.path) | yours | not stated by you | your "friends" |' in text and "/somewhere" not in text


def test_text_from_a_report_cannot_break_the_table(card):
    assert "| a / &lt;b> (accepted) | 0.500 cosine | 12 |" in card


def test_equal_runs_give_equal_papers(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert [path.read_bytes() for path in papers_of(folder)] == [(run / path.name).read_bytes() for path in papers_of(folder)]


def test_a_run_without_an_accepted_picture_has_papers(tmp_path):
    assert fill(tmp_path, spec=ColouredSpec(acceptance=0.0), max_attempts=1)
    papers_of(tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "no accepted pictures" in text and "0 accepted pictures of 24" in text
    assert sum(datasets.load_dataset(str(tmp_path), "rejected").num_rows.values()) == 24


def test_sizes_are_the_hubs_categories():
    from jobs.papers.card import _size

    assert [_size(count) for count in (0, 999, 1000, 123_456, 2 * 10**8)] == ["n<1K", "n<1K", "1K<n<10K", "100K<n<1M", "100M<n<1B"]
