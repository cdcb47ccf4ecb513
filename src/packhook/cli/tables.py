"""Output of results: a table for people, JSON for scripts. Text from outside passes through ``visible``."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

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
        _show_page(value["data"], columns)
        show_more(value)
    else:
        _show_object(value)


def show_more(page: dict[str, Any]) -> None:
    """Say how the next page of a list is read, if there is one."""
    if page.get("next"):
        cursor = page["next"].rpartition("cursor=")[2]
        Console(stderr=True).print("There is more: --cursor", Text(visible(cursor)), soft_wrap=True)


def _show_page(items: list[dict[str, Any]], columns: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(*(Text(_cell(item.get(column))) for column in columns))
    _print(table)


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
