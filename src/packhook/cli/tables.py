"""Showing answers: a table for people, JSON for scripts."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE: Final = 10_000


def console() -> Console:
    """Where answers are printed: as wide as the terminal, or without a fold where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def say(text: str) -> None:
    """A line as it is; the terminal folds it, nothing is cut apart."""
    Console().print(Text(text), soft_wrap=True)


def show(answer: Any, as_json: bool, columns: Sequence[str] = ()) -> None:  # noqa: ANN401 any JSON
    """A page or one thing; ``columns`` are the members to show of each item of a page."""
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 this is the command line
    elif isinstance(answer, dict) and "data" in answer and isinstance(answer["data"], list):
        _table(answer["data"], columns)
        if answer.get("next"):
            Console(stderr=True).print("There is more: --cursor", Text(answer["next"].rpartition("cursor=")[2]))
    else:
        _one(answer)


def _table(items: list[dict[str, Any]], columns: Sequence[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(*(Text(_text(item.get(column))) for column in columns))
    _print(table)


def _one(answer: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in answer.items():
        table.add_row(name, Text(_text(value)))
    _print(table)


def _print(table: Table) -> None:
    """Without the spaces that fill up its last column: a key that is copied with them is another one."""
    where = console()
    with where.capture() as captured:
        where.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))  # noqa: T201 this is the command line


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value) or "-"
        case _:
            return json.dumps(value, ensure_ascii=False)
