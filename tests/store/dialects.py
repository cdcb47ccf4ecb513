"""List the databases that the suite runs on; each entry yields the URL of a fresh, empty database."""

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
    """Start the server that all tests of this process share; it stops when the process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running())


@contextmanager
def _postgres(_folder: Path) -> Iterator[str]:
    with _server().database() as url:
        yield url


# Name of the dialect, and a context manager that makes a database in the test's empty folder.
DIALECTS: Final[dict[str, Callable[[Path], AbstractContextManager[str]]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
}
