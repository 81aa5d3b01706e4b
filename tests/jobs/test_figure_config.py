from __future__ import annotations

import pytest

from jobs.figure_config import about_core, about_machine, figure_config, made_by, sampler_of
from manifests.errors import ConfigError


def test_defaults_are_those_of_recipes_in_bfloat16():
    config = figure_config()
    assert (config.models.dtype, config.batch_size, config.seed, config.threads) == ("bfloat16", 8, 0, 1)
    assert sampler_of(figure_config(["sampler.steps=4"])).steps == 4


def test_keys_that_are_not_read_are_named():
    with pytest.raises(ConfigError, match='"views" is a key of recipes'):
        figure_config(["views=3"])
    with pytest.raises(ConfigError, match='Did you mean "sampler.steps"'):
        figure_config(["sampler.step=3"])


def test_record_names_files_and_no_folders(tmp_path):
    (tmp_path / "core" / "unet").mkdir(parents=True)
    (tmp_path / "core" / "unet" / "config.json").write_text("{}")
    core = about_core(tmp_path / "core")
    assert core["name"] == "core" and list(core["sha256"]) == ["unet/config.json"]
    sentences = made_by({"core": core, **about_machine(figure_config(["seed=5"]))})
    assert "seed 5" in sentences[0]
    assert str(tmp_path) not in "".join(sentences)
