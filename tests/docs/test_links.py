"""Test links, and names of source files in the docs."""

import re
from pathlib import Path
from typing import Final

import pytest

from docs.pages import DOCS, PAGES, ROOT, anchors, links

_MODULE: Final = re.compile(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b")
_ELSEWHERE: Final = ("http://", "https://")

every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@every_page
def test_every_relative_link_and_anchor_resolves(page: Path) -> None:
    """Link to existing files and headings."""
    text = page.read_text("utf-8")
    broken = [link for link in links(text) if not link.startswith(_ELSEWHERE) and not _leads_somewhere(page, link)]
    assert broken == []


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_file() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))


@every_page
def test_every_module_that_is_named_exists(page: Path) -> None:
    """Name existing modules: ``delivery/lane.py`` is below src/packhook, ``tests/…`` below the checkout."""
    named = set(_MODULE.findall(page.read_text("utf-8")))
    gone = {path for path in named if not ((ROOT / "src/packhook" / path).is_file() or (ROOT / path).is_file())}
    assert gone == set()


@every_page
def test_every_tests_folder_that_is_named_exists(page: Path) -> None:
    """Name an existing check in each decision."""
    named = set(re.findall(r"`(tests/[a-z_/]+/)`", page.read_text("utf-8")))
    assert {path for path in named if not (ROOT / path).is_dir()} == set()


def test_every_page_is_reached_from_the_index() -> None:
    """Link every page from the index."""
    index = DOCS / "index.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(index.read_text("utf-8"))}
    assert {page for page in DOCS.rglob("*.md") if page != index} - linked == set()


def test_every_page_that_the_source_names_exists() -> None:
    """Point comments at existing pages."""
    sources = [ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")]
    named = {path for source in sources for path in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text("utf-8"))}
    assert {path for path in named if not (ROOT / path).is_file()} == set()
