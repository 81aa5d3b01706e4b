from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

import qc.report
from manifests.errors import InputError
from qc.report.gallery_tiles import MAX_BYTES, check_tiles, gallery_key, shown_tiles
from qc.report.page import render_page
from qc.report.summary import SCHEMA_VERSION, build_summary, with_tiles
from tests.qc.report.pages import Page
from tests.qc.report.reports import gallery, inputs


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    text = (Path(qc.report.__file__).parent / "schema" / f"qc_report-{SCHEMA_VERSION}.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def webp(side: int = 64, *, form: str = "WEBP", noisy: bool = False) -> bytes:
    stream, pixels = io.BytesIO(), np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels if noisy else np.full_like(pixels, 90)).save(stream, form, quality=100 if noisy else 70)
    return stream.getvalue()


def leakage_of(tiles: list[bytes | None] | None) -> tuple[dict[str, Any], str]:
    """The report and page of a run whose first training picture is copied; the gallery has these tiles."""
    plain = inputs()
    assert plain.embedded is not None
    people = gallery(tiles=tiles)
    coarse = plain.embedded.phash64.copy()
    coarse[9] = people.phash64[8]  # of the fifth person
    summary = build_summary(inputs(embedded=dataclasses.replace(plain.embedded, phash64=coarse), gallery=dataclasses.replace(people, phash256=None)))
    report = json.loads(json.dumps(with_tiles(summary, shown_tiles(summary, tiles)), allow_nan=False))
    return report, render_page(report)


def test_a_training_person_with_a_tile_is_shown_beside_the_made_picture(validator):
    report, page = leakage_of([webp()] * 300)
    pairs, [match] = report["leakage"]["pairs"], report["leakage"]["hash_matches"]
    assert match["gallery_tile"] == gallery_key(4) and all(pair["gallery_tile"] in report["tiles"] for pair in pairs)
    assert all(pair["gallery_tile"] == gallery_key(int(pair["gallery_id"].removeprefix("real-"))) for pair in pairs)
    assert page.count("<img") == len(pairs[:24]) + 1 and 'alt="real-4"' in page and "right the small picture" in page
    assert [error.json_path for error in validator.iter_errors(report)] == []


def test_a_person_without_a_tile_is_named_only(validator):
    some, few = leakage_of([None] * 4 + [webp()] + [None] * 295)
    assert set(some["tiles"]) == {gallery_key(4)} and some["leakage"]["hash_matches"][0]["gallery_tile"] == gallery_key(4)
    for tiles in ([None] * 300, None):
        report, page = leakage_of(tiles)
        assert report["tiles"] == {} and {pair["gallery_tile"] for pair in report["leakage"]["pairs"]} == {None}
        assert "<img" not in page and "photographs of people of the gallery are not part of a report" in page
        assert page.count("real-4") < few.count("real-4")  # the match is in the table alone
        assert [error.json_path for error in validator.iter_errors(report)] == []


def test_a_page_with_tiles_of_the_gallery_asks_for_nothing():
    text = leakage_of([webp()] * 300)[1]
    assert "http://" not in text and "https://" not in text and "url(" not in text
    pictures = Page(text).named("img")
    assert pictures and all(str(picture["src"]).startswith("data:image/webp;base64,") for picture in pictures)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg onload=alert(1)>", "it is not a JPEG, PNG or WebP picture"),
        (b"", "it is empty"),
        (webp()[:40], "can't be shown"),
        (webp(65), "65 x 65 pixels"),
        (webp(700), "700 x 700 pixels, at most 4,096 of a WebP"),
        (webp(form="PNG"), "a png picture of 64 x 64"),
        (webp(noisy=True), f"at most {MAX_BYTES:,} are read"),
        ("text", "is no bytes"),
    ],
)
def test_a_tile_that_is_no_small_webp_is_refused_by_its_person(content: object, words: str):
    with pytest.raises(InputError, match="gallery: the tile of corpus-7") as refused:
        check_tiles([None, content], ["corpus-6", "corpus-7"])
    assert words in str(refused.value) and "A tile is a WebP picture of 64 x 64 pixels and at most 4,096 bytes, or null." in str(refused.value)


def test_what_is_shown_is_packed_anew():
    tile = webp() + b"<script>"
    report, _ = leakage_of([tile] * 300)
    assert all("PHNjcmlwdD" not in uri for uri in report["tiles"].values()) and report["tiles"]
