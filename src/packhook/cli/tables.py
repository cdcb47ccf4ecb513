"""Output of results: a table for people, JSON for scripts. Text from outside passes through ``visible``."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from packhook.core.text import visible, visible_json

UNLIMITED_WIDTH: Final = 10_000


def console() -> Console:
    """Return a console as wide as the terminal; without a terminal, lines are not folded."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console() if is_terminal else Console(width=UNLIMITED_WIDTH)


def say(text: str) -> None:
    """Print one line. The terminal may fold it; nothing is cut."""
    Console().print(Text(visible(text)), soft_wrap=True)


def show_json(document: str, *, flush: bool = False) -> None:
    """Print a JSON document, for scripts."""
    print(visible_json(document), flush=flush)  # noqa: T201 this is the command line


def show(value: Any, columns: Sequence[str] = ()) -> None:  # noqa: ANN401 any JSON
    """Print a page as a table with these columns, or one object member by member."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        TableOfPages(columns).print_rows(value["data"])
        show_more(value)
    else:
        _show_object(value)


def show_more(page: dict[str, Any]) -> None:
    """Say how the next page of a list is read, if there is one."""
    if page.get("next"):
        cursor = page["next"].rpartition("cursor=")[2]
        Console(stderr=True).print("There is more: --cursor", Text(visible(cursor)), soft_wrap=True)


class TableOfPages:
    """Print the rows of a list page by page: the heading once, and columns as wide as on the first page."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._widths: list[int] | None = None

    def print_rows(self, items: Sequence[dict[str, Any]]) -> None:
        """Print the rows of one page."""
        rows = [[_cell(item.get(column)) for column in self._columns] for item in items]
        is_first = self._widths is None
        if self._widths is None:
            cells = zip(self._columns, *rows, strict=True)
            self._widths = _fitting([max(map(cell_len, column)) for column in cells])
        if not rows and not is_first:
            return
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=is_first)
        for column, width in zip(self._columns, self._widths, strict=True):
            table.add_column(column, overflow="fold", min_width=width)
        for row in rows:
            table.add_row(*map(Text, row))
        _print(table)


def _fitting(widths: list[int]) -> list[int]:
    """Return the widths of columns, or no demands where the terminal is narrower: then it folds them."""
    has_space = sum(widths) + len(widths) <= console().width
    return widths if has_space else [1] * len(widths)


def _show_object(members: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in members.items():
        table.add_row(Text(visible(name)), Text(_cell(value)))
    _print(table)


def _print(table: Table) -> None:
    """Print without trailing spaces: a key that is copied with them would not be valid."""
    output = console()
    with output.capture() as captured:
        output.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # noqa: T201 this is the command line


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str():
            return visible(value)
        case list() if all(isinstance(item, str) for item in value):
            return visible(", ".join(value)) or "-"
        case _:
            return visible(json.dumps(value, ensure_ascii=False))
