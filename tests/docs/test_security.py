"""SECURITY.md names files and tests that exist, and README links it."""

import ast
import re
from typing import Final

import pytest

from docs.pages import ROOT, find_section, links, rows, sections

_PAGE: Final = (ROOT / "SECURITY.md").read_text("utf-8")
_DEFENCES: Final = list(rows(find_section(_PAGE, "What is defended").text))


def test_the_readme_links_it() -> None:
    """A reader who finds a vulnerability looks there first."""
    assert "SECURITY.md" in links((ROOT / "README.md").read_text("utf-8"))


def test_it_says_how_to_report_and_what_is_not_defended() -> None:
    """It has its four sections and a long table."""
    titles = [section.title for section in sections(_PAGE)]
    assert {"Reporting", "What is protected", "From whom", "What is not defended"} <= set(titles)
    assert len(_DEFENCES) > 20


@pytest.mark.parametrize("defence", _DEFENCES, ids=lambda cells: cells[0])
def test_a_defence_has_a_file_and_a_test(defence: list[str]) -> None:
    """Check that each named file and test exists."""
    _, _, files_cell, tests_cell = defence
    files = re.findall(r"`([\w/.]+)`", files_cell)
    assert files
    assert [file for file in files if not any((ROOT / base / file).is_file() for base in ("", "src/packhook"))] == []
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", tests_cell)
    assert tests
    assert [f"{file}::{name}" for file, name in tests if name not in _tests_of(file)] == []


def _tests_of(file: str) -> set[str]:
    """Return the names of a file's tests, and an empty name for the file itself."""
    found = {""}
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return found
