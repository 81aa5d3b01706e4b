from __future__ import annotations

import pytest

from jobs.config import config_from_words
from jobs.images import decode_rgb, encode
from jobs.marking.iptc import read_source_type
from jobs.marking.marker import Marker, marker_of, run_id
from jobs.marking.watermark import read
from tests.jobs.marking.pictures import natural

WORDS = ("identities.sampled.count=2", "expressions.words=[neutral]")


def test_iptc_is_on_and_the_watermark_off_unless_the_recipe_says_so():
    assert marker_of(config_from_words(WORDS)).names == ("iptc",)


def test_both_can_be_switched():
    marker = marker_of(config_from_words([*WORDS, "marking.iptc=false", "marking.watermark=true"]))
    assert marker.names == ("wm48",)


def test_marking_is_part_of_the_fingerprint():
    plain, marked = (config_from_words([*WORDS, f"marking.watermark={on}"]) for on in ("false", "true"))
    assert plain.fingerprint() != marked.fingerprint()


def test_without_marks_the_bytes_are_the_encoders():
    image = natural(1)
    assert Marker(iptc=False, watermark=None).encode(image, "jpeg", photograph=False) == encode(image, "jpeg")


def test_a_picture_in_a_photograph_is_a_composite():
    content = Marker(iptc=True, watermark=None).encode(natural(1), "png", photograph=True)
    assert read_source_type(content) == "compositeWithTrainedAlgorithmicMedia"


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_the_watermark_says_which_run_it_was(form):
    config = config_from_words([*WORDS, "marking.watermark=true"])
    content = marker_of(config).encode(natural(1), form, photograph=False)
    assert read(decode_rgb(content)).payload == run_id(config)


@pytest.mark.parametrize("change", ["identities.sampled.count=9", "views=3", "qc.gate_fmr=0.01", "workers=7", "max_attempts=99"])
def test_what_can_change_in_a_run_folder_leaves_its_id(change):
    assert run_id(config_from_words([*WORDS, change])) == run_id(config_from_words(WORDS))


def test_another_seed_has_another_id():
    assert run_id(config_from_words([*WORDS, "seed=2"])) != run_id(config_from_words(WORDS))
