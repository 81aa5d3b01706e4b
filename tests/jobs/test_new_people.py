from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from jobs.cli import main
from jobs.eyes import SeenFaces
from jobs.figure_config import about_machine, figure_config
from jobs.new_people import PeoplePictures, auditor_vectors, people_config, people_plan, people_proofs, people_tables, rows_of_view
from jobs.new_people_figures import PeopleFigures, detection, distinctness, matches, people_leakage
from jobs.new_people_report import page
from manifests.errors import ConfigError, InputError
from qc.report.inputs import Gallery

QUICK = ("sampler.kind=ddim", "sampler.steps=1", "sampler.guidance=1", "batch_size=4")


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def people(centres: np.ndarray, each: int, noise: float = 0.01) -> tuple[SeenFaces, PeoplePictures]:
    """`each` pictures of every person, whose embeddings scatter about the person's centre."""
    count = len(centres) * each
    rows = unit(np.repeat(centres, each, axis=0) + noise * np.random.default_rng(1).standard_normal((count, centres.shape[1])))
    pictures = PeoplePictures(
        images_rgb=np.zeros((count, 4, 4, 3), np.uint8),
        people=np.repeat([f"sampled-{i:06d}" for i in range(len(centres))], each),
        words=np.tile([f"word {i}" for i in range(each)], len(centres)),
    )
    return SeenFaces(num_faces=np.ones(count, np.int64), rows=np.arange(count), embeddings=rows), pictures


def gallery(training: np.ndarray, held_out: np.ndarray) -> Gallery:
    count = len(training) + len(held_out)
    return Gallery(
        source="a test", identity_ids=[f"corpus-{i:06d}" for i in range(count)], held_out=np.arange(count) >= len(training), gate=None,
        auditor=np.concatenate([training, held_out]), phash64=np.zeros(0, np.uint64), phash256=None, phash_owner=np.zeros(0, np.int64),
    )  # fmt: skip


def test_recipe_has_the_people_and_the_affectnet_classes_first(bundled):
    config = people_config(figure_config(), num_people=30, num_expressions=9)
    assert config.identities.sampled.count == 30
    assert config.expressions.words[:2] == ("neutral", "happiness") and len(config.expressions.words) == 9
    plan = people_plan(config)
    assert plan.num_slots == 270 and people_proofs(config, plan) is None
    assert auditor_vectors(people_tables(config, plan, None)).shape[0] == 30
    for wrong in ((1, 5), (5, 1), (5, 500)):
        with pytest.raises(ConfigError, match="2 or more people"):
            people_config(figure_config(), num_people=wrong[0], num_expressions=wrong[1])


def test_people_apart_have_no_errors_and_no_matches():
    found = distinctness(*people(np.eye(20), each=3), 0.5, held_out=np.eye(20)[[0, 1, 1]])
    assert found.held_out_centres is not None and (found.held_out_centres.observed, found.held_out_centres.num_pairs) == (1, 3)
    assert (found.num_people, found.num_pictures, found.num_mated) == (20, 60, 60)
    assert found.eer == found.calibrated_fmr == 0
    assert found.centres is not None and found.centres.observed == 0 and found.centres.num_unique == 20


def test_two_samples_of_one_person_are_a_match():
    centres = np.eye(20)
    centres[7] = centres[3]
    found = distinctness(*people(centres, each=3), 0.5)
    assert found.centres is not None and found.centres.observed == 1 and found.centres.num_unique == 19
    assert (found.centres.pairs[0].a, found.centres.pairs[0].b) == (3, 7)
    assert found.calibrated_fmr == pytest.approx(9 / found.num_nonmated)


def test_threshold_at_a_rate_needs_enough_pairs():
    found = distinctness(*people(np.eye(10), each=3), None)
    assert math.isnan(found.threshold) and found.centres is None and found.calibrated_fmr is None
    rows = np.random.default_rng(0).standard_normal((130, 8))
    found = distinctness(*people(rows, each=2, noise=1.0), None)
    assert found.num_nonmated * 1e-3 >= 30
    assert 0 < found.threshold < 1 and found.centres is None
    assert found.tar_ci.low <= found.tar <= found.tar_ci.high


def test_no_faces_are_an_error_and_some_missing_ones_a_share():
    seen, pictures = people(np.eye(4), each=5)
    shares = detection(SeenFaces(num_faces=np.array([0, 2, *[1] * 18]), rows=seen.rows[2:], embeddings=seen.embeddings[2:]), pictures.people)
    assert (shares.found.share, shares.exactly_one.share) == (0.95, 0.9)
    with pytest.raises(InputError, match="too few to compare"):
        distinctness(SeenFaces(num_faces=np.zeros(20, np.int64), rows=seen.rows[:0], embeddings=seen.embeddings[:0]), pictures, 0.5)


