from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from qc.report.page import render_page
from tests.qc.report.pages import axe_path, browser_path
from tests.qc.report.synthetic import synthetic_report

STEPS = 9


def schemes() -> dict[str, dict[str, str]]:
    """Colours of the light scheme, and the dark ones over them."""
    style = (resources.files("qc") / "report" / "page.css").read_text(encoding="utf-8")
    light, dark = (dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block)) for block in re.findall(r":root\{(.*?)\}", style, re.DOTALL)[:2])
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Ratio of WCAG 2.2, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_4_5(scheme):
    colour = schemes()[scheme]
    pairs = [("ink", "ground"), ("ink", "card"), ("muted", "ground"), ("muted", "card"), ("accent", "soft"), ("bad", "card")]
    pairs += [(name, f"{name}soft") for name in ("good", "fair", "bad", "none")] + [(f"n{step}", f"h{step}") for step in range(STEPS)]
    assert {pair: round(contrast(colour[pair[0]], colour[pair[1]]), 2) for pair in pairs if contrast(colour[pair[0]], colour[pair[1]]) < 4.5} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_graphics_have_a_contrast_of_3(scheme):
    colour = schemes()[scheme]
    names = ("c1", "c2", "good", "bad", "frame", "accent")
    assert {name: round(contrast(colour[name], colour["card"]), 2) for name in names if contrast(colour[name], colour["card"]) < 3} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_steps_of_the_heat_map_grow_in_contrast(scheme):
    ratios = [contrast(schemes()[scheme][f"h{step}"], schemes()[scheme]["card"]) for step in range(STEPS)]
    assert ratios == sorted(ratios)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = Path(tmp_path_factory.mktemp("page")) / "report.html"
    file.write_text(render_page(synthetic_report(people=4, words=4, images=72, tiles=12)), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_axe_finds_no_violation_and_the_page_fits_its_width(browser, address, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened, said, asked = context.new_page(), [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    source = axe_path()
    assert source is not None
    opened.evaluate(source.read_text(encoding="utf-8"))  # the driver's own context: the page's policy stays as it is
    result = opened.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})")
    found = {row["id"]: [node["html"][:120] for node in row["nodes"][:3]] for row in result["violations"]}
    assert found == {} and len(result["passes"]) > 15
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert said == [] and [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_tables_sort_samples_filter_and_pictures_enlarge(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(address)
    words = opened.locator("#words table")
    words.locator("th button", has_text="acceptance").click()
    words.locator("th button", has_text="acceptance").click()
    assert words.locator("th[aria-sort=descending]").count() == 1
    shown = [float(text.replace("\u00a0%", "")) for text in words.locator("tbody tr td:last-child").all_text_contents()]
    assert shown == sorted(shown, reverse=True)
    opened.locator("#sample-filter").fill("p0001 happiness")
    assert 0 < opened.locator(".filtered .gallery > li:visible").count() < opened.locator(".filtered .gallery > li").count()
    assert "of" in opened.locator(".filter [role=status]").inner_text()
    opened.locator("#sample-filter").fill("")
    picture = opened.locator("#samples button.zoom").first
    picture.focus()
    opened.keyboard.press("Enter")
    assert opened.locator("dialog[open] img").get_attribute("alt")
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
    assert opened.evaluate("document.activeElement.className") == "zoom"
    context.close()


def test_tables_are_read_and_pictures_seen_with_scripts_off(browser, address):
    context = browser.new_context(viewport={"width": 360, "height": 800}, java_script_enabled=False)
    opened = context.new_page()
    opened.goto(address)
    opened.locator("#expression summary").first.click()
    assert opened.locator("#expression table").first.is_visible()
    assert opened.locator("button, input, dialog").count() == 0
    context.close()


def test_the_page_prints(browser, address):
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(address)
    printed = opened.pdf(format="A4")
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    context.close()
