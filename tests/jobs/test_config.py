from __future__ import annotations

import pytest

from jobs.config import RECIPES, RunConfig, changed_keys, check_same_config, config_from_words, find_recipe, load_config
from manifests.errors import ConfigError, ResumeMismatch
from qc.checks import CHECKS

DEMO = RECIPES / "demo.yaml"


def write(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_bundled_recipe_is_valid_and_survives_writing(path, tmp_path):
    config = load_config(path)
    assert load_config(write(tmp_path, config.to_yaml())) == config
    assert path.read_text().startswith("# ")


def test_the_demo_asks_for_64_pictures():
    config = load_config(DEMO)
    assert (config.identities.sampled.count, config.expressions.affectnet8, config.views) == (8, ("all",), 1)


def test_overrides_win_over_the_recipe():
    config = load_config(DEMO, ["sampler.steps=7", "identities.sampled.count=3", "expressions.words=[joy,fear]", "models.pack=null", "qc.gate_fmr=1e-2"])
    assert (config.sampler.steps, config.identities.sampled.count, config.expressions.words) == (7, 3, ("joy", "fear"))
    assert config.models.pack is None and config.qc.gate_fmr == 0.01


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sampler.step=7"], 'there is no key "sampler.step". Did you mean "sampler.steps"?'),
        (["sampels=7"], "Did you mean "),
        (["sampler.steps=many"], 'sampler.steps is "many", expected a whole number'),
        (["sampler.steps=true"], "sampler.steps is true, expected a whole number"),
        (["sampler.steps=2.5"], "sampler.steps is 2.5, expected a whole number"),
        (["sampler.guidance=[1]"], "sampler.guidance is [1], expected a number"),
        (["sampler=3"], 'sampler is "3", expected a section with kind, steps, guidance'),
        (["sampler.kind=euler"], 'sampler.kind is "euler", expected one of dpm++, pndm, ddim'),
        (["sampler.steps"], '"sampler.steps" is not an override, expected key=value'),
        (["qc.gate_fmr=2"], "qc.gate_fmr is 2.0, expected a rate above 0 and below 1"),
        (["workers=0"], "workers is 0, expected 1 or more"),
        (["qc.rejecting=[identiy]"], 'qc.rejecting is "identiy", expected one of'),
        (["identities.path=3"], "identities.path is 3, expected text"),
        (["seed=-1"], "seed is -1"),
        (["models.pack=x"], "only the bundled recognisers know sampled people"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_section(words, sentence):
    with pytest.raises(ConfigError) as error:
        load_config(DEMO, words)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("text", "sentence"), [("- a\n", "incompatible container types"), ("a: [", "can't be read as YAML"), ("seed: ${nothing}\n", "can't be read")]
)
def test_a_recipe_that_is_no_mapping_is_said(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_config(write(tmp_path, text))


def test_a_recipe_of_bytes_is_said(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(path)


def test_recipes_are_found_by_path_or_name(tmp_path):
    assert find_recipe("demo") == find_recipe("recipes/demo.yaml") == DEMO
    own = write(tmp_path, "seed: 1\n")
    assert find_recipe(str(own)) == own
    with pytest.raises(ConfigError, match='Did you mean "demo"'):
        find_recipe("demos")
    with pytest.raises(ConfigError, match="neither a file"):
        find_recipe(str(tmp_path / "demo.yaml"))


def test_the_number_of_workers_is_not_part_of_the_result():
    one, two = config_from_words(["workers=1"]), config_from_words(["workers=2"])
    assert one.fingerprint() == two.fingerprint() and changed_keys(one, two) == []
    assert one.fingerprint() != config_from_words(["threads=2"]).fingerprint()


def test_another_configuration_is_refused_with_the_keys_that_differ(tmp_path):
    (tmp_path / "config.yaml").write_text(config_from_words(["sampler.steps=20"]).to_yaml())
    check_same_config(tmp_path, config_from_words(["sampler.steps=20", "workers=5"]))
    with pytest.raises(ResumeMismatch, match="sampler.steps: was 20, now 30"):
        check_same_config(tmp_path, config_from_words(["sampler.steps=30"]))


def test_the_checks_that_a_recipe_may_name_are_those_that_there_are():
    assert RunConfig().qc.rejecting == tuple(check.name for check in CHECKS)


def test_limits_are_limits_of_the_checks():
    from jobs.judging import checks_of

    config = config_from_words(["qc.limits.pose_max_angle_deg=9", "qc.limits.expression_max_error=0.5", "qc.limits.alignment_max_offset=0.1"])
    checks = {check.name: check for check in checks_of(config, 0.25)}
    assert checks["pose"].max_angle_deg == 9 and checks["expression"].max_error == 0.5 and checks["alignment"].max_offset == 0.1
    assert checks["identity"].min_cosine == 0.25
    every = config_from_words([f"qc.limits.{name}=1.0" for name in vars(config.qc.limits)])
    checks_of(every, 0.25)
