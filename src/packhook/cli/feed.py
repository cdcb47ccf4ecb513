"""Follow the feed: print events as they come, and keep the cursor in a file if one is given.

::

    cursor of the file ─▶ GET …/feed ─▶ print ─▶ write the cursor ─▶ again
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from packhook.cli.client import Client
from packhook.cli.exits import Exit, fail
from packhook.cli.files import read_text, replace_file
from packhook.cli.tables import show_json
from packhook.core.text import visible
from packhook_client import calls

WAIT_SECONDS: Final = 30
MAX_CURSOR_BYTES: Final = 4_096


class PageOfFeed(Struct):
    """Hold the events of a page as they came."""

    data: list[Raw]
    cursor: str


class _Message(Struct):
    id: str
    type: str
    timestamp: str
    data: Raw


read_page: Final = msgspec.json.Decoder(PageOfFeed).decode
_message: Final = msgspec.json.Decoder(_Message).decode


def follow(client: Client, query: dict[str, str], cursor_file: Path | None, *, once: bool) -> Iterator[str]:
    """Print events until there are no more (``once``), or for ever; yield the cursor of each page.

    The cursor is written after its events were printed: after a crash some are printed again, and none is left out.
    """
    if cursor_file is not None and (cursor := _read(cursor_file)):
        query = {**query, "after": cursor}
    query = {**query, "wait": "0" if once else query.get("wait", str(WAIT_SECONDS))}
    while True:
        page = read_page(client.send(calls.read_feed().with_query(**query)).text)
        for event in page.data:
            _print(bytes(event).decode(), as_json=client.as_json)
        if cursor_file is not None and page.cursor != query.get("after"):
            _write(cursor_file, page.cursor)
        yield page.cursor
        if once and not page.data and page.cursor == query.get("after", page.cursor):
            return
        query["after"] = page.cursor


def _print(event: str, *, as_json: bool) -> None:
    if as_json:
        show_json(event, flush=True)
        return
    message = _message(event)
    data = bytes(message.data).decode()
    print(visible(f"{message.timestamp}  {message.type}  {message.id}  {data}"), flush=True)  # noqa: T201 this is the command line


def _read(file: Path) -> str:
    """Return the cursor in the file; "" if there is no file yet. Exit if none could be kept there."""
    if not os.path.lexists(file):
        return ""
    if not file.is_file():
        fail(f"--cursor-file: {file} is no regular file, so no cursor can be kept in it", Exit.USAGE)
    return read_text(str(file), MAX_CURSOR_BYTES, "--cursor-file").strip()


def _write(file: Path, cursor: str) -> None:
    """Replace the file as a whole: a crash leaves the cursor before or this one."""
    try:
        replace_file(file, f"{cursor}\n")
    except OSError as error:
        fail(f"--cursor-file: cannot write {file}: {error.strerror}", Exit.USAGE)
