from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from generator.identity_prior import sample_identities
from jobs.attempts import Attempt
from jobs.axes import Screenings, plan_spec, sampled_name
from jobs.bundle import IDENTITY_PRIOR
from jobs.cli import main
from jobs.conditions import ConditionTables, read_tables
from jobs.config import RunConfig, config_from_words
from jobs.drawing import draw_attempts
from jobs.eyes import look, open_eyes
from jobs.prepare import prepare_tables
from jobs.previews import preview_rows
from jobs.proof_pictures import ProofPictures
from jobs.proofs import Proofs, proofs_of
from jobs.sections import SampledSection
from manifests.planner import Plan

WORDS = ("identities.sampled.count=3", "identities.sampled.proofs=2", "sampler.kind=consistency", "sampler.steps=1", "models.dtype=bfloat16")
NO_FOLDERS = Screenings(identities=None, expressions=None, scenes=None)


def recipe(*words: str) -> RunConfig:
    return config_from_words([*WORDS, "expressions.words=[neutral,joy]", *words])


def plan_of(config: RunConfig) -> Plan:
    return Plan(plan_spec(config, NO_FOLDERS))


def candidate(number: int) -> dict[str, np.ndarray]:
    return {name: rows[number] for name, rows in sample_identities(IDENTITY_PRIOR, 4, 0).items()}


@pytest.fixture(scope="module")
def judged(bundled) -> tuple[Proofs, list[bool]]:
    """Proofs that were asked about a person, about the same one again, and about others."""
    proofs = Proofs(recipe("qc.gallery=null"))
    return proofs, [proofs.accepts(candidate(number)) for number in (0, 0, 1, 2, 3)]


def test_somebody_who_is_there_already_is_refused(judged):
    proofs, answers = judged
    assert not answers[1]
    assert proofs.record()["looks"][0]["refused"]["earlier_person"] >= answers[0]


def test_record_counts_everybody_once(judged):
    proofs, answers = judged
    record = proofs.record()
    assert record["candidates"] == len(answers) == record["people"] + sum(record["looks"][0]["refused"].values())
    assert record["people"] == sum(answers) >= 2
    assert f"{sum(answers)} people of 5 candidates by 2 proofs each" in proofs.line()


def test_those_taken_keep_below_the_limit(judged):
    record = judged[0].record()
    assert record["looks"][0]["max_cosine"] < record["looks"][0]["limit"] < 1
    assert record["training_limit"] < 1


def test_the_same_question_has_the_same_answer(judged):
    again = Proofs(recipe())
    assert [again.accepts(candidate(number)) for number in (0, 0, 1, 2, 3)] == judged[1]
    assert again.record() == judged[0].record()


