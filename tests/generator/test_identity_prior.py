from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generator.identity_prior import IdentityPrior, sample_identities
from manifests.errors import InputError, WeightsError


def small_prior(*, apart: float = 0.9) -> IdentityPrior:
    draw = np.random.default_rng(0)
    return IdentityPrior(
        dims={"one": 6, "two": 4},
        mean=0.1 * draw.standard_normal(10, dtype=np.float32),
        basis=0.4 * draw.standard_normal((8, 10), dtype=np.float32),
        predictors={"gate": draw.standard_normal((11, 5), dtype=np.float32)},
        apart=apart,
    )


def test_embeddings_are_unit_length_for_every_recogniser():
    people = small_prior().sample(7, 0)
    assert {name: rows.shape for name, rows in people.items()} == {"one": (7, 6), "two": (7, 4), "gate": (7, 5)}
    for rows in people.values():
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_people_keep_apart():
    first = small_prior(apart=0.6).sample(8, 1)["one"]
    cosine = first @ first.T - 2 * np.eye(8)
    assert cosine.max() <= 0.6


def test_a_longer_list_starts_with_the_shorter_one():
    prior = small_prior()
    short, long = prior.sample(3, 5), prior.sample(9, 5)
    assert all(np.array_equal(short[name], long[name][:3]) for name in short)
    assert not np.array_equal(prior.sample(3, 6)["one"], short["one"])


def test_nobody_is_an_empty_list():
    assert small_prior().sample(0, 0)["two"].shape == (0, 4)


def test_saved_prior_samples_the_same_people(tmp_path: Path):
    prior = small_prior()
    prior.save(tmp_path / "prior.safetensors")
    loaded = IdentityPrior.load(tmp_path / "prior.safetensors")
    assert list(loaded.dims) == ["one", "two"]
    assert loaded.apart == prior.apart
    sampled = sample_identities(tmp_path / "prior.safetensors", 4, 2)
    assert all(np.array_equal(rows, sampled[name]) for name, rows in prior.sample(4, 2).items())


def test_too_many_people_are_refused_with_a_remedy():
    with pytest.raises(InputError, match=r"2 of 10 people were found.*200 come closer.*0 were refused.*Ask for fewer people"):
        small_prior(apart=-0.5).sample(10, 0)


def test_who_is_refused_is_nobody():
    prior = small_prior()
    asked = []

    def accepts(embeddings):
        asked.append(embeddings)
        return len(asked) % 3 == 0

    people = prior.sample(3, 5, accepts=accepts)
    assert len(asked) == 9 and set(asked[0]) == {"one", "two", "gate"}
    for name, rows in people.items():
        assert np.allclose(rows, [each[name] for each in asked[2::3]], atol=1e-6)
    assert np.allclose(asked[0]["one"], prior.sample(1, 5)["one"][0])


def test_a_longer_list_starts_with_the_shorter_one_also_when_some_are_refused():
    prior = small_prior()
    short, long = (prior.sample(count, 5, accepts=lambda embeddings: bool(embeddings["one"][0] > 0)) for count in (3, 9))
    assert all(np.allclose(short[name], long[name][:3], atol=1e-6) for name in short)
    assert (long["one"][:, 0] > 0).all()


def test_refusing_everybody_is_an_error_that_counts_them():
    with pytest.raises(InputError, match=r"0 of 2 people were found, and none of 7 draws.*7 were refused by their faces.*identities.sampled.proofs=0"):
        small_prior().sample(2, 0, accepts=lambda embeddings: False, max_tries=7)


@pytest.mark.parametrize("content", [None, b"", b"not a prior"])
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "prior.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="prior.safetensors"):
        IdentityPrior.load(path)
