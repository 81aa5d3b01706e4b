from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.bundle import SCENE_BANK
from jobs.images import decode_rgb
from manifests.vocabulary import AFFECTNET8
from qc.dataset.hashes import phash64, phash256, phash256_rows
from qc.dataset.label_faults import label_faults
from tests.qc.leaks import COPIES, RELIT, copies_among, swap_singles, swap_words_of_people

CLASSES = len(AFFECTNET8)


@pytest.fixture(scope="module")
def portraits(bundled):
    """Bundled portraits: the first half stands for the training gallery."""
    return [decode_rgb(content) for content in pq.read_table(SCENE_BANK, columns=["image"])["image"].to_pylist()]


def copies_of(images, gallery):
    coarse, fine = [phash64(image) for image in gallery], [phash256(image) for image in gallery]
    return copies_among(images, np.array(coarse, np.uint64), phash256_rows(fine))


@pytest.mark.parametrize(("kinds", "share"), [([name for name in COPIES if name not in RELIT], 0.99), (RELIT, 0.95)], ids=["plain", "relit"])
def test_planted_copies_are_found_as_copies_of_the_right_picture(portraits, kinds, share):
    gallery, draw = portraits[: len(portraits) // 2], np.random.default_rng(1)
    found = planted = 0
    for name in kinds:
        copies = copies_of([COPIES[name](image, draw) for image in gallery], gallery)
        planted += len(gallery)
        found += sum(copy.picture == copy.gallery for copy in copies)
    assert found >= share * planted


def test_pictures_of_other_scenes_are_no_copies(portraits):
    half = len(portraits) // 2
    assert copies_of(portraits[half:], portraits[:half]) == ()


@pytest.fixture(scope="module")
def read():
    """Classes and probabilities of 1,600 pictures of 20 people, as a classifier that is right in nine of ten gives them."""
    draw = np.random.default_rng(2)
    asked, people = np.tile(np.arange(CLASSES), 200), np.repeat(np.arange(20), 80)
    seen = np.where(draw.random(len(asked)) < 0.9, asked, draw.integers(0, CLASSES, len(asked)))
    scores = draw.dirichlet(np.ones(CLASSES), len(asked)) * 0.3
    scores[np.arange(len(asked)), seen] += np.clip(draw.normal(0.7, 0.1, len(asked)), 0.3, 0.9)
    return asked, scores / scores.sum(axis=1, keepdims=True), people


@pytest.mark.parametrize("kind", ["single labels", "two words of some people"])
def test_planted_label_swaps_are_found(read, kind):
    asked, scores, people = read
    draw = np.random.default_rng(3)
    changed, places = swap_singles(asked, 0.01, CLASSES, draw) if kind == "single labels" else swap_words_of_people(asked, people, 4, draw)
    suspects = {item.picture for item in label_faults(changed, scores, people, classes=AFFECTNET8, top=len(asked)).suspects}
    assert len(suspects & set(places.tolist())) >= 0.7 * len(places)


def test_two_classes_that_are_exchanged_everywhere_are_named(read):
    asked, scores, people = read
    swapped = np.where(asked == 2, 5, np.where(asked == 5, 2, asked))
    faults = label_faults(swapped, scores, people, classes=AFFECTNET8)
    assert [{pair.first, pair.second} for pair in faults.pairs if pair.flagged] == [{AFFECTNET8[2], AFFECTNET8[5]}]
    assert not faults.order_is_right