def test_a_choice_that_was_killed_goes_on_without_drawing_again(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.proofs.TOLD_EVERY_S", 0.0)
    kept = tmp_path / "unfinished.json"
    first = Proofs(recipe(), kept=kept, key="a")
    said = [first.accepts(candidate(number)) for number in (0, 1)]
    again = Proofs(recipe(), kept=kept, key="a")
    assert [again.accepts(candidate(number)) for number in (0, 1)] == said and again._pictures is None
    assert again.accepts(candidate(2)) == first.accepts(candidate(2)) and again.record() == first.record()
    other = Proofs(recipe(), kept=kept, key="b")
    assert other.accepts(candidate(0)) == said[0] and other._pictures is not None
    again.close()
    assert not kept.exists()


def test_answers_about_somebody_else_are_not_taken_up(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.proofs.TOLD_EVERY_S", 0.0)
    kept = tmp_path / "unfinished.json"
    Proofs(recipe(), kept=kept).accepts(candidate(0))
    again = Proofs(recipe(), kept=kept)
    again.accepts(candidate(1))
    assert again._pictures is not None and again.record()["candidates"] == 1


def test_who_looks_like_a_training_person_is_refused(bundled, tmp_path):
    """The gallery of a recipe that holds the very faces of the candidate."""
    centre = ProofPictures(recipe()).proofs(candidate(0))
    assert centre is not None
    proofs = Proofs(recipe(f"qc.gallery={write_gallery(tmp_path / 'gallery.parquet', centre)}"))
    assert not proofs.accepts(candidate(0))
    assert proofs.record()["looks"][0]["refused"] == {"no_face": 0, "training_person": 1, "earlier_person": 0}


def write_gallery(path, centre):
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    others = draw.standard_normal((1100, len(centre)))
    rows = np.concatenate([others / np.linalg.norm(others, axis=1, keepdims=True), centre[None]]).astype(np.float32)
    sets = ["held-out"] * 50 + ["training"] * (len(rows) - 50)
    pq.write_table(pa.table({"identity_id": [f"p{i}" for i in range(len(rows))], "set": sets, "auditor": rows.tolist()}), path)
    return path


@pytest.mark.parametrize("words", [("identities.sampled.proofs=0", "identities.sampled.previews=0"), ("identities.sampled.count=0",), ("mode=reenact",)])
def test_some_recipes_need_no_proofs(words):
    assert proofs_of(recipe(*words), plan_of(recipe())) is None


def tables_of(config: RunConfig, proofs: Proofs | None = None) -> ConditionTables:
    def no_nets():
        raise AssertionError("there are no photographs")

    return prepare_tables(config, plan_of(config).spec, NO_FOLDERS, no_nets, proofs=proofs)


def test_previews_are_the_first_attempts_that_a_run_makes(bundled, monkeypatch):
    """The very pixels: drawn of a person of a run, in batches as long as its rows, they have the embeddings' mean that decides."""
    config = recipe("identities.sampled.previews=2")
    rows = preview_rows(plan_of(config), [sampled_name(0)], 2)[sampled_name(0)]
    tables = tables_of(dataclasses.replace(config, identities=dataclasses.replace(config.identities, sampled=SampledSection(count=3))))
    attempts = [Attempt(row=row, attempt=0, seed=row.seed(config.seed, 0)) for row in rows]
    seen = look(open_eyes(None)[0], draw_attempts(dataclasses.replace(config, batch_size=2), tables, attempts, tick=lambda done: None))
    shown = [expression for references in tables.expressions.values() for expression in references]
    centre = ProofPictures(config).previews(tables.people[sampled_name(0)].embeddings, rows, shown, list(tables.scenes.values()))
    assert centre is not None
    mean = seen.embeddings.sum(axis=0)
    assert np.allclose(centre, mean / np.linalg.norm(mean), atol=1e-6)


def test_people_are_apart_on_previews_too_and_a_killed_choice_has_them(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.proofs.TOLD_EVERY_S", 0.0)
    config, kept = recipe("identities.sampled.proofs=1", "identities.sampled.previews=2"), tmp_path / "unfinished.json"
    first = proofs_of(config, plan_of(config), kept=kept)
    assert first is not None
    tables = tables_of(config, first)
    record = first.record()
    assert [each["name"] for each in record["looks"]] == ["proofs", "previews"] and record["people"] == 3
    assert all(each["max_cosine"] < each["limit"] for each in record["looks"])
    again = proofs_of(config, plan_of(config), kept=kept)
    assert again is not None and list(tables_of(config, again).people) == list(tables.people) and again._pictures is None
    assert again.record() == record


def test_previews_alone_decide_where_there_are_no_proofs(bundled):
    config = recipe("identities.sampled.proofs=0", "identities.sampled.previews=1")
    proofs = proofs_of(config, plan_of(config))
    assert proofs is not None
    tables_of(config, proofs)
    assert [each["name"] for each in proofs.record()["looks"]] == ["previews"]
    assert "by 1 preview each" in proofs.line()


def test_pictures_of_another_size_are_proofs_too(bundled):
    from jobs.proof_pictures import _at_size, _scenes

    scene = _scenes(recipe())[0]
    larger = _at_size(scene, 256)
    assert np.allclose(larger.landmarks5_px, 2 * scene.landmarks5_px)
    from jobs.images import decode_grey, decode_rgb

    assert decode_rgb(larger.image_png).shape == (256, 256, 3) and set(np.unique(decode_grey(larger.face_mask_png))) == {0, 255}


def test_a_run_keeps_the_record_of_its_proofs_and_an_extension_keeps_its_people(bundled, tmp_path):
    folder = str(tmp_path / "run")
    words = [*WORDS, "identities.sampled.previews=1", "expressions.words=[neutral]", "scenes.bundled=1", "seed=3", "max_attempts=1"]
    result = CliRunner().invoke(main, ["run", "smallest", "--out", folder, "--local", *words])
    assert result.exit_code in (0, 4), result.output
    assert "prepared: 3 people of" in result.output
    record = json.loads((tmp_path / "run" / "conditions" / "proofs.json").read_text())
    assert record["people"] == 3 and [(look["name"], look["pictures"]) for look in record["looks"]] == [("proofs", 2), ("previews", 1)]
    assert sorted(path.name for path in (tmp_path / "run" / "conditions").glob("*.json")) == ["gate.json", "proofs.json"]
    known = json.loads((tmp_path / "run" / "qc_report.json").read_text())["limits"]["known"]
    assert any(f"took the 3 sampled people from {record['candidates']} candidates" in line for line in known)
    before = read_tables(tmp_path / "run" / "conditions").people
    result = CliRunner().invoke(main, ["run", "smallest", "--out", folder, "--local", "--extend", *words, "identities.sampled.count=4"])
    assert result.exit_code in (0, 4), result.output
    after = read_tables(tmp_path / "run" / "conditions").people
    assert set(after) - set(before) == {"sampled-000003"}
    for name, person in before.items():
        assert all(np.array_equal(rows, after[name].embeddings[encoder]) for encoder, rows in person.embeddings.items())
