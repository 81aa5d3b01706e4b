from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from jobs.conditions import ConditionTables
from jobs.generating import Generate
from jobs.ray_actors import DeviceFull
from manifests.errors import InputError
from tests.jobs.test_conditions import ENCODERS, attempt, person, scene, shown


class SmallMemory:
    """A core whose device holds so many rows; a picture is its seed's colour."""

    def __init__(self, rows, error=torch.OutOfMemoryError):
        self.rows = rows
        self.error = error
        self.calls = []

    def draw(self, conditions, seeds, sampler):
        self.calls.append(len(seeds))
        assert conditions.num_rows == len(seeds)
        if len(seeds) > self.rows:
            raise self.error("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        colours = np.stack([np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8) for seed in seeds])
        return np.broadcast_to(colours[:, None, None], (len(seeds), 16, 16, 3)), np.ones(len(seeds), dtype=np.bool_)


@pytest.fixture
def tables():
    return ConditionTables([person("p0", 1)], [shown("neutral", 0.0), shown("joy", 2.0)], [scene("s1", 11)])


def generate(tables, core, *, batch_size=8):
    return Generate(tables, core, None, encoders=ENCODERS, batch_size=batch_size)


def attempts(count):
    return [attempt(seed=seed) for seed in range(count)]


def test_every_call_of_the_core_has_the_same_number_of_rows(tables):
    core = SmallMemory(8)
    make = generate(tables, core)
    assert [len(make(attempts(count)).images_rgb) for count in (8, 3, 1)] == [8, 3, 1]
    assert core.calls == [8, 8, 8]


@pytest.mark.parametrize(("rows", "at_once"), [(5, 4), (3, 2), (1, 1)])
def test_less_memory_gives_the_same_pictures_in_smaller_calls_for_good(tables, rows, at_once, capsys):
    core = SmallMemory(rows)
    make = generate(tables, core)
    whole = generate(tables, SmallMemory(8))(attempts(7))
    np.testing.assert_array_equal(make(attempts(7)).images_rgb, whole.images_rgb)
    assert f"{at_once} pictures at a time from now on" in capsys.readouterr().err
    core.calls.clear()
    make(attempts(3))
    assert set(core.calls) == {at_once} and make.rows_at_once == at_once


def test_a_batch_size_that_is_no_power_of_two_is_halved_too(tables):
    core = SmallMemory(2)
    np.testing.assert_array_equal(generate(tables, core, batch_size=7)(attempts(7)).images_rgb, generate(tables, SmallMemory(8))(attempts(7)).images_rgb)
    assert core.calls == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_a_library_below_torch_that_finds_the_device_full_is_out_of_memory_too(tables):
    make = generate(tables, SmallMemory(3, RuntimeError))
    assert len(make(attempts(7)).images_rgb) == 7 and make.rows_at_once == 2


def test_a_device_that_holds_no_row_is_said(tables):
    with pytest.raises(DeviceFull, match="doesn't hold one picture"):
        generate(tables, SmallMemory(0))(attempts(2))


def test_a_row_that_asks_for_what_is_not_there_is_named(tables):
    stranger = attempt(identity="p9")
    wrong = dataclasses.replace(stranger, row=dataclasses.replace(stranger.row, slot=41))
    with pytest.raises(InputError, match='row 41, attempt 0 .identity p9, expression joy, scene s1.: .*"p9" is not among'):
        generate(tables, SmallMemory(8))([*attempts(2), wrong])


def test_a_row_whose_background_cannot_be_decoded_is_named(tables):
    torn = dataclasses.replace(tables.scenes["s1"], scene_id="torn", image_png=b"no picture")
    tables.scenes["torn"] = torn
    good = attempt()
    wrong = dataclasses.replace(good, row=dataclasses.replace(good.row, slot=7, scene_id="torn"))
    with pytest.raises(InputError, match="row 7, attempt 0 .*scene torn.: UnidentifiedImageError"):
        generate(tables, SmallMemory(8))([good, wrong])
