"""The databases that the suite runs on: one entry each, that lends the URL of a fresh, empty database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/packhook.db"


# A dialect's name, and what makes a database of it for one test; the folder is empty and the test's own.
DIALECTS: Final[dict[str, Callable[[Path], AbstractContextManager[str]]]] = {"sqlite": _sqlite}
