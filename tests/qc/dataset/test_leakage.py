from __future__ import annotations

import hashlib
import json
import math

import cv2
import numpy as np
import pytest

from manifests.errors import InputError
from qc.dataset.hashes import phash64, phash64_mirrored, phash256, phash256_mirrored, phash256_rows
from qc.dataset.leakage import CANDIDATE_LIMIT, CONFIRM_LIMIT, COPY_LIMIT, Copy, find_copies, leakage, leaked, nearest_gallery
from tests.qc.dataset.drawn import people, portrait, reencoded, relit, unit


def test_planted_likenesses_reach_the_threshold_and_fresh_people_are_as_many_as_expected():
    gallery, _ = people(2000, 1, 0, 1)
    held, _ = people(2000, 1, 0, 2)
    made, _ = people(4000, 1, 0, 3)
    made[:4] = unit(gallery[:4] + 0.03 * np.random.default_rng(0).normal(size=(4, 64)))
    found = leakage(made, gallery, held, target_fmr=1e-5, block=512)
    assert found.estimable and found.achieved_fmr <= 1e-5 and found.num_comparisons == 4_000_000
    assert {(pair.a, pair.b) for pair in found.pairs[:4]} == {(k, k) for k in range(4)}
    assert found.expected == pytest.approx(4000 * 2000 * found.achieved_fmr, rel=0.02)
    assert 4 <= found.above <= 4 + found.expected + 6 * math.sqrt(found.expected)
    assert found.above_ci.low < found.above_share < found.above_ci.high
    json.dumps(found.to_json(), allow_nan=False)


def test_too_few_held_out_people_leave_the_threshold_not_estimable():
    gallery, _ = people(100, 1, 0, 1)
    found = leakage(gallery[:10], gallery, gallery[50:60], target_fmr=1e-6)
    assert not found.estimable and found.above is None and found.to_json()["threshold"] is None
    assert found.pairs[0].cosine == pytest.approx(1, abs=1e-5) and sum(found.synthetic) == 10


def test_the_threshold_is_the_smallest_within_the_rate():
    gallery, _ = people(300, 1, 0, 4)
    held, _ = people(300, 1, 0, 5)
    found = leakage(held, gallery, held, target_fmr=1e-3, block=7)
    cosines = held @ gallery.T
    assert (cosines >= found.threshold).mean() <= 1e-3 < (cosines >= found.threshold - 1e-6).mean() + 1 / cosines.size
    assert found.reference_above == (cosines.max(axis=1) >= found.threshold).sum()
    cosine, nearest = nearest_gallery(held, gallery, block=11)
    assert np.array_equal(nearest, cosines.argmax(axis=1)) and np.allclose(cosine, cosines.max(axis=1))


def test_copies_are_not_authentic_and_strangers_are():
    gallery, _ = people(200, 1, 0, 6)
    near = unit(gallery + 0.05 * np.random.default_rng(1).normal(size=gallery.shape))
    strangers = unit(np.random.default_rng(2).normal(size=(200, 64)) - 3 * gallery.mean(axis=0))
    assert leakage(near, gallery, strangers).auth_pct < 1
    assert leakage(strangers, gallery, near).auth_pct > 30


