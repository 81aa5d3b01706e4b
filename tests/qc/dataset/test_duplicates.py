from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import InputError
from qc.dataset.duplicates import (
    HASH_LIMIT,
    exact_duplicates,
    feature_duplicates,
    nearest_distance,
    pca_features,
    perceptual_candidates,
    perceptual_duplicates,
    pixel_features,
)
from qc.dataset.hashes import close_pairs, close_to, hamming, hamming256, phash64, phash64_mirrored, phash256, phash256_mirrored, phash256_rows
from tests.qc.dataset.drawn import portrait, reencoded, relit


def hashes(pictures) -> np.ndarray:
    return np.array([phash64(picture) for picture in pictures], np.uint64)


def test_hashes_survive_reencoding_resizing_and_light_but_tell_pictures_apart():
    pictures = [portrait(seed) for seed in range(60)]
    own = hashes(pictures)
    same = hashes([reencoded(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA), 60) for picture in pictures])
    lit = hashes([relit(picture, 0.8, 0.0) for picture in pictures])
    assert hamming(own, same).max() <= HASH_LIMIT and hamming(own, lit).max() <= HASH_LIMIT
    others = hamming(own[:, None], own[None, :])[np.triu_indices(60, 1)]
    assert others.min() > 2 * HASH_LIMIT


def test_the_hash_of_a_mirror_image_is_that_of_the_flipped_picture():
    picture = portrait(3)
    assert phash64_mirrored(picture) == phash64(cv2.flip(picture, 1)) != phash64(picture)
    assert phash256_mirrored(picture) == phash256(cv2.flip(picture, 1)) != phash256(picture)


def test_fine_hashes_survive_reencoding_and_tell_pictures_apart():
    pictures = [portrait(seed) for seed in range(20)]
    own = phash256_rows([phash256(picture) for picture in pictures])
    same = phash256_rows([phash256(reencoded(picture, 60)) for picture in pictures])
    assert hamming256(own, same).max() <= 36 < 62 <= hamming256(own[:, None], own[None])[np.triu_indices(20, 1)].min()


def test_fine_hashes_of_the_strongest_contrast_do_not_overflow():
    white = np.zeros((64, 64, 3), np.uint8)
    white[:, 32:] = 255
    assert hamming256(phash256_rows([phash256(white)]), phash256_rows([phash256(white // 2)])).item() <= 4


@given(st.integers(0, 8), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_buckets_find_every_pair_within_the_distance(limit, seed):
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 1 << 63, 40, dtype=np.uint64)
    near = values[generator.integers(0, 40, 30)]
    for _ in range(8):
        near = near ^ (np.uint64(1) << generator.integers(0, 64, 30).astype(np.uint64))
    every = np.unique(np.concatenate([values, near]))
    every = every[generator.permutation(len(every))]
    first, second = np.triu_indices(len(every), 1)
    close = hamming(every[first], every[second]) <= limit
    found = close_pairs(every, limit)
    assert found.complete and set(zip(found.first, found.second, strict=True)) == set(zip(first[close], second[close], strict=True))
    across = close_to(every[:30], every[30:], limit)
    table = hamming(every[:30, None], every[None, 30:]) <= limit
    assert set(zip(across.first, across.second, strict=True)) == set(zip(*np.nonzero(table), strict=True))


def test_equal_hashes_are_one_cluster_without_all_their_pairs():
    found = perceptual_duplicates(np.full(20_000, 12345, np.uint64))
    assert found.num_clusters == 1 and found.num_in_clusters == 20_000 and found.num_surplus == 19_999 and found.complete


def test_features_confirm_pairs_by_hash_and_set_the_others_aside():
    pictures = [portrait(seed) for seed in range(30)]
    everything = [*pictures, reencoded(pictures[4], 60), pictures[9]]
    values = hashes(everything)
    values[20] = values[4]  # as if another picture had the same hash
    places = perceptual_candidates(values)
    assert places.tolist() == [4, 9, 20, 30, 31]
    alone = perceptual_duplicates(values)
    found = perceptual_duplicates(values, places=places, features=pixel_features([everything[place] for place in places]))
    assert alone.clusters[0].members == (4, 20, 30) and not alone.confirmed
    assert [cluster.members for cluster in found.clusters] == [(4, 30), (9, 31)] and found.confirmed and "pixels16_v1" in found.feature


def test_too_many_candidates_are_left_out_and_said():
    values = (np.arange(3000, dtype=np.uint64) << np.uint64(40)) | np.uint64(7)
    found = perceptual_duplicates(values, max_candidates=1000)
    assert not found.complete
    with pytest.raises(InputError, match="0 to 8 bits"):
        close_pairs(values, 9)


def test_equal_digests_across_splits_come_first():
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in (1, 2, 3, 1, 2, 2, 4)]
    found = exact_duplicates(digests, kind="pixels", splits=["train", "train", "val", "test", "train", "train", "val"])
    assert found.num_clusters == 2 and found.num_in_clusters == 5 and found.num_across_splits == 1
    assert found.clusters[0].members == (0, 3) and found.clusters[0].splits == ("test", "train") and found.clusters[1].members == (1, 4, 5)
    json.dumps(found.to_json(), allow_nan=False)


def test_features_of_pixels_join_near_copies_and_not_pictures():
    pictures = [portrait(seed) for seed in range(80)]
    near = [relit(reencoded(pictures[seed], 75), 0.9, 0.01) for seed in range(8)]
    features = pixel_features([*pictures, *near])
    found = feature_duplicates(features, block=13, splits=["train"] * 80 + ["test"] * 8)
    assert {(pair.a, pair.b) for pair in found.pairs} == {(seed, 80 + seed) for seed in range(8)} and found.num_across_splits == 8
    assert feature_duplicates(features, within=np.arange(88)).num_clusters == 0
    assert (nearest_distance(features, block=10) < 0.005).sum() == 16


def test_principal_coordinates_keep_distances_when_all_are_kept():
    rows = np.random.default_rng(0).normal(size=(30, 6))
    reduced = pca_features(rows, 6)
    assert np.allclose(np.linalg.norm(reduced[0] - reduced[1]), np.linalg.norm(rows[0] - rows[1]), atol=1e-4)


def test_no_pictures_are_no_duplicates():
    assert perceptual_duplicates(np.zeros(0, np.uint64)).num_clusters == 0
    assert exact_duplicates([], kind="file").num_pictures == 0
    assert feature_duplicates(np.zeros((0, 4))).pairs == ()
