"""Compare the tables of docs/reference/interop.md with what ran; ``make interop`` writes them."""

import os
import re
from collections.abc import Sequence
from typing import Final

from docs.pages import DOCS, find_section, rows

WRITE: Final = "PACKHOOK_WRITE_INTEROP"
_PAGE: Final = DOCS / "reference" / "interop.md"


def check_row(title: str, row: Sequence[str]) -> None:
    """Fail unless the table of this section has this row, found by its first cell. Write it instead if so required."""
    section = find_section(_PAGE.read_text("utf-8"), title)
    found = {cells[0]: cells for cells in rows(section.text)}
    if os.environ.get(WRITE):
        _write(section.text, row)
    else:
        assert found.get(row[0]) == list(row), f"the page differs from what ran: {row}; run make interop"


def receivers(title: str) -> list[str]:
    """Return the first cell of each row of a table."""
    return [cells[0] for cells in rows(find_section(_PAGE.read_text("utf-8"), title).text)]


def _write(text: str, row: Sequence[str]) -> None:
    """Replace the row, or add it at the end of the section's table."""
    line = f"| {' | '.join(row)} |\n"
    (table,) = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    start = f"| {row[0]} |"
    lines = table.splitlines(keepends=True)
    kept = [line if old.startswith(start) else old for old in lines]
    written = "".join(kept if line in kept else [*lines, line])
    page = _PAGE.read_text("utf-8")
    _PAGE.write_text(page.replace(text, text.replace(table, written)), "utf-8")
