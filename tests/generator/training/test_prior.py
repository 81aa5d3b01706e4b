from __future__ import annotations

import numpy as np
import pytest

from generator.training.prior import fit_prior

CONDITIONERS = ("one", "two")
PEOPLE, PICTURES = 60, 4


@pytest.fixture(scope="module")
def people() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Embeddings of 60 people in a latent of eight numbers; the judge sees a linear function of the same latent."""
    draw = np.random.default_rng(0)
    latent = np.repeat(draw.standard_normal((PEOPLE, 8)), PICTURES, axis=0)
    embeddings = {}
    for name, dim in (("one", 16), ("two", 12), ("judge", 10)):
        rows = latent @ draw.standard_normal((8, dim)) + 0.3 * draw.standard_normal((len(latent), dim))
        embeddings[name] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return embeddings, np.repeat(np.arange(PEOPLE), PICTURES)


def test_sampled_people_vary_as_training_people_do(people):
    embeddings, identity = people
    prior = fit_prior(embeddings, identity, conditioners=CONDITIONERS, false_match_rate=1e-3)
    sampled = prior.sample(60, 3)
    for name in CONDITIONERS:
        true = np.stack([embeddings[name][identity == i].mean(axis=0) for i in range(PEOPLE)])
        true /= np.linalg.norm(true, axis=1, keepdims=True)
        spread = [np.linalg.norm(rows - rows.mean(axis=0), axis=1).mean() for rows in (true, sampled[name])]
        assert np.isclose(*spread, rtol=0.15)


def test_prediction_of_the_judge_is_nearer_to_the_person_than_to_others(people):
    embeddings, identity = people
    prior = fit_prior(embeddings, identity, conditioners=CONDITIONERS)
    joint = np.concatenate([embeddings[name][::PICTURES] for name in CONDITIONERS], axis=1)
    cosine = prior.split(joint)["judge"] @ embeddings["judge"][::PICTURES].T
    assert (cosine.argmax(axis=1) == np.arange(PEOPLE)).mean() > 0.9


def test_people_closer_than_the_false_match_rate_allows_are_few(people):
    embeddings, identity = people
    prior = fit_prior(embeddings, identity, conditioners=CONDITIONERS, false_match_rate=0.05)
    first = embeddings["one"][::PICTURES]
    cosines = (first @ first.T)[np.triu_indices(PEOPLE, 1)]
    assert np.isclose((cosines > prior.apart).mean(), 0.05, atol=0.01)


def test_components_are_capped(people):
    embeddings, identity = people
    assert fit_prior(embeddings, identity, conditioners=CONDITIONERS, components=5).basis.shape == (5, 28)
    assert len(fit_prior(embeddings, identity, conditioners=CONDITIONERS).basis) <= 28
