"""The rows of a self-test: what was expected and what happened, as a table or as JSON."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

Verdict = Literal["ok", "WRONG", "skipped"]


class Row(Struct, frozen=True):
    """Hold the result of one case."""

    group: str
    what: str
    expected: str
    happened: str
    verdict: Verdict
    measured: str = ""


def row(group: str, what: str, expected: str, happened: str) -> Row:
    """Return a row that is ok if ``happened`` equals ``expected``; details may follow after a colon."""
    good = happened == expected or happened.startswith(f"{expected}: ")
    return Row(group, what, expected, happened, "ok" if good else "WRONG")


def show(rows: Sequence[Row], *, as_json: bool, promise: str = "") -> None:
    """Print the rows and a line that counts them. ``promise``, printed first, says what holds for every row."""
    if as_json:
        print(msgspec.json.encode({"rows": rows, **_counted(rows)}).decode())  # noqa: T201 this is the command line
        return
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "what", "expected", "happened", "measured", "verdict"):
        table.add_column(title, overflow="fold")
    for item in rows:
        cells = (item.group, item.what, item.expected, item.happened, item.measured, item.verdict)
        table.add_row(*map(_printable, cells))
    if not any(item.measured for item in rows):
        del table.columns[4]
    if promise:
        console.print(Text(f"{promise}\n"))
    console.print(table)
    console.print(Text("\n" + ", ".join(f"{count} {name}" for name, count in _counted(rows).items())))


def are_good(rows: Sequence[Row], *, skipping: bool) -> bool:
    """Return True if there are rows, none is wrong and, unless ``skipping`` is allowed, none was skipped."""
    return bool(rows) and all(item.verdict == "ok" or (skipping and item.verdict == "skipped") for item in rows)


def _counted(rows: Sequence[Row]) -> dict[str, int]:
    return {name: sum(item.verdict == verdict for item in rows) for name, verdict in _COUNTED.items()}


_COUNTED: dict[str, Verdict] = {"as_expected": "ok", "wrong": "WRONG", "skipped": "skipped"}


def _printable(text: str) -> Text:
    """Return hostile text with the characters escaped that a terminal would not print."""
    return Text("".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text))
