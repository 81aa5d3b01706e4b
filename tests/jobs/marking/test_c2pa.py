from __future__ import annotations

import pytest

from jobs.images import decode_rgb, encode, pixel_sha256
from jobs.marking.c2pa import Credential, Signer, read_manifest
from jobs.marking.iptc import read_source_type, with_source_type
from manifests.errors import ConfigError
from tests.jobs.marking.certificates import credential
from tests.jobs.marking.pictures import natural

FORMS = ("jpeg", "png")


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer(credential(tmp_path_factory.mktemp("keys")))


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    return request.param


@pytest.fixture(scope="module")
def plain(form):
    return with_source_type(encode(natural(1), form), form, "trainedAlgorithmicMedia")


@pytest.fixture(scope="module")
def signed(signer, plain, form):
    return signer.sign(plain, form, "trainedAlgorithmicMedia")


def test_a_signed_picture_is_valid_though_nobody_vouches_for_the_certificate(signed, form):
    seen = read_manifest(signed, form)
    assert (seen.state, seen.trusted, seen.source_type) == ("Valid", False, "trainedAlgorithmicMedia")
    assert seen.issuer == "facemint tests" and seen.generator.startswith("facemint")


def test_pixels_and_iptc_metadata_stay(signed, plain):
    assert pixel_sha256(decode_rgb(signed)) == pixel_sha256(decode_rgb(plain))
    assert read_source_type(signed) == "trainedAlgorithmicMedia"


def test_a_manifest_without_thumbnail_takes_less_than_5_kb(signed, plain):
    assert len(signed) - len(plain) < 5000


def test_signing_twice_gives_other_bytes(signer, signed, plain, form):
    """Which is why signing is a step of its own after a run: shards that are made again must be equal."""
    assert signer.sign(plain, form, "trainedAlgorithmicMedia") != signed


def test_a_changed_pixel_makes_it_invalid(signed, form):
    changed = bytearray(signed)
    changed[-200] ^= 1
    seen = read_manifest(bytes(changed), form)
    assert seen.state == "Invalid" and "assertion.dataHash.mismatch" in seen.failures


def test_a_swap_into_a_photograph_is_signed_as_a_composite(signer, plain, form):
    assert read_manifest(signer.sign(plain, form, "compositeWithTrainedAlgorithmicMedia"), form).source_type == "compositeWithTrainedAlgorithmicMedia"


def test_a_picture_without_manifest_has_none(plain, form):
    assert read_manifest(plain, form) is None


def test_a_missing_key_is_named(tmp_path):
    own = credential(tmp_path)
    with pytest.raises(ConfigError, match="the key .*gone.pem is not a file"):
        Credential(certificate=own.certificate, key=tmp_path / "gone.pem")


def test_a_wrong_key_is_refused_without_showing_it(tmp_path):
    own = credential(tmp_path)
    own.key.write_text("-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigError) as caught:
        Signer(own).sign(encode(natural(1), "jpeg"), "jpeg", "trainedAlgorithmicMedia")
    assert "SECRET" not in str(caught.value) and caught.value.__suppress_context__
