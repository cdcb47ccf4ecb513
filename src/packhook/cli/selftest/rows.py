"""Show what the self-test found: rows with what was expected and what happened, as a table or as JSON."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from packhook.cli.output import Output
from packhook.cli.tables import show_json

Verdict = Literal["ok", "WRONG", "skipped"]


class Row(Struct, frozen=True):
    """Hold one thing that was tried."""

    group: str
    what: str
    expected: str
    happened: str
    verdict: Verdict
    measured: str = ""


def row(group: str, what: str, expected: str, happened: str) -> Row:
    """Return a row that is ok where what happened is what was expected; words may follow, after a colon."""
    good = happened == expected or happened.startswith(f"{expected}: ")
    return Row(group, what, expected, happened, "ok" if good else "WRONG")


def show(rows: Sequence[Row], output: Output, *, promise: str = "") -> None:
    """Print all rows, and a line that counts them; ``promise``: what holds for every row, on top."""
    if output is not Output.TABLE:
        values = rows if output is Output.JSONL else [{"rows": rows, **_counted(rows)}]
        for value in values:
            show_json(msgspec.json.encode(value).decode())
        return
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "what", "expected", "happened", "measured", "verdict"):
        table.add_column(title, overflow="fold")
    for found in rows:
        cells = (found.group, found.what, found.expected, found.happened, found.measured, found.verdict)
        table.add_row(*map(_printable, cells))
    if not any(found.measured for found in rows):
        del table.columns[4]
    if promise:
        console.print(Text(f"{promise}\n"))
    console.print(table)
    console.print(Text("\n" + ", ".join(f"{count} {name}" for name, count in _counted(rows).items())))


def are_good(rows: Sequence[Row], *, skipping: bool) -> bool:
    """Return whether no row is wrong; where ``skipping`` is not allowed, also whether none was skipped."""
    return bool(rows) and all(found.verdict == "ok" or (skipping and found.verdict == "skipped") for found in rows)


def _counted(rows: Sequence[Row]) -> dict[str, int]:
    return {name: sum(found.verdict == verdict for found in rows) for name, verdict in _COUNTED.items()}


_COUNTED: dict[str, Verdict] = {"as_expected": "ok", "wrong": "WRONG", "skipped": "skipped"}


def _printable(text: str) -> Text:
    """Return text that a terminal shows and does not obey: what is not printable is escaped."""
    return Text("".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text))
