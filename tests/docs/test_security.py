"""Test SECURITY.md: its defences and tests exist, and README links it."""

import ast
import re
from typing import Final

import pytest

from docs.pages import ROOT, links, rows, sections

_PAGE: Final = (ROOT / "SECURITY.md").read_text("utf-8")
_DEFENDED: Final = next(
    list(rows(section.text)) for section in sections(_PAGE) if section.title.startswith("What is defended")
)


def test_readme_leads_to_it() -> None:
    """Link the page for reports of vulnerabilities."""
    assert "SECURITY.md" in links((ROOT / "README.md").read_text("utf-8"))


def test_it_has_a_contact_and_the_limits() -> None:
    """State the limits of the threat model."""
    titles = [section.title for section in sections(_PAGE)]
    assert {"Reporting", "What is protected", "From whom", "What is not defended"} <= set(titles)
    assert len(_DEFENDED) > 20


@pytest.mark.parametrize("defended", _DEFENDED, ids=lambda cells: cells[0])
def test_a_defence_names_its_file_and_its_test(defended: list[str]) -> None:
    """Name existing files and tests."""
    _, _, stands_in, held_by = defended
    files = re.findall(r"`([\w/.]+)`", stands_in)
    assert files
    assert [file for file in files if not any((ROOT / base / file).is_file() for base in ("", "src/packhook"))] == []
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", held_by)
    assert tests
    assert [f"{file}::{name}" for file, name in tests if name not in _tests_of(file)] == []


def _tests_of(file: str) -> set[str]:
    """Return the tests of a file; the file itself has an empty name."""
    found = {""}
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return found
