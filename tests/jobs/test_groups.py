from __future__ import annotations

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.axes import Screenings, input_hashes, plan_spec
from jobs.config import RunConfig, config_from_text, config_from_words
from jobs.groups import choose_people, labels_hash, read_labels
from jobs.references import Reference, Screening
from jobs.sections import IdentitiesSection
from manifests.errors import ConfigError, InputError
from manifests.planner import Plan


def reference(file):
    name = file.split("/")[0].removesuffix(".png")
    return Reference(file=file, name=name, sha256="0" * 64, landmarks5_px=((1.0, 2.0),) * 5)


PEOPLE = ["ada.png", "bea/1.png", "bea/2.png", "carl.png", "dan.png", "eve.png", "fay.png"]
LABELS = {"ada": "female", "bea": "female", "carl.png": "male", "dan": "male", "eve": "female"}


@pytest.fixture
def screening():
    return Screening(usable=tuple(reference(file) for file in PEOPLE), unusable=())


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerows([["group", "person", "note"], *([group, person, "x"] for person, group in LABELS.items()), ["", "fay", ""]])
    return path


def section(labels, **groups):
    return IdentitiesSection(path="people", labels=str(labels), groups=groups)


def test_labels_are_read_from_csv_and_parquet(labels, tmp_path):
    table = pa.table({"person": [*LABELS, "fay"], "group": [*LABELS.values(), None]})
    pq.write_table(table, tmp_path / "labels.parquet")
    assert read_labels(labels) == read_labels(tmp_path / "labels.parquet") == LABELS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,group\nada,f\n", 'has no column "person" .columns: name, group.'),
        ("name,group\n", 'has no column "person"'),
        ("", 'has no column "person" .columns: none.'),
        ("person,group\nada,f\nada,m\n", 'row 2 puts "ada" into the group "m", an earlier row into "f"'),
    ],
)
def test_wrong_labels_are_said(tmp_path, text, reason):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_a_file_that_cannot_be_read_is_said(tmp_path, name):
    with pytest.raises(InputError, match="which is not a file"):
        labels_hash(tmp_path / name)
    (tmp_path / name).write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(InputError, match="can't be read as"):
        read_labels(tmp_path / name)


def test_people_of_each_group_are_taken_and_the_others_left_out_with_a_reason(screening, labels):
    chosen = choose_people(screening, section(labels, female=2, male=1), run_seed=1)
    groups = {item.name: item.group for item in chosen.usable}
    assert sorted(groups.values()) == ["female", "female", "male"]
    reasons = {item.file: item.reason for item in chosen.unusable}
    assert reasons["fay.png"] == f"it has no group in {labels}"
    assert set(reasons) | {item.file for item in chosen.usable} == set(PEOPLE)
    assert 'the quota of its group "male", 1, is filled by others' in reasons.values()


def test_all_pictures_of_a_person_are_taken_together(screening, labels):
    chosen = choose_people(screening, section(labels, female=3), run_seed=1)
    assert [item.file for item in chosen.usable] == ["ada.png", "bea/1.png", "bea/2.png", "eve.png"]
    assert {item.reason for item in chosen.unusable if item.file == "dan.png"} == {'its group "male" is not asked for'}


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_number_keeps_the_people_of_a_smaller_one(screening, labels, seed):
    def taken(count):
        return {item.name for item in choose_people(screening, section(labels, female=count), run_seed=seed).usable}

    assert taken(1) < taken(2) < taken(3)


def test_too_few_people_of_a_group_are_said(screening, labels):
    with pytest.raises(ConfigError, match='asks for 3 people of "male", but .* have 2 whose photographs can be used'):
        choose_people(screening, section(labels, male=3), run_seed=1)


def test_without_a_quota_labels_only_name_the_groups(screening, labels):
    chosen = choose_people(screening, section(labels), run_seed=1)
    assert {item.name: item.group for item in chosen.usable} == {"ada": "female", "bea": "female", "carl": "male", "dan": "male", "eve": "female", "fay": None}
    assert not chosen.unusable
    assert choose_people(screening, IdentitiesSection(path="people"), run_seed=1) is screening


def test_pictures_of_one_person_in_two_groups_are_said(screening, tmp_path):
    (tmp_path / "labels.csv").write_text("person,group\nbea/1.png,female\nbea/2.png,male\n")
    with pytest.raises(InputError, match='both show "bea". Label the person once'):
        choose_people(screening, section(tmp_path / "labels.csv"), run_seed=1)


def test_groups_travel_into_the_rows_and_keep_their_share_of_every_split(bundled, labels):
    people = tuple(Reference(**{**vars(reference(f"p{number}.png")), "group": "fm"[number % 2]}) for number in range(20))
    config = config_from_words(["identities.path=people", f"identities.labels={labels}", "expressions.words=[neutral]", "split.train=0.5", "split.test=0.5"])
    rows = Plan(plan_spec(config, Screenings(identities=Screening(usable=people, unusable=()), expressions=None, scenes=None))).rows(0, 20).to_pandas()
    assert rows.groupby(["identity_group", "split"]).size().tolist() == [5, 5, 5, 5]


def test_the_plan_depends_on_the_file_of_labels(labels, tmp_path):
    (tmp_path / "people").mkdir()
    config = config_from_words([f"identities.path={tmp_path / 'people'}", f"identities.labels={labels}"])
    before = input_hashes(config)
    labels.write_text("person,group\nada,x\n")
    assert {name for name, digest in input_hashes(config).items() if before[name] != digest} == {"file of identities.labels"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["identities.groups.f=2", "identities.sampled.count=4"], "sampled people carry no demographic label: the identity prior has none"),
        (["identities.groups.f=2", "identities.path=x"], "groups is given without identities.labels"),
        (["identities.groups.f=0", "identities.path=x", "identities.labels=y"], "identities.groups.f is 0, expected 1 or more"),
        (["identities.groups.f=many", "identities.path=x", "identities.labels=y"], 'identities.groups.f is "many", expected a whole number'),
        (["identities.groups=[f]"], "expected names with numbers"),
        (["identities.labels=y"], "labels is given without identities.path"),
        (["scenes.poses=[15,0]"], "expected rising degrees"),
    ],
)
def test_keys_that_do_not_go_together_are_said(words, reason):
    with pytest.raises(ConfigError, match=reason):
        config_from_words(words)


def test_quotas_survive_the_recipe_s_yaml():
    words = ["identities.path=x", "identities.labels=y", "identities.groups.f=2", "identities.groups.m=3", "expressions.views.contempt=8"]
    words.append("scenes.poses=[0,15]")
    config = config_from_words(words)
    assert config.identities.groups == {"f": 2, "m": 3} and config.expressions.views == {"contempt": 8} and config.scenes.poses == (0.0, 15.0)
    assert config_from_text(config.to_yaml(), "config.yaml") == config
    assert config.fingerprint() != config_from_words(words[:-1]).fingerprint() != RunConfig().fingerprint()
