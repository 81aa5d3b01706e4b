from __future__ import annotations

import pytest

from jobs.cluster.order import Machines, compose_order, label_of, staffed
from manifests.errors import ConfigError


def machines(**fields):
    return Machines(**{"count": 4, "cpus": 8, "gpus": 0, "hours": 24, **fields})


@pytest.mark.parametrize("out", ["out/fer", "fer", "./x", "~/x", ""])
def test_a_folder_of_this_machine_only_is_refused(out):
    with pytest.raises(ConfigError, match="Give a full path on storage that all machines share, or an object store"):
        compose_order("fer", [], out=out)


@pytest.mark.parametrize("out", ["/data/run", "s3://bucket/run", "gs://bucket/run", "s3://bucket/run?endpoint_override=http://127.0.0.1:9000"])
def test_places_that_all_machines_reach_are_taken(out):
    assert compose_order("fer", [], out=out).out == out


@pytest.mark.parametrize("out", ["s3://AKIAKEY:hush@bucket/run", "s3://AKIAKEY@bucket/run"])
def test_a_secret_in_the_run_folder_is_refused_and_not_repeated(out):
    with pytest.raises(ConfigError, match="holds a user and a password") as error:
        compose_order("fer", [], out=out)
    assert "hush" not in str(error.value) and "AKIAKEY" not in str(error.value)


@pytest.mark.parametrize("key", ["identities.path", "scenes.path", "expressions.path", "models.core", "models.pack", "qc.calibration"])
def test_a_relative_path_in_the_recipe_is_named(key):
    words = [f"{key}=faces", *(["identities.sampled.count=0", "identities.path=/faces"] if key == "models.pack" else [])]
    with pytest.raises(ConfigError, match=f'{key} is "faces", which other machines would look for elsewhere'):
        compose_order("fer", words, out="/data/run")


@pytest.mark.parametrize(
    ("words", "asked", "together", "workers"),
    [
        (["device=cuda"], {"gpus": 2}, True, 8),
        (["device=cuda"], {"gpus": 2}, False, 2),
        (["device=cuda", "placement.gpus_per_worker=0.5"], {"gpus": 1}, True, 8),
        (["device=cuda", "workers=3"], {"gpus": 2}, True, 3),
        ([], {}, True, 32),
        (["threads=4"], {}, False, 2),
    ],
)
def test_there_are_as_many_workers_as_there_is_room_for(words, asked, together, workers):
    order = compose_order("fer", words, out="/data/run")
    assert staffed(order, machines(**asked), words, together=together).config.workers == workers


def test_gpus_and_device_go_together():
    with pytest.raises(ConfigError, match="Add device=cuda"):
        staffed(compose_order("fer", [], out="/data/run"), machines(gpus=1), [], together=True)
    with pytest.raises(ConfigError, match="no GPUs are asked for"):
        staffed(compose_order("fer", ["device=cuda"], out="/data/run"), machines(), [], together=True)


@pytest.mark.parametrize(("field", "value"), [("count", 0), ("cpus", 0), ("gpus", -1), ("hours", 0)])
def test_too_little_is_refused(field, value):
    with pytest.raises(ConfigError, match=f"is {value}, expected"):
        machines(**{field: value})


def test_names_are_labels():
    assert label_of("recipes/My Faces_v2.yaml") == "facemint-my-faces-v2"
    assert len(label_of("x" * 90)) == 40
    for name in ("", "Big", "-a", "a-", "a b", "1a", "a" * 41, "a\n"):
        with pytest.raises(ConfigError, match="is no name for a job"):
            compose_order("fer", [], out="/data/run", name=name)


@pytest.mark.parametrize(("words", "workers"), [((), 8), (("workers=40",), 20)])
def test_shared_memory_of_a_machine_is_for_all_of_its_workers(words, workers):
    order = compose_order("smallest", ["batch_size=512", *words], out="s3://bucket/run")
    assert Machines(count=2, cpus=8, gpus=0, hours=1).store_bytes(order.config) == workers * 2 * 512 * 128 * 128 * 3 * 2 + (64 << 20)


def test_a_core_that_only_the_cluster_has_is_taken_as_a_large_one():
    small, unknown = (compose_order("smallest", ["batch_size=512", *words], out="s3://bucket/run") for words in ((), ("models.core=/cluster/core",)))
    machines = Machines(count=1, cpus=2, gpus=0, hours=1)
    assert machines.store_bytes(unknown.config) > 40 * machines.store_bytes(small.config)