def test_a_thousandth_of_planted_copies_is_found_whatever_was_done_to_them():
    """0.1 % of 40,000: 40 copies of gallery pictures, re-encoded, flipped, relit or all at once; every other picture is its own."""
    gallery = [portrait(seed) for seed in range(120)]
    generator = np.random.default_rng(0)
    copies = []
    for number in range(40):
        picture = gallery[number]
        picture = relit(picture, float(generator.uniform(0.75, 1.2)), float(generator.uniform(0, 0.1))) if number % 4 >= 2 else picture
        picture = np.ascontiguousarray(picture[:, ::-1]) if number % 4 in (1, 3) else picture
        copies.append(reencoded(cv2.resize(picture, (128, 128)), int(generator.integers(50, 95))))
    fresh = [portrait(10_000 + seed) for seed in range(600)]
    made = [*copies, *fresh, gallery[100]]
    # the other 39,000 pictures as hashes alone: hashes of pictures are no more alike than random bits
    noise = generator.integers(0, 1 << 63, 39_000, dtype=np.uint64)
    fine_noise = generator.integers(0, 256, (39_000, 32), dtype=np.uint8)
    found = find_copies(
        pixel_sha256=np.array([hashlib.sha256(picture.tobytes()).hexdigest() for picture in made] + [str(k) for k in range(39_000)]),
        phash64=np.concatenate([np.array([phash64(picture) for picture in made], np.uint64), noise]),
        mirrored_phash64=np.concatenate([np.array([phash64_mirrored(picture) for picture in made], np.uint64), noise[::-1]]),
        phash256=np.concatenate([phash256_rows([phash256(picture) for picture in made]), fine_noise]),
        mirrored_phash256=np.concatenate([phash256_rows([phash256_mirrored(picture) for picture in made]), fine_noise[::-1]]),
        gallery_phash256=phash256_rows([phash256(picture) for picture in gallery]),
        gallery_pixel_sha256=np.array([hashlib.sha256(picture.tobytes()).hexdigest() for picture in gallery]),
        gallery_phash64=np.array([phash64(picture) for picture in gallery], np.uint64),
    )
    hits = {copy.picture: copy for copy in found}
    assert sum(hits[k].gallery == k for k in range(40) if k in hits) == 40
    assert found[0].evidence == "pixels" and found[0].picture == 640 and len(found) == 41


def differing(bits: int) -> np.ndarray:
    return np.packbits(np.arange(256) < bits)[None]


def search(bits: int, bits256: int, *, fine: bool = True) -> tuple[Copy, ...]:
    """One picture that differs by so many bits from the one of the gallery; its mirror image by all of them."""
    return find_copies(
        pixel_sha256=np.array(["a"]),
        phash64=np.array([(1 << bits) - 1], np.uint64),
        mirrored_phash64=np.array([2**64 - 1], np.uint64),
        phash256=differing(bits256),
        mirrored_phash256=differing(0),
        gallery_pixel_sha256=None,
        gallery_phash64=np.array([0], np.uint64),
        gallery_phash256=differing(0) if fine else None,
    )


def test_a_candidate_is_a_copy_by_the_fine_hash_of_the_same_mirroring():
    (copy,) = search(CANDIDATE_LIMIT, CONFIRM_LIMIT)
    assert (copy.bits, copy.bits256, copy.confirmed) == (CANDIDATE_LIMIT, CONFIRM_LIMIT, True)
    assert search(CANDIDATE_LIMIT, CONFIRM_LIMIT + 1) == () == search(0, 256)


def test_without_fine_hashes_only_the_nearest_are_named_and_not_as_confirmed():
    (copy,) = search(COPY_LIMIT, 0, fine=False)
    assert copy.bits256 is None and not copy.confirmed
    assert search(COPY_LIMIT + 1, 0, fine=False) == ()


def test_hash_and_cosine_together_find_what_either_misses():
    cosine = np.array([0.9, 0.2, 0.1])
    copy = find_copies(
        pixel_sha256=np.array(["a", "b", "c"]),
        phash64=np.array([1, 2**40, 2**63 - 1], np.uint64),
        mirrored_phash64=np.array([2**62 - 1] * 3, np.uint64),
        phash256=np.zeros((3, 32), np.uint8),
        mirrored_phash256=np.zeros((3, 32), np.uint8),
        gallery_phash256=None,
        gallery_pixel_sha256=np.array(["b"]),
        gallery_phash64=np.array([2**33 - 1], np.uint64),
    )
    assert leaked(cosine, 0.5, copy).tolist() == [True, True, False] and leaked(cosine, math.nan, copy).tolist() == [False, True, False]


def test_embeddings_of_two_recognisers_are_refused():
    with pytest.raises(InputError, match="one recogniser"):
        leakage(np.eye(3, 8), np.eye(3, 16), np.eye(3, 16))
    with pytest.raises(InputError, match="gallery is empty"):
        leakage(np.eye(3, 8), np.zeros((0, 8)), np.eye(3, 8))
