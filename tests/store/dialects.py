"""The databases that the suite runs on: one entry each, that lends the URL of a fresh, empty database."""

import atexit
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from postgres.server import Server, running


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/packhook.db"


@cache
def _server() -> Server:
    """One server for all tests of this process; it ends with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())


@contextmanager
def _postgres(_folder: Path) -> Iterator[str]:
    with _server().database() as url:
        yield url


# A dialect's name, and what makes a database of it for one test; the folder is empty and the test's own.
DIALECTS: Final[dict[str, Callable[[Path], AbstractContextManager[str]]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
}
