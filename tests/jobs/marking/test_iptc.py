from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobs.images import decode_rgb, encode, pixel_sha256
from jobs.marking.iptc import is_synthetic, read_source_type, source_type_of, with_source_type
from tests.jobs.marking.pictures import natural

FORMS = ("jpeg", "png")


@pytest.fixture(scope="module")
def image():
    return natural(1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("photograph", [True, False])
def test_the_term_is_read_back(image, form, photograph):
    term = source_type_of(photograph=photograph)
    assert read_source_type(with_source_type(encode(image, form), form, term)) == term


@pytest.mark.parametrize("form", FORMS)
def test_no_pixel_changes(image, form):
    plain = encode(image, form)
    assert pixel_sha256(decode_rgb(with_source_type(plain, form, "trainedAlgorithmicMedia"))) == pixel_sha256(decode_rgb(plain))


@pytest.mark.parametrize("form", FORMS)
def test_equal_pictures_give_equal_bytes_of_less_than_half_a_kilobyte_more(image, form):
    plain = encode(image, form)
    marked = with_source_type(plain, form, "trainedAlgorithmicMedia")
    assert marked == with_source_type(encode(image, form), form, "trainedAlgorithmicMedia")
    assert 0 < len(marked) - len(plain) < 512


@pytest.mark.parametrize("form", FORMS)
def test_pillow_reads_the_same_xmp(image, form):
    with Image.open(io.BytesIO(with_source_type(encode(image, form), form, "trainedAlgorithmicMedia"))) as opened:
        opened.load()
        xmp = opened.info["xmp"] if form == "jpeg" else opened.info["XML:com.adobe.xmp"].encode()
    assert b'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"' in xmp


@pytest.mark.parametrize("form", FORMS)
def test_an_unmarked_picture_has_none(image, form):
    assert read_source_type(encode(image, form)) is None


def test_another_programs_xmp_with_the_term_as_an_element_is_read(image):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description><Iptc4xmpExt:DigitalSourceType>'
        "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", xmp=packet.encode())
    assert read_source_type(stream.getvalue()) == "digitalCapture" and not is_synthetic("digitalCapture")


@given(st.binary(max_size=200), st.sampled_from(["jpeg", "png"]), st.integers(0, 600))
def test_damaged_files_are_read_without_a_crash(noise, form, cut):
    content = with_source_type(encode(np.zeros((16, 16, 3), dtype=np.uint8), form), form, "trainedAlgorithmicMedia")
    read_source_type(noise)
    read_source_type(content[:cut] + noise)
