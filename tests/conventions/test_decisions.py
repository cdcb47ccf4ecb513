"""Test the form of the decision records: short, and with the same four sections."""

import re
from pathlib import Path
from typing import Final

import pytest

from conventions.sources import ROOT

MAX_WORDS: Final = 300
SECTIONS: Final = {"Context", "Decision", "Consequences", "Check"}
_RECORDS: Final = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
_SECTION: Final = re.compile(r"^(?:\*\*|#+ )(\w+)", re.MULTILINE)


@pytest.mark.parametrize("path", _RECORDS, ids=lambda path: path.stem[:4])
def test_a_decision_has_its_sections_and_at_most_300_words(path: Path) -> None:
    """State context, decision, consequences and the check that holds it. Measurements belong in docs/benchmarks."""
    text = path.read_text("utf-8")
    assert set(_SECTION.findall(text)) >= SECTIONS
    assert len(text.split()) <= MAX_WORDS


def test_numbers_are_unique() -> None:
    """Give each decision a number of its own."""
    numbers = [path.stem[:4] for path in _RECORDS]
    assert sorted(set(numbers)) == numbers
