"""Every link resolves, and every file that the docs name exists."""

import re
from pathlib import Path
from typing import Final

import pytest

from docs.pages import DOCS, PAGES, ROOT, anchors, links

_MODULE: Final = re.compile(r"\b(?:[a-z_]+/)+[a-z_]+\.py\b")
_READERS: Final = ("orders/", "shop/")
"""Folders that a reader makes when following a page."""
_EXTERNAL: Final = ("http://", "https://")

every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@every_page
def test_every_relative_link_and_anchor_resolves(page: Path) -> None:
    """A link points to a file of this checkout, its anchor to a heading of that file."""
    text = page.read_text("utf-8")
    broken = [link for link in links(text) if not link.startswith(_EXTERNAL) and not _resolves(page, link)]
    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_file() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(target.read_text("utf-8"))


@every_page
def test_every_named_module_exists(page: Path) -> None:
    """A path such as ``delivery/lane.py`` is below src/packhook, one such as ``tests/…`` below the checkout."""
    named = set(_MODULE.findall(page.read_text("utf-8")))
    missing = {
        path
        for path in named
        if not path.startswith(_READERS) and not ((ROOT / "src/packhook" / path).is_file() or (ROOT / path).is_file())
    }
    assert missing == set()


@every_page
def test_every_named_test_folder_exists(page: Path) -> None:
    """The check of a decision exists."""
    named = set(re.findall(r"`(tests/[a-z_/]+/)`", page.read_text("utf-8")))
    assert {path for path in named if not (ROOT / path).is_dir()} == set()


@every_page
def test_every_named_test_exists(page: Path) -> None:
    """A claim that names its test has one; so ``tests/…py::NAME`` is a function there."""
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(\w+)`", page.read_text("utf-8"))
    assert [f"{path}::{name}" for path, name in named if not _has_test(path, name)] == []


def _has_test(path: str, name: str) -> bool:
    file = ROOT / path
    return (
        file.is_file() and re.search(rf"^ *(?:async )?def {name}\(", file.read_text("utf-8"), re.MULTILINE) is not None
    )


def test_every_bound_has_a_test() -> None:
    """Each row of the table of fair shares names the resource, its bound, its share, and a test."""
    lines = (DOCS / "explanation" / "fair-shares.md").read_text("utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert len(table) > 50
    assert [row[0] for row in table[1:] if len(row) != 4 or not all(row) or "`tests/" not in row[3]] == []


def test_the_index_links_every_page() -> None:
    """A reader finds every page without knowing its name."""
    index = DOCS / "index.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(index.read_text("utf-8"))}
    assert {page for page in DOCS.rglob("*.md") if page != index} - linked == set()


def test_every_page_named_in_the_source_exists() -> None:
    """Comments that point into the docs point to a page."""
    sources = [ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")]
    named = {path for source in sources for path in re.findall(r"\bdocs/[\w/-]+\.md", source.read_text("utf-8"))}
    assert {path for path in named if not (ROOT / path).is_file()} == set()
