"""Run against a schema of the fields only; a Kubernetes with KubeRay was not at hand."""

from __future__ import annotations

import shlex

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from jobs.cli import main
from jobs.cluster.kuberay import parse_claim
from jobs.cluster.order import STOP_SECONDS
from jobs.config import load_config
from manifests.errors import ConfigError
from tests.jobs.cluster.rayjob_schema import CONFIG_MAP, RAY_JOB

AWKWARD = "s3://bucket/a folder's $(x): {y} # z\n\u2028é😀"


def printed(*words, out="s3://bucket/run", image="registry/facemint:1"):
    return CliRunner().invoke(main, ["submit", "fer", "--print", "kuberay", "--out", out, "--image", image, *words], catch_exceptions=False)


def documents(*words, **fields):
    result = printed(*words, **fields)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.output))


@pytest.mark.parametrize(
    "words",
    [(), ("--machines", "4", "--gpus", "2", "device=cuda"), ("--claim", "data:/data")],
    ids=["cpu", "gpu", "claim"],
)
def test_a_manifest_has_the_fields_of_a_rayjob(words):
    job, config_map = documents(*words, out="/data/run" if "--claim" in words else "s3://bucket/run")
    Draft202012Validator(RAY_JOB).validate(job)
    Draft202012Validator(CONFIG_MAP).validate(config_map)


def test_workers_have_the_gpus_and_the_head_has_none():
    job, _ = documents("--machines", "4", "--gpus", "2", "device=cuda")
    cluster = job["spec"]["rayClusterSpec"]
    (group,) = cluster["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 4
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert "nvidia" not in str(cluster["headGroupSpec"])


def test_the_recipe_travels_whole_with_a_worker_per_gpu(tmp_path):
    job, config_map = documents("--machines", "4", "--gpus", "2", "device=cuda", "views=3")
    (tmp_path / "config.yaml").write_text(config_map["data"]["config.yaml"])
    config = load_config(tmp_path / "config.yaml")
    assert (config.workers, config.views, config.device) == (8, 3, "cuda")
    (volume,) = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]


def test_awkward_words_arrive_as_they_are():
    job, _ = documents(out=AWKWARD, image=AWKWARD)
    assert shlex.split(job["spec"]["entrypoint"]) == ["facemint", "run", "/etc/facemint/config.yaml", "--out", AWKWARD, "--ray", "auto"]
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"] == AWKWARD


def test_a_driver_is_given_time_to_save_its_state():
    job, _ = documents()
    wait = yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"]
    groups = [job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
    assert wait == str(STOP_SECONDS)
    assert all(group["template"]["spec"]["terminationGracePeriodSeconds"] > STOP_SECONDS for group in groups)


def test_a_folder_that_no_pod_has_is_refused():
    for words in ([], ["--claim", "data:/other"]):
        result = printed(*words, out="/data/run")
        assert result.exit_code == 2 and "a folder that a pod does not have" in result.output


def test_a_claim_has_a_name_and_a_folder():
    assert parse_claim("data:/mnt/data") == ("data", "/mnt/data")
    for text in ("data", "data:", ":/data", "data:mnt"):
        with pytest.raises(ConfigError, match="expected NAME:/FOLDER"):
            parse_claim(text)


def test_an_image_is_asked_for():
    result = CliRunner().invoke(main, ["submit", "fer", "--print", "kuberay", "--out", "s3://bucket/run"])
    assert result.exit_code == 2 and "needs --image" in result.output