def test_copy_of_a_training_person_is_the_nearest_of_all():
    draw = np.random.default_rng(0)
    training, held_out, centres = (unit(draw.standard_normal((count, 16))) for count in (700, 50, 12))
    centres[4] = training[300]
    found = people_leakage(*people(centres, each=2, noise=1e-3), gallery(training, held_out))
    assert found.nearest[0]["identity_id"] == "sampled-000004" and found.nearest[0]["gallery_id"] == "corpus-000300"
    assert found.people.above is not None and found.people.above >= 1
    assert [row["cosine"] for row in found.nearest] == sorted((row["cosine"] for row in found.nearest), reverse=True)
    assert (found.people.num_rows, found.pictures.num_rows, found.held_out.num_rows, found.num_gallery) == (12, 24, 50, 700)


def test_chosen_people_have_each_expression_twice_and_the_first_ones_decide(bundled):
    config = people_config(figure_config(), num_people=4, num_expressions=3, num_proofs=2)
    plan = people_plan(config)
    first, second = rows_of_view(plan, 0), rows_of_view(plan, 1)
    asked = sorted((row.identity_id, row.expression) for row in first)
    assert len(set(asked)) == 12 and asked == sorted((row.identity_id, row.expression) for row in second)
    proofs = people_proofs(config, plan)
    assert proofs is not None and proofs._previews is not None
    assert sorted(row.slot for rows in proofs._previews.values() for row in rows) == sorted(row.slot for row in first)


@pytest.mark.parametrize("taken", [0, 1])
def test_page_says_how_people_were_chosen(taken):
    seen, pictures = people(np.eye(4), each=3)
    found = {"auditor": distinctness(seen, pictures, 0.5)}
    refused = {"no_face": 1, "training_person": 2, "earlier_person": 3}
    looks = [{"name": name, "pictures": 2, "limit": limit, "refused": refused, "max_cosine": None} for name, limit in (("proofs", 0.8), ("previews", 0.86))]
    proofs = {"candidates": 12 + taken, "people": taken, "training_limit": 0.9, "looks": looks}
    about = {"people": 4, "words": ["neutral", "joy"], "core": {"name": "bundled"}, **about_machine(figure_config())}
    faces = PeopleFigures(detections={"face_detector": detection(seen, pictures.people)}, distinct=found, leaked=None)
    without = page(faces, matches(np.eye(4), 0.5), {**about, "proofs": None})
    assert "as the prior draws them" in without and "Other pictures" not in without
    chosen = page(faces, matches(np.eye(4), 0.5), {**about, "proofs": proofs}, others=faces)
    assert f"{taken} of {12 + taken} candidates." in chosen and "## Distinct from each other, other pictures" in chosen
    assert "By the 2 faces that are measured first: 3 were refused because they come within 0.860 of an earlier person" in chosen


def test_faces_of_three_people(bundled, shared, tmp_path):
    pack = shared / "models" / "insightface" / "buffalo_mini"
    command = ["people", "--count", "3", "--expressions", "2", "--proofs", "1", "--pack", str(pack), "--out", str(tmp_path), *QUICK]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "people.json").read_text())
    assert set(record["distinct"]) == {"auditor", "w600k_mbf_dq"} and set(record["faces_found"]) == {"face_detector", "buffalo_mini"}
    assert record["distinct"]["auditor"]["threshold"] is None  # 12 pairs are too few for a rate of 1e-3
    assert record["distinct"]["auditor"]["calibrated_threshold"] > 0.5
    assert record["proofs"]["people"] == 3 and [look["name"] for look in record["proofs"]["looks"]] == ["proofs", "previews"]
    assert record["distinct"]["auditor"]["centres"]["max_cosine"] < record["distinct"]["auditor"]["calibrated_threshold"]
    assert record["other_pictures"]["distinct"]["auditor"]["num_pictures"] == record["distinct"]["auditor"]["num_pictures"] == 6
    assert len(record["leakage"]["nearest"]) == 3 and record["leakage"]["num_gallery"] == 1140
    assert "not estimable" in (tmp_path / "people.md").read_text()
    with Image.open(tmp_path / "people.png") as sheet:
        assert sheet.width > 2 * 128 and sheet.height > 3 * 128
