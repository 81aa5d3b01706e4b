from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from typing import Any

import pytest

from manifests.errors import InputError
from qc.report.charts_planes import heat_map
from qc.report.page import render_page
from qc.report.page.document import SECTIONS
from qc.report.svg import clean, drawing, element, number, percent, ticks
from tests.qc.report.pages import Page
from tests.qc.report.synthetic import SECTIONS as NULLABLE
from tests.qc.report.synthetic import synthetic_report

MARK = "alert-7461"
HOSTILE = (
    f"<script>{MARK}</script>", f"</script><script>{MARK}</script>", f"</style><script>{MARK}</script>",
    f"</title><script>{MARK}</script>",
    f'"><img src=x onerror={MARK}>', f"'><svg onload={MARK}>", f"<svg><script>{MARK}</script></svg>",
    f"</svg><iframe src=javascript:{MARK}>",
    f"<!--{MARK}-->", f"--><b>{MARK}</b>", f"]]><b>{MARK}</b>", f"<![CDATA[{MARK}]]>", f"javascript:{MARK}", f"data:text/html,{MARK}", f"&lt;b&gt;{MARK}",
    f"{{{{{MARK}}}}}", f"${{{MARK}}}", f"`{MARK}`", f"<a href=https://example.org>{MARK}</a>", f"<style>@import url(//example.org);</style>{MARK}",
    f"<base href=//example.org>{MARK}", f"<meta http-equiv=refresh content=0>{MARK}", f"\x00{MARK}\x07\x1b[31m", f"\u202e{MARK}\u2066\u200f",
    f"\u2028{MARK}\u2029",
    f"\ud800{MARK}\udfff", f"{MARK}\ufeff\ufffe\uffff", f"{MARK}" + "\u0301" * 400, f"{MARK} " + "x" * 100_000,
    f"\\\"'\r\n\t{MARK}", "ا" + MARK, f"\U000e0041{MARK}",
)  # fmt: skip


def hostile_report(shift: int) -> dict[str, Any]:
    """A report whose free texts are hostile, each with another of the strings: names, words, reasons, keys, units, sources, sentences."""
    kept = {"schema_version", "status", "kind", "direction", "stage", "role"}
    turn = itertools.count(shift)

    def poisoned(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: value[key] if name == "tiles" else poisoned(value[key], key) for key in value}
        if isinstance(value, list):
            return [poisoned(item, name) for item in value]
        return f"{value} {HOSTILE[next(turn) % len(HOSTILE)]}" if isinstance(value, str) and name not in kept else value

    report = poisoned(synthetic_report(people=3, words=3, tiles=8))
    report["samples"]["borderline"] = dict(zip(HOSTILE, itertools.cycle(report["samples"]["borderline"].values()), strict=False))
    return {**report, "not_measured": list(HOSTILE), "versions": dict.fromkeys(HOSTILE, HOSTILE[shift])}


@pytest.fixture(scope="module")
def text() -> str:
    return render_page(synthetic_report())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_elements_nest_and_every_id_is_there_once(page):
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.tags:
        for name in ("aria-labelledby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(identifiers)


def test_sections_come_in_order_and_the_contents_link_to_each(page):
    assert [attributes["id"] for attributes in page.named("section")] == [key for key, *_ in SECTIONS]
    links = [attributes["href"] for attributes in page.named("a") if attributes["href"] != "#main"]
    assert links == [f"#{key}" for key, *_ in SECTIONS]


def test_headings_never_skip_a_level(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_fetched_and_no_handler_or_style_stands_in_a_tag(page, text):
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "form", "video", "audio", "image", "use"}
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("style", "srcset", "action", "background") for name in attributes), tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text


