"""How results are printed: ``--output``, and lists page by page with ``--all``.

::

    page ─▶ table: its rows, the heading once      jsonl: a line for each item      json: one document, written as pages come

With ``--all`` the next pages follow until there is none; one page is in memory at a time.
"""  # noqa: E501 a diagram

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import typer
from msgspec import Raw, Struct

from packhook.cli.exits import Exit, fail
from packhook.cli.tables import TableOfPages, show_json, show_more
from packhook.core.text import visible_json

MOST_PER_PAGE: Final = "100"


class Output(StrEnum):
    """Name the forms of a result."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


OutputOption = Annotated[
    Output, typer.Option("--output", help="How to print: table for people; json or jsonl (a line each) for scripts.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Follow the pages to the end of the list.")]


class _Items(Struct):
    """Hold the items of a page as they came."""

    data: list[Raw]


_BEGINNING: Final = '{"data":['
_items: Final = msgspec.json.Decoder(_Items).decode


def print_json(document: str, output: Output) -> None:
    """Print a response for scripts: as it came, or with ``jsonl`` a line for each item of a page."""
    if output is Output.JSONL:
        try:
            items = _items(document).data
        except msgspec.ValidationError:  # an object without a list
            items = [Raw(document.encode())]
        for item in items:
            show_json(bytes(item).decode(), flush=True)
    else:
        show_json(document)


def next_cursor(page: dict[str, Any]) -> str | None:
    """Return the cursor of the page after this one, None for the last. Exit with a message for a link without one."""
    link = page.get("next")
    if not link:
        return None
    try:
        cursor: str = parse_qs(urlsplit(link).query)["cursor"][0]
    except (LookupError, ValueError):
        fail("the link to the next page has no cursor: is it packhook?", Exit.UNREACHABLE)
    return cursor


def print_pages(
    pages: Iterator[tuple[str, dict[str, Any]]],
    output: Output,
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    is_whole: bool,
) -> None:
    """Print the pages of a list as they come, each with its text and its value.

    ``row`` returns the cells of an item for a table; ``is_whole``: the pages are all that there are.
    """
    if output is Output.TABLE:
        _print_table(pages, columns, row)
    elif output is Output.JSON and is_whole:
        _print_document(pages)
    else:
        for text, _ in pages:
            print_json(text, output)


def _print_table(
    pages: Iterator[tuple[str, dict[str, Any]]],
    columns: Sequence[str],
    row: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    table = TableOfPages(columns)
    page: dict[str, Any] = {}
    for _, page in pages:
        table.print_rows([row(item) for item in page["data"]])
    show_more(page)


def _print_document(pages: Iterator[tuple[str, dict[str, Any]]]) -> None:
    """Print ``{"data": […], …}`` with the items of all pages, as one page that has no neighbours."""
    print(_BEGINNING, end="")  # noqa: T201 this is the command line
    separator = ""
    per_page = 0
    for text, page in pages:
        per_page = page["per_page"]
        for item in _items(text).data:
            print(separator + visible_json(bytes(item).decode()), end="")  # noqa: T201 as above
            separator = ","
        print(end="", flush=True)  # noqa: T201 as above
    print(f'],"prev":null,"next":null,"per_page":{per_page}}}')  # noqa: T201 as above
