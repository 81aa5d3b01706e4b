from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from jobs.attempts import Attempt
from jobs.cli import main
from jobs.config import config_from_words
from jobs.files import read_json
from jobs.generating import Pixels
from jobs.marking.iptc import read_source_type
from jobs.ray_executor import RayExecutor
from jobs.sections import PlacementSection
from jobs.worker import GenerateAndJudgeSpec
from manifests.errors import InputError, WeightsError
from manifests.planner import Plan

WORDS = ("seed=1", "identities.sampled.count=2", "expressions.words=[neutral]", "scenes.bundled=2",
         "sampler.steps=2", "sampler.kind=dpm++", "sampler.guidance=1",
         "batch_size=2")  # fmt: skip


@pytest.fixture(scope="module")
def spec(bundled, tmp_path_factory):
    """Two people with neutral faces, two steps each: prepared, not made."""
    folder = tmp_path_factory.mktemp("run")
    result = CliRunner().invoke(main, ["prepare", "smallest", "--out", str(folder), *WORDS[1:], "shard_size=2"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert read_json(folder / "conditions" / "gate.json")["threshold"] > 0
    return GenerateAndJudgeSpec(folder=str(folder), config=config_from_words(WORDS))


@pytest.fixture(scope="module")
def attempts(spec):
    from jobs.axes import Screenings, plan_spec

    plan = Plan(plan_spec(spec.config, Screenings(identities=None, expressions=None, scenes=None)))
    return [Attempt(row=row, attempt=0, seed=row.seed(1, 0)) for row in plan.row_list(0, 2)]


@pytest.fixture(scope="module")
def worker(spec):
    return spec.build()


def test_both_halves_in_processes_of_their_own_give_the_same_bytes(spec, worker, attempts):
    with RayExecutor(spec, 1, placement=PlacementSection(judges=1), address=None, batch_bytes=spec.batch_bytes) as crew:
        while not crew.room:
            assert crew.num_workers
            crew.collect()
        crew.submit(attempts)
        while not (outcomes := crew.collect()):
            assert crew.num_workers
    assert outcomes[0].failure is None
    assert list(outcomes[0].answers) == worker(attempts)


def test_numbers_that_are_no_picture_are_rejected_and_spoil_no_other(worker, attempts):
    pixels = worker.generate(attempts)
    first, second = worker.judge(attempts, Pixels(images_rgb=pixels.images_rgb, finite=np.array([True, False])))
    assert second.verdict.reasons == ("not_finite",) and second.verdict.measurements == {} and "bbox" not in second.labels
    assert first == worker.judge(attempts, pixels)[0]


def test_a_black_picture_is_blank(worker, attempts):
    pixels = worker.generate(attempts)
    black = np.stack([pixels.images_rgb[0], np.zeros_like(pixels.images_rgb[1])])
    _, answer = worker.judge(attempts, dataclasses.replace(pixels, images_rgb=black))
    assert not answer.verdict.accepted and "blank" in answer.verdict.reasons


def test_pictures_carry_the_iptc_source_type(worker, attempts):
    assert {read_source_type(answer.image) for answer in worker(attempts)} == {"trainedAlgorithmicMedia"}


def test_a_row_that_cannot_be_judged_is_named(worker, attempts):
    wrong = dataclasses.replace(attempts[1], row=dataclasses.replace(attempts[1].row, slot=1, scene_id="nowhere"))
    with pytest.raises(InputError, match="row 1, attempt 0 .*nowhere"):
        worker.judge([attempts[0], wrong], worker.generate(attempts))


def test_a_share_of_a_gpu_is_asked_for_on_cuda_only(spec):
    config = config_from_words([*WORDS, "device=cuda", "placement.gpus_per_worker=0.5"])
    assert (spec.num_gpus, dataclasses.replace(spec, config=config).num_gpus) == (0.0, 0.5)
    assert spec.batch_bytes == 2 * 128 * 128 * 3


def test_weights_that_changed_since_the_run_was_begun_are_refused(spec, tmp_path):
    (tmp_path / "core.json").write_text('{"size": 128}')
    config = config_from_words([*WORDS, f"models.core={tmp_path}"])
    with pytest.raises(WeightsError, match="changed after the run was begun"):
        dataclasses.replace(spec, config=config, weights={"core/core.json": "f" * 64}).build()