def test_the_policy_allows_only_this_script_and_this_style(page, text):
    policy = next(attributes["content"] for attributes in page.named("meta") if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy and "http" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        expected = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{expected}'" in policy
    assert len(page.named("script")) == 1
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert len(script.encode()) <= 15_000 and not re.search(r"innerHTML|eval\(|fetch\(|XMLHttp|import\(|Function\(", script)


def test_every_chart_is_named_and_has_a_table_behind_it(text, page):
    charts = page.named("svg")
    assert len(charts) >= 24
    assert all(chart["role"] == "img" and chart["aria-labelledby"] for chart in charts)
    for following in text.split("<svg ")[1:]:
        behind = following.split("<svg ")[0].split("</svg>", 1)[1]
        assert re.match(r"</div><details><summary>As a table<span class=\"vh\">: .+?</span></summary>.*?<table", behind), behind[:200]


def test_pictures_have_words(page):
    assert page.named("img") and all(attributes["alt"] for attributes in page.named("img"))


@pytest.mark.parametrize("section", NULLABLE)
def test_a_section_that_was_not_measured_says_so_and_why(section):
    report = {"schema_version": "2.0", "title": "a run", section: None}
    text = render_page({**report, "not_measured_sections": {section: "No gallery <was> given."}})
    Page(text)
    assert "not measured" in text and "No gallery &lt;was&gt; given." in text


def test_a_report_of_nothing_still_has_every_section():
    text = render_page({"schema_version": "2.0", "title": "An empty run"})
    assert len(Page(text).named("section")) == len(SECTIONS)


def test_parts_of_a_section_may_be_missing():
    report = json.loads(json.dumps(synthetic_report(people=2, words=2, tiles=8)))
    for section in NULLABLE:
        part = report[section]
        for key in list(part) if isinstance(part, dict) else ():
            if key != "columns" and (section != "coverage" or key.startswith("by_")):
                Page(render_page({"schema_version": "2.0", "title": "a run", section: {**part, key: None}}))


@pytest.mark.parametrize("shift", [0, 7, 17])
def test_hostile_words_stay_words(shift, page):
    found = Page(render_page(hostile_report(shift)))
    assert {tag for tag, _ in found.tags} <= {tag for tag, _ in page.tags}
    assert len(found.named("script")) == len(found.named("style")) == len(found.named("title")) - len(found.named("svg")) == 1
    for _, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert MARK not in "".join(attributes.get(name) or "" for name in ("src", "href", "id", "class", "d", "aria-labelledby"))
    shown = "".join(found.words)
    assert shown.count(MARK) > 200
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff\ufeff]", shown)
    assert "\u0301" * 4 not in shown and "x" * 2001 not in shown


def test_a_tile_that_is_no_picture_is_not_shown():
    report = synthetic_report(tiles=8)
    for uri in ("https://example.org/spy.png", "data:text/html;base64,AAAA", 'data:image/png;base64,AA" onload="x', "data:image/svg+xml;base64,AAAA", None, 7):
        text = render_page({**report, "tiles": dict.fromkeys(report["tiles"], uri)})
        assert "<img" not in text and "example.org" not in text


def test_the_page_of_100_000_images_stays_below_3_mb():
    report = synthetic_report(people=1000, words=136, images=100_000, tiles=400)
    text = render_page(report)
    assert len(text.encode()) <= 3_000_000
    assert "960 more people and 96 more expressions are not drawn" in text
    assert "24 of 1,000 are drawn: flagged ones first, then the lowest." in text


def test_more_tiles_than_the_budget_are_left_out_and_counted():
    report = synthetic_report(tiles=12)
    big = "data:image/webp;base64," + "A" * 400_000
    text = render_page({**report, "tiles": dict.fromkeys(report["tiles"], big)})
    assert text.count(big) == 4 and "small pictures were left out" in text and "left out to keep the page small" in text


def test_equal_reports_give_equal_pages():
    assert render_page(synthetic_report()) == render_page(synthetic_report())


def test_another_schema_is_refused():
    with pytest.raises(InputError, match="schema_version is 1.0"):
        render_page({**synthetic_report(), "schema_version": "1.0"})


def test_text_in_drawings_is_escaped_and_long_paths_are_whole():
    assert element("text", {"x": 1.50, "a": '"<&'}, "ok") == '<text x="1.5" a="&quot;&lt;&amp;">ok</text>'
    assert "<b>" not in drawing(10, 10, "<b>", "<b>", [], identifier="one")
    assert "9" * 5000 in element("path", {"d": "9" * 5000})


def test_words_lose_controls_and_keep_joiners():
    assert clean("a\x00b\u202ec\nd") == "a\ufffdb\ufffdc d"
    assert clean("\u0646\u200c\u0645") == "\u0646\u200c\u0645"
    assert clean("x" * 30, 10) == "x" * 9 + "…"


def test_ticks_are_round_and_numbers_short():
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.3, 0.4, 4) == [-0.2, 0.0, 0.2, 0.4]
    assert (number(None), number(1234.0), number(0.12345), number(5.163), number(77.75)) == ("–", "1,234", "0.12", "5.16", "77.8")
    assert percent(0.123, 1) == "12.3\u00a0%" and percent(None) == "–"


@pytest.mark.parametrize("columns", [1, 2, 8, 20])
def test_the_scale_of_a_heat_map_fits_into_it(columns):
    names = [f"w{k}" for k in range(columns)]
    chart = heat_map(["a"], names, [[0.5] * columns], [["50"] * columns], title="t", description="d", identifier="i")
    (width,) = re.findall(r'viewBox="0 0 ([\d.]+) ', chart)
    (end,) = re.findall(r'<text x="([\d.]+)"[^>]*>100\u00a0%', chart)
    assert float(end) + 40 <= float(width)  # five characters of 11 px


def test_leakage_speaks_of_training_people_and_not_of_real_ones(text):
    assert "Compared with 1,800 training people of the bundle;" in text
    assert "does a picture show a person of the training set?" in text and "real person of" not in text
