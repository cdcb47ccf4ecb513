"""SECURITY.md names defences and tests that are there, and is found from README."""

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
    """Who finds a weakness looks there first."""
    assert "SECURITY.md" in links((ROOT / "README.md").read_text("utf-8"))


def test_it_says_how_to_report_and_what_is_not_defended() -> None:
    """A model without its limits is an advertisement."""
    titles = [section.title for section in sections(_PAGE)]
    assert {"Reporting", "What is protected", "From whom", "What is not defended"} <= set(titles)
    assert len(_DEFENDED) > 20


@pytest.mark.parametrize("defended", _DEFENDED, ids=lambda cells: cells[0])
def test_a_defence_stands_in_a_file_and_is_held_by_a_test(defended: list[str]) -> None:
    """Each of them by name: renaming one fails here."""
    _, _, stands_in, held_by = defended
    files = re.findall(r"`([\w/.]+)`", stands_in)
    assert files
    assert [file for file in files if not any((ROOT / base / file).is_file() for base in ("", "src/packhook"))] == []
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", held_by)
    assert tests
    assert [f"{file}::{name}" for file, name in tests if name not in _tests_of(file)] == []


def _tests_of(file: str) -> set[str]:
    """The tests of a file; the file itself is the one without a name."""
    found = {""}
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return found
