"""Reads a rendered page as a browser would nest it, and opens it in a headless browser where one is installed."""

from __future__ import annotations

import html.parser
import importlib.util
import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VOID = ("meta", "img", "br", "input", "link", "hr")
SHAPES = ("line", "rect", "circle", "path", "ellipse")


class Page(html.parser.HTMLParser):
    """The tags of a page in order; fails where elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> names an attribute twice: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, f"<{tag}/> closes itself"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def browser_path() -> str:
    """A browser and its driver, or the reason why a test is skipped."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    if importlib.util.find_spec("playwright") is None or axe_path() is None:
        pytest.skip("axe-playwright-python is not installed")
    return found


def axe_path() -> Path | None:
    """axe.min.js inside the package axe-playwright-python."""
    spec = importlib.util.find_spec("axe_playwright_python")
    places = list(spec.submodule_search_locations or []) if spec else []
    found = Path(places[0]) / "axe.min.js" if places else None
    return found if found and found.is_file() else None
